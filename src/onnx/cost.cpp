#include "onnx/cost.hpp"

#include <string_view>
#include <unordered_set>

#include "onnx/edit.hpp"
#include "onnx/functions.hpp"
#include "onnx/operator_macs.hpp"
#include "onnx/passes/pattern.hpp"

namespace joulery::onnx {
namespace {

bool is_weight(DataType type) {
  return type != DataType::int64 && type != DataType::uint64 && type != DataType::boolean &&
         type != DataType::string && type != DataType::undefined;
}

/// Bits of one weight in a tensor of bytes that several weights are packed into; nothing for other operators.
std::optional<std::int64_t> packed_bits(const Node& node) {
  if (node.domain != "com.microsoft") return std::nullopt;
  if (node.op_type == "MatMulBnb4") return 4;
  if (node.op_type != "MatMulNBits") return std::nullopt;
  const Attribute* bits = node.attribute("bits");
  const auto* number = bits == nullptr ? nullptr : std::get_if<std::int64_t>(&bits->value);
  return number == nullptr ? 4 : *number;
}

class WeightCounter {
 public:
  explicit WeightCounter(ModelCost& cost) : cost_(cost) {}

  void count(const Graph& graph) {
    const GraphIndex index(graph);
    std::map<std::string_view, std::int64_t> packed;
    for (const Node& node : graph.nodes) {
      const auto bits = packed_bits(node);
      if (bits && *bits > 0 && *bits < 8 && node.inputs.size() > 1) packed.emplace(node.inputs[1], *bits);
    }
    for (const Tensor& tensor : graph.initializers) {
      if (index.is_unused(tensor.name)) continue;
      const auto bits = packed.find(tensor.name);
      add(tensor, bits == packed.end() ? 1 : static_cast<std::uint64_t>(8 / bits->second));
    }
    for (const SparseTensor& sparse : graph.sparse_initializers) {
      if (sparse.values && !index.is_unused(sparse.values->name)) add(*sparse.values, 1);
    }
    for (const Node& node : graph.nodes) count_node(node, index);
  }

 private:
  void count_node(const Node& node, const GraphIndex& index) {
    const bool is_constant = node.op_type == "Constant" && canonical_domain(node.domain).empty();
    for (const Attribute& attribute : node.attributes) {
      if (const auto* inner = std::get_if<Box<Graph>>(&attribute.value)) count(**inner);
      if (const auto* list = std::get_if<std::vector<Graph>>(&attribute.value)) {
        for (const Graph& inner : *list) count(inner);
      }
      const auto* tensor = std::get_if<Box<Tensor>>(&attribute.value);
      const bool is_used = !node.outputs.empty() && !index.is_unused(node.outputs[0]);
      if (is_constant && tensor != nullptr && is_used) add(**tensor, 1);
    }
  }

  void add(const Tensor& tensor, std::uint64_t weights_in_each) {
    // Two external tensors that are the same part of the same file are tied.
    const bool lies_outside = tensor.storage == TensorStorage::external && tensor.attached;
    if (lies_outside && !tensor.data.empty() && !seen_.insert(tensor.data.data()).second) return;
    const auto elements = element_count(tensor.dims);
    if (!elements) return;
    if (is_weight(tensor.data_type)) {
      cost_.parameters = sum(cost_.parameters, product(*elements, weights_in_each));
    }
    if (const auto bytes = raw_size(tensor.data_type, *elements)) {
      auto& of_type = cost_.weight_bytes[tensor.data_type];
      of_type = sum(of_type, *bytes);
    }
  }

  ModelCost& cost_;
  std::unordered_set<const std::uint8_t*> seen_;
};

}  // namespace

std::uint64_t ModelCost::total_weight_bytes() const {
  std::uint64_t total = 0;
  for (const auto& [type, bytes] : weight_bytes) total = sum(total, bytes);
  return total;
}

ModelCost model_cost(const Model& model, const ValueShapes& shapes, const BodyCosts& bodies) {
  ModelCost cost;
  if (!model.graph.has_value()) return cost;
  WeightCounter(cost).count(*model.graph);
  const FunctionTable functions(model);
  const std::vector<Node>& nodes = model.graph->nodes;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const Node& node = nodes[i];
    OperatorCost item{node.name, node.op_type, node.domain, {}, {}};
    if (!has_subgraph(node) && functions.find(node) == nullptr) {
      item.macs = operator_macs(node, shapes);
      item.other_operations = other_operations(node, shapes);
    }
    if (has_subgraph(node) && functions.find(node) == nullptr) {
      const auto body = bodies.find(i);
      if (body != bodies.end()) {
        item.macs = body->second.macs;
        item.other_operations = body->second.other_operations;
      } else if (has_bodies_without_macs(node)) {
        item.macs = 0;
      }
    }
    if (!item.macs) cost.without_macs.push_back(i);
    if (!item.macs || !item.other_operations) cost.uncounted.push_back(i);
    cost.macs = sum(cost.macs, item.macs.value_or(0));
    cost.other_operations = sum(cost.other_operations, item.other_operations.value_or(0));
    cost.operators.push_back(std::move(item));
  }
  return cost;
}

}  // namespace joulery::onnx
