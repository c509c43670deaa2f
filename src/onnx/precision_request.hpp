#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "onnx/model.hpp"

namespace joulery::onnx {

/// How a model asks that a node be computed with fewer bits.
enum class LowPrecisionForm : std::uint8_t {
  /// Its inputs come from DequantizeLinear, and its output goes to QuantizeLinear or its weights are
  /// quantised.
  quantise_pair,
  /// Floats meet weights that come from DequantizeLinear: the weights alone are smaller.
  weights_only,
  /// The operator itself takes whole numbers: QLinearConv, MatMulInteger, …
  integer_operator,
  /// Weights of a few bits, packed: MatMulNBits, …
  packed_weights,
};
const char* low_precision_form_name(LowPrecisionForm form);

/// A node of the main graph that the model asks to be computed with fewer bits.
struct LowPrecisionRequest {
  std::size_t index = 0;
  LowPrecisionForm form = LowPrecisionForm::quantise_pair;
  bool operator==(const LowPrecisionRequest&) const = default;
};

/// These nodes, in the graph's order. QuantizeLinear and DequantizeLinear themselves are none, nor are nodes
/// that only move data.
std::vector<LowPrecisionRequest> low_precision_requests(const Model& model);

/// Gives every node of the main graph a name of its own, so that what an engine tells of it can be found
/// again: names that are there and not doubled stay. How many were given.
std::size_t name_nodes(Model& model);

}  // namespace joulery::onnx
