#pragma once

#include <span>
#include <vector>

#include "base/result.hpp"
#include "onnx/model.hpp"

namespace joulery::onnx {

/// Runs models for this room, which knows no engine. Whoever makes one sees to it that an untrusted model can
/// do no harm there: what comes here has been checked, but not more.
class Evaluator {
 public:
  virtual ~Evaluator() = default;
  /// Runs the model once on inputs of these names, as it is: nothing may be merged away that is an output.
  /// Gives the graph's outputs in their order, named as there, with raw data. Outputs need not have a type in
  /// the model.
  virtual Result<std::vector<Tensor>> evaluate(const Model& model, std::span<const Tensor> inputs) = 0;
  /// Element types of the graph's outputs in their order, without a run. `inputs` have the shapes that count.
  virtual Result<std::vector<DataType>> output_types(const Model& model, std::span<const Tensor> inputs) = 0;
};

}  // namespace joulery::onnx
