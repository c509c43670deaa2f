#include "onnx/real_shapes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_set>
#include <utility>

#include "base/text.hpp"
#include "onnx/ask_in_groups.hpp"
#include "onnx/check.hpp"
#include "onnx/edit.hpp"
#include "onnx/tensor_values.hpp"

namespace joulery::onnx {
namespace {

using Names = std::vector<std::string>;

/// Nodes that do nothing for these values.
std::set<std::size_t> not_needed(const Graph& graph, const Names& values) {
  std::unordered_set<std::string> needed(values.begin(), values.end());
  std::set<std::size_t> idle;
  for (std::size_t i = graph.nodes.size(); i-- > 0;) {
    const Node& node = graph.nodes[i];
    if (std::ranges::none_of(node.outputs, [&](const std::string& name) { return needed.contains(name); })) {
      idle.insert(i);
      continue;
    }
    needed.insert(node.inputs.begin(), node.inputs.end());
    for (const Attribute& attribute : node.attributes) {
      const auto take = [&](const Graph& inner) {
        for (const std::string& name : outer_values(inner)) needed.insert(name);
      };
      if (const auto* inner = std::get_if<Box<Graph>>(&attribute.value)) take(**inner);
      if (const auto* list = std::get_if<std::vector<Graph>>(&attribute.value))
        std::ranges::for_each(*list, take);
    }
  }
  return idle;
}

class ShapeQuestion {
 public:
  ShapeQuestion(const Model& model, std::span<const Tensor> inputs, Evaluator& evaluator)
      : model_(model), inputs_(inputs), evaluator_(evaluator) {
    // Declared shapes of inner values may be wrong, and are not needed.
    model_.graph->value_infos.clear();
    const bool knows_shape = std::ranges::any_of(
        model_.opset_imports, [](const OpsetId& opset) { return canonical_domain(opset.domain).empty(); });
    if (!knows_shape) model_.opset_imports.push_back({"", kOldestOpset, {}});
  }

  /// Adds a Shape node for each value; only these give outputs, and only what they need is run.
  Status ask_shapes(const Names& values, ValueShapes& shapes) {
    Model asked = model_;
    Graph& graph = *asked.graph;
    remove_nodes(graph, not_needed(graph, values));
    FreshNames names(graph);
    graph.outputs.clear();
    for (const std::string& value : values) {
      Node node;
      node.op_type = "Shape";
      node.inputs = {value};
      node.outputs = {names.make(value + "_shape")};
      graph.outputs.push_back(ValueInfo{.name = node.outputs[0],
                                        .type = Type{TensorType{DataType::int64, std::nullopt, {}}, "", {}},
                                        .doc_string = {},
                                        .metadata = {},
                                        .unknown = {}});
      graph.nodes.push_back(std::move(node));
    }
    auto answers = evaluator_.evaluate(asked, inputs_);
    if (!answers) return std::unexpected(std::move(answers).error());
    if (answers->size() != values.size()) return internal_error("the engine gave other outputs");
    for (std::size_t i = 0; i < values.size(); ++i) {
      JOULERY_ASSIGN(std::vector<std::int64_t> dims, integer_values((*answers)[i]));
      if (!element_count(dims)) return internal_error("the engine gave a shape that can't be");
      shapes[values[i]].dims = std::move(dims);
    }
    return {};
  }

  /// Makes the values outputs, of whatever type they are, without a run.
  Status ask_types(const Names& values, ValueShapes& shapes) {
    Graph& graph = *model_.graph;
    graph.outputs.clear();
    for (const std::string& value : values) {
      ValueInfo output;
      output.name = value;
      graph.outputs.push_back(std::move(output));
    }
    JOULERY_ASSIGN(const std::vector<DataType> types, evaluator_.output_types(model_, inputs_));
    if (types.size() != values.size()) return internal_error("the engine gave other outputs");
    for (std::size_t i = 0; i < values.size(); ++i) shapes[values[i]].type = types[i];
    return {};
  }

 private:
  Model model_;
  std::span<const Tensor> inputs_;
  Evaluator& evaluator_;
};

Status check_inputs(const Graph& graph, std::span<const Tensor> inputs) {
  std::unordered_set<std::string_view> given;
  for (const Tensor& input : inputs) given.insert(input.name);
  for (const Tensor& tensor : graph.initializers) given.insert(tensor.name);
  for (const ValueInfo& input : graph.inputs) {
    if (!given.contains(input.name)) {
      return user_error(fmt::format("input '{}' has no values", printable(input.name)),
                        "shapes are found by a run, which needs all inputs");
    }
  }
  return {};
}

}  // namespace

Result<RealShapes> real_shapes(const Model& model, std::span<const Tensor> inputs, Evaluator& evaluator,
                               const RealShapesOptions& options) {
  RealShapes result;
  if (!model.graph.has_value()) return result;
  const Graph& graph = *model.graph;
  JOULERY_CHECK_OK(check_inputs(graph, inputs));
  for (const Tensor& tensor : graph.initializers)
    result.shapes[tensor.name] = {tensor.data_type, tensor.dims};
  for (const Tensor& tensor : inputs) {
    result.shapes.emplace(tensor.name, ValueShape{tensor.data_type, tensor.dims});
  }
  Names values;
  for (const Node& node : graph.nodes) {
    std::ranges::copy_if(node.outputs, std::back_inserter(values),
                         [](const std::string& name) { return !name.empty(); });
  }
  if (values.empty()) return result;
  ShapeQuestion question(model, inputs, evaluator);
  ValueShapes found;
  JOULERY_CHECK_OK(ask_in_groups(values, options.values_at_a_time, options.most_evaluations, result.unknown,
                                 [&](const Names& group) { return question.ask_shapes(group, found); }));
  std::erase_if(values, [&](const std::string& name) { return !found.contains(name); });
  // A type that is refused leaves its shape: what counts multiplications needs no more.
  Names without_type;
  static_cast<void>(ask_in_groups(values, options.values_at_a_time, options.most_evaluations, without_type,
                                  [&](const Names& group) { return question.ask_types(group, found); }));
  result.shapes.merge(found);
  return result;
}

Result<RealShapes> real_shapes_of(const Model& model, const std::vector<std::string>& values,
                                  std::span<const Tensor> inputs, Evaluator& evaluator,
                                  const RealShapesOptions& options) {
  RealShapes result;
  if (!model.graph.has_value()) return result;
  JOULERY_CHECK_OK(check_inputs(*model.graph, inputs));
  ShapeQuestion question(model, inputs, evaluator);
  JOULERY_CHECK_OK(
      ask_in_groups(values, options.values_at_a_time, options.most_evaluations, result.unknown,
                    [&](const Names& group) { return question.ask_shapes(group, result.shapes); }));
  return result;
}

}  // namespace joulery::onnx
