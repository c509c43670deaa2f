#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "onnx/evaluator.hpp"
#include "onnx/model.hpp"
#include "onnx/value_shapes.hpp"

namespace joulery::onnx {

struct RealShapes {
  /// Of every input, initializer and value of the main graph that could be found out.
  ValueShapes shapes;
  /// Values that have none: sequences and maps, and what the evaluator refuses to give.
  std::vector<std::string> unknown;
};

struct RealShapesOptions {
  /// Values asked for in one run.
  std::size_t values_at_a_time = 1000;
  /// Runs and loads in all. A value that an engine refuses spoils those it is asked for with, so these are
  /// asked for again in halves; when no more are left, the rest is unknown.
  std::size_t most_evaluations = 200;
};

/// Shapes and types of all values of the main graph as they are in one run on `inputs`, one for each input
/// of the graph that has no value of its own: nothing is inferred, and what the file claims is not believed.
/// Only shapes leave the run, so it takes the memory that the model takes. The model stays as it is. User
/// error if an input is missing; the evaluator's if not even the model alone runs.
Result<RealShapes> real_shapes(const Model& model, std::span<const Tensor> inputs, Evaluator& evaluator,
                               const RealShapesOptions& options = {});

/// Shapes alone, of these values of the main graph. What they do not need is not run.
Result<RealShapes> real_shapes_of(const Model& model, const std::vector<std::string>& values,
                                  std::span<const Tensor> inputs, Evaluator& evaluator,
                                  const RealShapesOptions& options = {});

}  // namespace joulery::onnx
