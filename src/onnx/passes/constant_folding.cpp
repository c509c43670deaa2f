#include <algorithm>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "onnx/ask_in_groups.hpp"
#include "onnx/edit.hpp"
#include "onnx/passes/pass.hpp"
#include "onnx/passes/pattern.hpp"
#include "onnx/tensor_values.hpp"

namespace joulery::onnx {
namespace {

/// Values asked for in one run; engines take some thousands.
constexpr std::size_t kValuesAtATime = 1000;
/// Nodes looked at on the way back to what a value is made of.
constexpr std::size_t kFarthestBack = 1000;

std::uint64_t bytes_of(const Tensor& tensor) {
  const auto elements = element_count(tensor.dims);
  return elements ? raw_size(tensor.data_type, *elements).value_or(0) : 0;
}

/// The tensor that a Constant node gives; nothing for texts and sparse ones.
std::optional<Tensor> tensor_of(const Node& node) {
  if (!is_standard(node, "Constant") || node.attributes.size() != 1) return std::nullopt;
  const Attribute& given = node.attributes[0];
  if (const auto* tensor = std::get_if<Box<Tensor>>(&given.value)) {
    const bool is_text = (*tensor)->storage == TensorStorage::strings;
    return is_text ? std::nullopt : std::optional<Tensor>(**tensor);
  }
  if (const auto* number = std::get_if<float>(&given.value)) return make_tensor("", {}, std::vector{*number});
  if (const auto* number = std::get_if<std::int64_t>(&given.value))
    return make_tensor("", {}, std::vector{*number});
  if (const auto* list = std::get_if<std::vector<float>>(&given.value))
    return make_tensor("", {std::ssize(*list)}, *list);
  if (const auto* list = std::get_if<std::vector<std::int64_t>>(&given.value))
    return make_tensor("", {std::ssize(*list)}, *list);
  return std::nullopt;
}

std::size_t lift_constants(Graph& graph) {
  const GraphIndex index(graph);
  std::set<std::size_t> gone;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    if (node.outputs.size() != 1 || node.outputs[0].empty() || index.is_output(node.outputs[0])) continue;
    auto tensor = tensor_of(node);
    if (!tensor) continue;
    tensor->name = node.outputs[0];
    graph.initializers.push_back(std::move(*tensor));
    gone.insert(i);
  }
  remove_nodes(graph, gone);
  return gone.size();
}

/// One graph, whose constants were lifted.
class Folding {
 public:
  Folding(Graph& graph, const PassContext& context, const ConstantFoldingLimits& limits)
      : graph_(graph),
        context_(context),
        limits_(limits),
        index_(graph),
        constants_(graph, context.ir_version),
        foldable_(graph.nodes.size(), false) {
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) foldable_[i] = can_fold(graph.nodes[i]);
  }

  std::size_t apply(Evaluator& evaluator) {
    std::vector<std::string> wanted;
    for (std::size_t i = 0; i < foldable_.size(); ++i) {
      if (!foldable_[i]) continue;
      for (const std::string& output : graph_.nodes[i].outputs) {
        if (!output.empty() && !index_.is_unused(output)) wanted.push_back(output);
      }
    }
    std::vector<std::string> refused;
    // What no engine gives stays as it is.
    static_cast<void>(
        ask_in_groups(wanted, kValuesAtATime, limits_.most_evaluations, refused,
                      [&](const std::vector<std::string>& values) { return evaluate(values, evaluator); }));
    // Who takes a value is decided on before who makes it.
    for (std::size_t i = foldable_.size(); i-- > 0;) {
      if (foldable_[i] && fold(i)) gone_.insert(i);
    }
    remove_nodes(graph_, gone_);
    std::ranges::move(added_, std::back_inserter(graph_.initializers));
    return gone_.size();
  }

 private:
  bool can_fold(const Node& node) {
    if (!canonical_domain(node.domain).empty() || !node.overload.empty()) return false;
    if (node.inputs.empty() || has_subgraph(node) || is_by_chance(node)) return false;
    if (node.op_type == "DequantizeLinear") return false;
    const bool is_constant = std::ranges::all_of(node.inputs, [&](const std::string& input) {
      return input.empty() || made_.contains(input) || constants_.find(graph_, input) != nullptr;
    });
    if (is_constant) made_.insert(node.outputs.begin(), node.outputs.end());
    return is_constant;
  }

  /// Computes values with the nodes that they need, and no others.
  Status evaluate(const std::vector<std::string>& values, Evaluator& evaluator) {
    std::set<std::size_t> nodes;
    std::set<std::string> initializers;
    std::vector<std::string> open(values.begin(), values.end());
    while (!open.empty()) {
      const std::string value = std::move(open.back());
      open.pop_back();
      const std::size_t maker = index_.producer(value);
      if (maker == GraphIndex::kNone) {
        initializers.insert(value);
      } else if (nodes.insert(maker).second) {
        std::ranges::copy_if(graph_.nodes[maker].inputs, std::back_inserter(open),
                             [](const std::string& input) { return !input.empty(); });
      }
    }
    Model model;
    model.ir_version = std::max<std::int64_t>(context_.ir_version, 4);
    model.opset_imports.assign(context_.opset_imports.begin(), context_.opset_imports.end());
    Graph& part = model.graph.emplace();
    part.name = "constants";
    for (const std::size_t i : nodes) part.nodes.push_back(graph_.nodes[i]);
    for (const std::string& name : initializers) {
      if (const Tensor* tensor = constants_.find(graph_, name)) part.initializers.push_back(*tensor);
    }
    for (const std::string& value : values) {
      part.outputs.emplace_back();
      part.outputs.back().name = value;
    }
    JOULERY_ASSIGN(std::vector<Tensor> results, evaluator.evaluate(model, {}));
    if (results.size() != values.size()) return internal_error("the engine gave other outputs");
    for (std::size_t i = 0; i < values.size(); ++i) {
      results[i].name = values[i];
      if (!tensor_fault(results[i])) results_.insert_or_assign(values[i], std::move(results[i]));
    }
    return {};
  }

  /// Decides on a node; true if it goes.
  bool fold(std::size_t i) {
    std::vector<const Tensor*> needed;
    for (const std::string& output : graph_.nodes[i].outputs) {
      if (output.empty()) continue;
      // Only a node can give an output its name.
      if (index_.is_output(output)) return false;
      const bool is_taken = std::ranges::any_of(
          index_.consumers(output), [&](std::size_t consumer) { return !gone_.contains(consumer); });
      if (!is_taken) continue;
      const auto found = results_.find(output);
      if (found == results_.end()) return false;
      needed.push_back(&found->second);
    }
    if (!needed.empty() && !may_add(i, needed)) return false;
    for (const Tensor* tensor : needed) added_.push_back(*tensor);
    return true;
  }

  bool may_add(std::size_t i, const std::vector<const Tensor*>& tensors) {
    std::uint64_t bytes = 0;
    std::uint64_t elements = 0;
    for (const Tensor* tensor : tensors) {
      bytes += bytes_of(*tensor);
      elements += element_count(tensor->dims).value_or(0);
    }
    const Source source = source_of(i);
    if (bytes <= source.bytes) return true;
    if (bytes > limits_.small_bytes || (source.is_tied && elements > limits_.shape_elements)) return false;
    if (growth_ + bytes > limits_.most_growth_bytes) return false;
    growth_ += bytes;
    return true;
  }

  /// What a node's results are made of.
  struct Source {
    /// Of initializers that only this node needs, itself or by way of nodes that only it needs: they go with
    /// it.
    std::uint64_t bytes = 0;
    /// Somebody else takes weights of it too.
    bool is_tied = false;
  };
  Source source_of(std::size_t i) const {
    Source source;
    std::vector<std::size_t> open{i};
    std::unordered_set<std::string_view> seen;
    for (std::size_t steps = 0; !open.empty(); ++steps) {
      if (steps == kFarthestBack) return {.bytes = 0, .is_tied = true};
      const Node& node = graph_.nodes[open.back()];
      open.pop_back();
      for (const std::string& input : node.inputs) {
        if (input.empty() || !seen.insert(input).second) continue;
        const std::size_t maker = index_.producer(input);
        const Tensor* constant = constants_.find(graph_, input);
        if (only_consumer(index_, input) == GraphIndex::kNone || makes_more(maker)) {
          const auto result = results_.find(input);
          const Tensor* shared = constant != nullptr        ? constant
                                 : result != results_.end() ? &result->second
                                                            : nullptr;
          source.is_tied = source.is_tied || shared == nullptr ||
                           element_count(shared->dims).value_or(0) > limits_.shape_elements;
        } else if (constant != nullptr) {
          source.bytes += bytes_of(*constant);
        } else if (maker != GraphIndex::kNone) {
          open.push_back(maker);
        }
      }
    }
    return source;
  }

  /// True if more than one output of a node is needed.
  bool makes_more(std::size_t maker) const {
    return maker != GraphIndex::kNone &&
           std::ranges::count_if(graph_.nodes[maker].outputs, [&](const std::string& output) {
             return !output.empty() && !index_.is_unused(output);
           }) > 1;
  }

  Graph& graph_;
  const PassContext& context_;
  const ConstantFoldingLimits& limits_;
  GraphIndex index_;
  Constants constants_;
  std::vector<bool> foldable_;
  std::unordered_set<std::string> made_;
  std::unordered_map<std::string, Tensor> results_;
  std::set<std::size_t> gone_;
  std::vector<Tensor> added_;
  std::uint64_t growth_ = 0;
};

class ConstantFolding : public Pass {
 public:
  ConstantFolding(Evaluator& evaluator, const ConstantFoldingLimits& limits)
      : evaluator_(evaluator), limits_(limits) {}
  std::string_view name() const override { return "constant folding"; }

 private:
  Result<Change> apply_impl(Graph& graph, const PassContext& context) const override {
    const std::size_t lifted = lift_constants(graph);
    return Change{lifted + Folding(graph, context, limits_).apply(evaluator_)};
  }

  Evaluator& evaluator_;
  ConstantFoldingLimits limits_;
};

}  // namespace

std::unique_ptr<Pass> make_constant_folding(Evaluator& evaluator, const ConstantFoldingLimits& limits) {
  return std::make_unique<ConstantFolding>(evaluator, limits);
}

}  // namespace joulery::onnx
