#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>

#include "onnx/evaluator.hpp"
#include "onnx/model.hpp"
#include "onnx/value_shapes.hpp"

namespace joulery::onnx {

/// What all trips through the bodies of a node make together; nothing where that is not known.
struct BodyCost {
  std::optional<std::uint64_t> macs;
  std::optional<std::uint64_t> other_operations;
};
/// By the index of the node in the main graph.
using BodyCosts = std::unordered_map<std::size_t, BodyCost>;

/// The cost of Scan, Loop and If, with shapes as they are in a run on `inputs`; `shapes` are those of the
/// main graph in the same run. The trips of a Loop are known if their number is a constant and nothing ends
/// it early; its shapes must be the same in the first trip and the last. Of an If both branches must cost the
/// same, unless its condition is a constant. What can't be found out is left out. The model stays as it is.
BodyCosts body_costs(const Model& model, std::span<const Tensor> inputs, const ValueShapes& shapes,
                     Evaluator& evaluator);

/// True if no operator in the bodies of a node multiplies, whatever its shapes are.
bool has_bodies_without_macs(const Node& node);

}  // namespace joulery::onnx
