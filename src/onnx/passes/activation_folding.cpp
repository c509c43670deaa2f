#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "onnx/edit.hpp"
#include "onnx/passes/pass.hpp"
#include "onnx/passes/pattern.hpp"
#include "onnx/tensor_values.hpp"

namespace joulery::onnx {
namespace {

/// From opset 11 on the bounds of Clip are inputs.
constexpr std::int64_t kBoundsAreInputs = 11;

/// What an activation leaves of its input. A bound that is not given is the type's own.
struct Bounds {
  std::optional<double> low, high;
  bool is_relu = false;
  /// Of the tensors that the bounds came from; undefined if there were none.
  DataType type = DataType::undefined;
};

class ActivationFolding : public Pass {
 public:
  std::string_view name() const override { return "activation folding"; }

 private:
  Result<Change> apply_impl(Graph& graph, const PassContext& context) const override {
    const GraphIndex index(graph);
    const Constants constants(graph, context.ir_version);
    FreshNames names(graph);
    std::set<std::size_t> gone;
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
      if (graph.nodes[i].outputs.size() != 1 || graph.nodes[i].inputs.empty()) continue;
      const auto first = bounds_of(graph, graph.nodes[i], constants, context);
      if (!first) continue;
      const std::size_t at = only_consumer(index, graph.nodes[i].outputs[0]);
      if (at == GraphIndex::kNone || graph.nodes[at].inputs[0] != graph.nodes[i].outputs[0]) continue;
      const auto second = bounds_of(graph, graph.nodes[at], constants, context);
      if (!second || !merge(graph, *first, *second, graph.nodes[at], context, names)) continue;
      graph.nodes[at].inputs[0] = graph.nodes[i].inputs[0];
      gone.insert(i);
    }
    remove_nodes(graph, gone);
    return Change{gone.size()};
  }

  static std::optional<Bounds> bounds_of(const Graph& graph, const Node& node, const Constants& constants,
                                         const PassContext& context) {
    if (is_standard(node, "Relu")) return Bounds{.low = 0.0, .high = {}, .is_relu = true};
    if (!is_standard(node, "Clip") || context.opset < 6) return std::nullopt;
    auto bounds = context.opset >= kBoundsAreInputs ? bounds_of_inputs(graph, node, constants)
                                                    : bounds_of_attributes(node);
    if (!bounds) return bounds;
    const double low = bounds->low.value_or(-std::numeric_limits<double>::infinity());
    const double high = bounds->high.value_or(std::numeric_limits<double>::infinity());
    // Also false for NaN.
    return low <= high ? bounds : std::nullopt;
  }

  static std::optional<Bounds> bounds_of_attributes(const Node& node) {
    Bounds bounds;
    for (const Attribute& attribute : node.attributes) {
      const auto* number = std::get_if<float>(&attribute.value);
      if (number == nullptr || !attribute.reference.empty()) return std::nullopt;
      if (attribute.name == "min") bounds.low = *number;
      if (attribute.name == "max") bounds.high = *number;
    }
    return bounds;
  }

  static std::optional<Bounds> bounds_of_inputs(const Graph& graph, const Node& node,
                                                const Constants& constants) {
    Bounds bounds;
    for (std::size_t k = 1; k < node.inputs.size() && k < 3; ++k) {
      if (node.inputs[k].empty()) continue;
      const Tensor* tensor = constants.find(graph, node.inputs[k]);
      // Whole numbers of 64 bits need not fit a double.
      if (tensor == nullptr ||
          (tensor->data_type != DataType::float32 && tensor->data_type != DataType::float16))
        return std::nullopt;
      const auto values = real_values(*tensor);
      if (!values || values->size() != 1) return std::nullopt;
      (k == 1 ? bounds.low : bounds.high) = values->front();
      bounds.type = tensor->data_type;
    }
    return bounds;
  }

  static std::optional<double> inside(std::optional<double> value, const Bounds& bounds) {
    if (!value) return value;
    if (bounds.low) value = std::max(*value, *bounds.low);
    if (bounds.high) value = std::min(*value, *bounds.high);
    return value;
  }

  /// Makes `node` leave what both leave. The ends of the first range, cut to the second, are its range.
  static bool merge(Graph& graph, const Bounds& first, const Bounds& second, Node& node,
                    const PassContext& context, FreshNames& names) {
    if (first.is_relu && second.is_relu) return true;
    Bounds both;
    both.low = first.low ? inside(first.low, second) : second.low;
    both.high = first.high ? inside(first.high, second) : second.high;
    both.type = first.type != DataType::undefined ? first.type : second.type;
    if (context.opset < kBoundsAreInputs) {
      set_attributes(node, both);
      return true;
    }
    if (both.type != DataType::float32) {
      // No new bounds can be made, but those of a Clip may do for both. Without a bound it still cuts off
      // infinities, which Relu does not.
      return !second.is_relu && both.low == second.low && both.high == second.high;
    }
    const std::string base = node.outputs[0];
    node.inputs.resize(1);
    node.attributes.clear();
    const auto add = [&](const char* what, const std::optional<double>& bound) {
      node.inputs.push_back(
          bound ? add_initializer(graph, names,
                                  make_tensor(base + what, {}, std::vector{static_cast<float>(*bound)}))
                : std::string());
    };
    add("_min", both.low);
    add("_max", both.high);
    while (node.inputs.back().empty()) node.inputs.pop_back();
    node.op_type = "Clip";
    return true;
  }

  static void set_attributes(Node& node, const Bounds& bounds) {
    node.op_type = "Clip";
    node.attributes.clear();
    const auto add = [&](const char* name, const std::optional<double>& bound) {
      if (!bound) return;
      Attribute attribute;
      attribute.name = name;
      attribute.type = AttributeType::float_number;
      attribute.value = static_cast<float>(*bound);
      node.attributes.push_back(std::move(attribute));
    };
    add("min", bounds.low);
    add("max", bounds.high);
  }
};

}  // namespace

std::unique_ptr<Pass> make_activation_folding() {
  return std::make_unique<ActivationFolding>();
}

}  // namespace joulery::onnx
