#pragma once

#include <span>
#include <vector>

#include "engine/engine.hpp"
#include "onnx/evaluator.hpp"

namespace joulery::engine {

/// Runs models for the room `onnx` in an engine that outlives it: a contained one, unless the model is
/// trusted. One thread, nothing rewritten, f32, denormals as they are. A model is given as bytes, so together
/// with its data it must have less than 2 GB.
class EngineEvaluator final : public onnx::Evaluator {
 public:
  explicit EngineEvaluator(Engine& engine) : engine_(engine) {}
  Result<std::vector<onnx::Tensor>> evaluate(const onnx::Model& model,
                                             std::span<const onnx::Tensor> inputs) override;
  Result<std::vector<onnx::DataType>> output_types(const onnx::Model& model,
                                                   std::span<const onnx::Tensor> inputs) override;

 private:
  Result<std::unique_ptr<Session>> load(const onnx::Model& model, std::span<const onnx::Tensor> inputs);
  Engine& engine_;
};

/// The same type of elements in the numbers of ONNX; undefined and unknown for those that the other lacks.
onnx::DataType onnx_type_of(data::DataType type);
data::DataType data_type_of(onnx::DataType type);

}  // namespace joulery::engine
