#include "onnx/value_shapes.hpp"

#include <algorithm>
#include <optional>
#include <variant>

namespace joulery::onnx {
namespace {

std::optional<ValueShape> shape_of(const ValueInfo& value) {
  const auto* type = value.type ? std::get_if<TensorType>(&value.type->value) : nullptr;
  if (type == nullptr || !type->shape) return std::nullopt;
  ValueShape shape{type->element, {}};
  for (const Dimension& dimension : type->shape->dimensions) {
    const auto* size = std::get_if<std::int64_t>(&dimension.size);
    if (size == nullptr || *size < 0) return std::nullopt;
    shape.dims.push_back(*size);
  }
  return shape;
}

}  // namespace

ValueShapes declared_shapes(const Model& model) {
  ValueShapes shapes;
  if (!model.graph.has_value()) return shapes;
  const Graph& graph = *model.graph;
  for (const Tensor& tensor : graph.initializers) shapes[tensor.name] = {tensor.data_type, tensor.dims};
  for (const auto* list : {&graph.inputs, &graph.value_infos, &graph.outputs}) {
    for (const ValueInfo& value : *list) {
      if (auto shape = shape_of(value)) shapes.emplace(value.name, std::move(*shape));
    }
  }
  return shapes;
}

}  // namespace joulery::onnx
