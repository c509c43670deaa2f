#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/engine.hpp"
#include "onnx/model.hpp"
#include "onnx/precision_request.hpp"

namespace joulery::engine {

/// A node that the model asks to be computed with fewer bits, and what became of it.
struct RequestedOperator {
  std::string node;
  std::string op_type;
  onnx::LowPrecisionForm form = onnx::LowPrecisionForm::quantise_pair;
  /// Nothing if the engine tells of no operator after this node: merged into another, or under a new name.
  std::optional<bool> is_low;
  /// What computed it, if that is known.
  std::string kernel, precision;
  double seconds = 0;
};

/// What of a model really ran with fewer bits. Seconds are of all profiled calls.
struct PrecisionReport {
  std::vector<RequestedOperator> requested;
  std::size_t low = 0;      // of `requested`
  std::size_t not_low = 0;  // the rest was not found
  double total_seconds = 0;
  /// Of operators that ran with fewer bits, whether asked for or not.
  double low_seconds = 0;
  /// Of operators that only change type or layout.
  double boundary_seconds = 0;
  /// These, the longest first.
  std::vector<OperatorTime> boundaries;
};

/// Finds the model's nodes again among the engine's operators, by their names and those of their outputs.
/// Give nodes names first (onnx::name_nodes), in the model that is loaded too.
PrecisionReport precision_report(const onnx::Model& model, std::span<const OperatorTime> times);

}  // namespace joulery::engine
