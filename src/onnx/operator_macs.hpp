#pragma once

#include <cstdint>
#include <limits>
#include <optional>

#include "onnx/model.hpp"
#include "onnx/value_shapes.hpp"

namespace joulery::onnx {

// Sums and products that stay at the largest number when it is reached: shapes may come from a hostile file.
inline std::uint64_t sum(std::uint64_t a, std::uint64_t b) {
  std::uint64_t result = 0;
  return __builtin_add_overflow(a, b, &result) ? std::numeric_limits<std::uint64_t>::max() : result;
}
inline std::uint64_t product(std::uint64_t a, std::uint64_t b) {
  std::uint64_t result = 0;
  return __builtin_mul_overflow(a, b, &result) ? std::numeric_limits<std::uint64_t>::max() : result;
}

/// Multiply-accumulates of a node without subgraphs, 0 for an operator that has none. Nothing if the shapes
/// that decide it are not known.
std::optional<std::uint64_t> operator_macs(const Node& node, const ValueShapes& shapes);
/// Operations of a node that are not multiply-accumulates, see OperatorCost.
std::optional<std::uint64_t> other_operations(const Node& node, const ValueShapes& shapes);

}  // namespace joulery::onnx
