#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "onnx/body_costs.hpp"
#include "onnx/model.hpp"
#include "onnx/value_shapes.hpp"

namespace joulery::onnx {

/// What one node of the main graph computes in one run. Sums that do not fit 64 bits stay at the largest
/// number.
struct OperatorCost {
  std::string node;  // its name; may be empty
  std::string op_type;
  std::string domain;
  /// Multiply-accumulates, as if done in full: zeros of padding count, additions of a bias do not. Nothing if
  /// the shapes that decide it are not known.
  std::optional<std::uint64_t> macs;
  /// Operations that are not multiply-accumulates, one for each element that is made: of a pool for each
  /// element of its window, of a reduction for each that it takes. 0 for operators that only move data.
  std::optional<std::uint64_t> other_operations;
};

struct ModelCost {
  /// Elements of the weights that the main graph or a subgraph takes, each initializer once however many take
  /// it. Constant nodes count as initializers do. Whole numbers of 64 bits, truth values and texts are shapes
  /// and indices, not weights. Packed weights of MatMulNBits and its kin count as what they stand for.
  std::uint64_t parameters = 0;
  /// Of everything counted above and of what is not a weight too, by element type.
  std::map<DataType, std::uint64_t> weight_bytes;
  std::uint64_t macs = 0;
  std::uint64_t other_operations = 0;
  /// In the graph's order.
  std::vector<OperatorCost> operators;
  /// Nodes left out of a sum: shapes unknown, bodies that are not known, calls of functions. Their indices.
  std::vector<std::size_t> uncounted;
  /// Those of them that are left out of the MACs.
  std::vector<std::size_t> without_macs;

  std::uint64_t total_weight_bytes() const;
};

/// What a run of a sound model costs, with these shapes of its values (`real_shapes`, or `declared_shapes`),
/// and this cost of nodes that have bodies (`body_costs`).
ModelCost model_cost(const Model& model, const ValueShapes& shapes, const BodyCosts& bodies = {});

}  // namespace joulery::onnx
