#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "onnx/model.hpp"

namespace joulery::onnx {

/// What is known of a tensor value: every dimension is a size.
struct ValueShape {
  DataType type = DataType::undefined;
  std::vector<std::int64_t> dims;
  bool operator==(const ValueShape&) const = default;
};
/// By the value's name, of the main graph.
using ValueShapes = std::unordered_map<std::string, ValueShape>;

/// What the model itself says: its initializers, and the values whose declared dimensions are all sizes. The
/// declarations are the file's claim; `real_shapes` asks an engine.
ValueShapes declared_shapes(const Model& model);

}  // namespace joulery::onnx
