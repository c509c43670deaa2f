#include "engine/evaluator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <unordered_set>

#include "base/text.hpp"
#include "onnx/encode.hpp"
#include "onnx/tensor_values.hpp"
#include "onnx/write.hpp"

namespace joulery::engine {
namespace {

constexpr std::array<onnx::DataType, data::kDataTypes> kTypes{
    onnx::DataType::undefined, onnx::DataType::float32, onnx::DataType::float16, onnx::DataType::bfloat16,
    onnx::DataType::float64,   onnx::DataType::int8,    onnx::DataType::int16,   onnx::DataType::int32,
    onnx::DataType::int64,     onnx::DataType::uint8,   onnx::DataType::uint16,  onnx::DataType::uint32,
    onnx::DataType::uint64,    onnx::DataType::boolean};

const onnx::Tensor* find(std::span<const onnx::Tensor> tensors, const std::string& name) {
  const auto found = std::ranges::find(tensors, name, &onnx::Tensor::name);
  return found == tensors.end() ? nullptr : &*found;
}

/// Inputs that have no value of their own.
std::vector<std::string> open_inputs(const onnx::Graph& graph) {
  std::unordered_set<std::string_view> own;
  for (const onnx::Tensor& tensor : graph.initializers) own.insert(tensor.name);
  std::vector<std::string> names;
  for (const onnx::ValueInfo& input : graph.inputs) {
    if (!own.contains(input.name)) names.push_back(input.name);
  }
  return names;
}

Result<data::Tensor> copy_of(const onnx::Tensor& tensor, const Port& port) {
  JOULERY_ASSIGN(const data::Shape shape, data::Shape::create(tensor.dims));
  JOULERY_ASSIGN(data::Tensor copy, data::Tensor::create(data_type_of(tensor.data_type), shape));
  JOULERY_ASSIGN(const onnx::SharedBytes raw, onnx::raw_bytes(tensor));
  if (raw.size() != copy.view().bytes) {
    return internal_error(fmt::format("the values for '{}' do not fill their shape", printable(port.name)));
  }
  std::ranges::copy(raw.span(), reinterpret_cast<std::uint8_t*>(copy.view().data));
  return copy;
}

onnx::Tensor tensor_of(const std::string& name, const data::TensorView& view) {
  onnx::Tensor tensor;
  tensor.name = name;
  tensor.data_type = onnx_type_of(view.type);
  tensor.dims.assign(view.shape.dimensions().begin(), view.shape.dimensions().end());
  tensor.storage = onnx::TensorStorage::raw;
  tensor.data =
      onnx::SharedBytes::copy_of(std::span(reinterpret_cast<const std::uint8_t*>(view.data), view.bytes));
  return tensor;
}

}  // namespace

onnx::DataType onnx_type_of(data::DataType type) {
  const auto index = static_cast<std::size_t>(type);
  return index < kTypes.size() ? kTypes[index] : onnx::DataType::undefined;
}

data::DataType data_type_of(onnx::DataType type) {
  const auto* const found = std::ranges::find(kTypes, type);
  return found == kTypes.end() ? data::DataType::unknown
                               : static_cast<data::DataType>(std::distance(kTypes.begin(), found));
}

Result<std::unique_ptr<Session>> EngineEvaluator::load(const onnx::Model& model,
                                                       std::span<const onnx::Tensor> inputs) {
  if (!model.graph.has_value()) return internal_error("a model without a graph can't be run");
  JOULERY_ASSIGN(const onnx::Model whole, onnx::with_own_data(model));
  const std::vector<onnx::SharedBytes> pieces = onnx::encode_model(whole);
  if (onnx::total_size(pieces) > onnx::kLargestModelBytes) {
    return environment_error("the model with its data has 2 GB or more, which no engine takes as bytes");
  }
  const onnx::SharedBytes bytes = onnx::join(pieces);
  ModelSource source{.bytes = std::as_bytes(bytes.span()), .input_names = open_inputs(*model.graph)};
  for (const onnx::ValueInfo& output : model.graph->outputs) source.output_names.push_back(output.name);
  SessionOptions options;
  options.threads = 1;
  options.flush_denormals = false;
  options.optimisation = Optimisation::none;
  for (const std::string& name : source.input_names) {
    const onnx::Tensor* tensor = find(inputs, name);
    if (tensor == nullptr) return user_error(fmt::format("input '{}' has no values", printable(name)));
    JOULERY_ASSIGN(const data::Shape shape, data::Shape::create(tensor->dims));
    options.shapes.push_back({name, shape});
  }
  return engine_.load(source, options);
}

Result<std::vector<onnx::Tensor>> EngineEvaluator::evaluate(const onnx::Model& model,
                                                            std::span<const onnx::Tensor> inputs) {
  JOULERY_ASSIGN(const std::unique_ptr<Session> session, load(model, inputs));
  std::vector<data::Tensor> copies;
  for (std::size_t i = 0; i < session->inputs().size(); ++i) {
    const Port& port = session->inputs()[i];
    // load() has seen that it is there.
    const onnx::Tensor* tensor = find(inputs, port.name);
    if (tensor == nullptr) return internal_error(fmt::format("no input '{}'", printable(port.name)));
    JOULERY_ASSIGN(data::Tensor copy, copy_of(*tensor, port));
    copies.push_back(std::move(copy));
    JOULERY_CHECK_OK(session->bind_input(i, copies.back().view()));
  }
  JOULERY_CHECK_OK(session->run());
  std::vector<onnx::Tensor> results;
  for (std::size_t i = 0; i < session->outputs().size(); ++i) {
    JOULERY_ASSIGN(const data::TensorView view, session->output(i));
    results.push_back(tensor_of(session->outputs()[i].name, view));
  }
  return results;
}

Result<std::vector<onnx::DataType>> EngineEvaluator::output_types(const onnx::Model& model,
                                                                  std::span<const onnx::Tensor> inputs) {
  JOULERY_ASSIGN(const std::unique_ptr<Session> session, load(model, inputs));
  std::vector<onnx::DataType> types;
  for (const Port& port : session->outputs()) types.push_back(onnx_type_of(port.type));
  return types;
}

}  // namespace joulery::engine
