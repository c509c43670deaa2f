#include "onnxruntime_session.hpp"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "engine/floating_mode.hpp"
#include "engine/plugin_adapter.hpp"
#include "engine/plugin_error.hpp"
#include "engine/runtime_profile.hpp"

namespace joulery::engine::onnxruntime {
namespace {

constexpr const char* kUpdateHint = "a newer release may have it: pip install --upgrade onnxruntime";

int fail_to_load(JouleryEngineError* error, OrtErrorCode code, const std::string& reason) {
  const std::string message = fmt::format("ONNX Runtime can't load the model: {}", reason);
  const auto says = [&](const char* part) { return reason.find(part) != std::string::npos; };
  if (code == ORT_NOT_IMPLEMENTED || says("is not a registered function/op") ||
      says("No Op registered for")) {
    return fail(
        error, Blame::environment, message,
        "it lacks an operator of the model: try another engine, or pip install --upgrade onnxruntime");
  }
  if (says("opset") || says("IR version")) return fail(error, Blame::environment, message, kUpdateHint);
  return fail(error, Blame::user, message, "is the file whole, and an ONNX model?");
}

/// The processors that this process may use, as the library wants them: one for each of its own threads,
/// counted from 1. The calling thread is the first and stays where it is.
std::string affinities(int threads) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (::sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return {};
  std::vector<int> processors;
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &allowed)) processors.push_back(i + 1);
  }
  std::string text;
  for (int i = 1; i < threads && !processors.empty(); ++i) {
    if (!text.empty()) text += ';';
    text += std::to_string(processors[static_cast<std::size_t>(i) % processors.size()]);
  }
  return text;
}

GraphOptimizationLevel level_of(Optimisation optimisation) {
  switch (optimisation) {
    case Optimisation::none:
      return ORT_DISABLE_ALL;
    case Optimisation::basic:
      return ORT_ENABLE_BASIC;
    case Optimisation::extended:
      return ORT_ENABLE_EXTENDED;
    case Optimisation::all:
      return ORT_ENABLE_ALL;
  }
  return ORT_ENABLE_ALL;
}

SessionOptions read_options(const JoulerySessionOptions& options) {
  SessionOptions result;
  result.precision = static_cast<Precision>(options.precision);
  result.threads = options.threads;
  result.streams = options.streams;
  result.optimisation = static_cast<Optimisation>(options.optimisation);
  result.pin_threads = options.pin_threads != 0;
  result.spin = options.spin != 0;
  result.flush_denormals = options.flush_denormals != 0;
  result.profile = options.profile_folder != nullptr;
  if (result.profile) result.profile_folder = options.profile_folder;
  return result;
}

}  // namespace

std::string LoadedModel::set_options(OrtSessionOptions* settings) const {
  const OrtApi& api = library_.api();
  std::string reason;
  const auto check = [&](OrtStatus* status) {
    const std::string text = library_.take(status);
    if (reason.empty()) reason = text;
  };
  const auto set = [&](const char* key, const std::string& value) {
    check(api.AddSessionConfigEntry(settings, key, value.c_str()));
  };
  check(api.SetSessionLogSeverityLevel(settings, ORT_LOGGING_LEVEL_FATAL));
  check(api.SetSessionGraphOptimizationLevel(settings, level_of(options_.optimisation)));
  check(api.SetSessionExecutionMode(settings, ORT_SEQUENTIAL));
  check(api.SetInterOpNumThreads(settings, 1));
  if (options_.threads > 0) check(api.SetIntraOpNumThreads(settings, options_.threads));
  set("session.intra_op.allow_spinning", options_.spin ? "1" : "0");
  set("session.inter_op.allow_spinning", options_.spin ? "1" : "0");
  set("session.set_denormal_as_zero", options_.flush_denormals ? "1" : "0");
  if (options_.profile) {
    check(api.EnableProfiling(settings, (options_.profile_folder + "/joulery-profile").c_str()));
  }
  if (options_.pin_threads && options_.threads > 1) {
    if (const std::string list = affinities(options_.threads); !list.empty()) {
      set("session.intra_op_thread_affinities", list);
    }
  }
  return reason;
}

std::unique_ptr<LoadedModel> LoadedModel::load(const Library& library, const JouleryModel& model,
                                               const JoulerySessionOptions& options,
                                               JouleryEngineError* error) {
  const OrtApi& api = library.api();
  std::unique_ptr<LoadedModel> loaded(new LoadedModel(library));
  loaded->options_ = read_options(options);
  if (loaded->options_.precision == Precision::bf16 || loaded->options_.precision == Precision::f16) {
    fail(error, Blame::environment,
         fmt::format(
             "ONNX Runtime's CPU provider computes in the model's own types: it can't be told to use {}",
             loaded->options_.precision == Precision::bf16 ? "bf16" : "f16"),
         "use OpenVINO for this, or a model of that type");
    return nullptr;
  }
  if (loaded->options_.profile && !loaded->options_.profile_folder.starts_with('/')) {
    fail(error, Blame::internal, "ONNX Runtime writes its profile into a folder, and none was given");
    return nullptr;
  }
  OrtSessionOptions* created = nullptr;
  std::string reason = library.take(api.CreateSessionOptions(&created));
  const std::unique_ptr<OrtSessionOptions, Release<OrtSessionOptions>> settings(created,
                                                                                {api.ReleaseSessionOptions});
  OrtErrorCode code = ORT_FAIL;
  if (reason.empty()) reason = loaded->set_options(settings.get());
  // For the calls in here too: folding constants computes.
  const FloatingMode mode(loaded->options_.flush_denormals);
  OrtSession* session = nullptr;
  if (reason.empty()) {
    reason = library.take(model.path != nullptr
                              ? api.CreateSession(library.environment(), model.path, settings.get(), &session)
                              : api.CreateSessionFromArray(library.environment(), model.bytes, model.size,
                                                           settings.get(), &session),
                          &code);
  }
  if (session != nullptr) loaded->session_ = {session, api.ReleaseSession};
  if (!reason.empty()) {
    fail_to_load(error, code, reason);
    return nullptr;
  }
  OrtMemoryInfo* memory = nullptr;
  reason = library.take(api.CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &memory));
  if (memory != nullptr) loaded->memory_ = {memory, api.ReleaseMemoryInfo};
  if (reason.empty()) reason = loaded->read_ports(false, loaded->inputs_);
  if (reason.empty()) reason = loaded->read_ports(true, loaded->outputs_);
  if (!reason.empty()) {
    fail(error, Blame::environment,
         fmt::format("ONNX Runtime does not say what the model takes: {}", reason));
    return nullptr;
  }
  return loaded;
}

LoadedModel::~LoadedModel() {
  for (std::size_t i = 0; i < output_values_.size(); ++i) {
    if (!bound_outputs_[i] && output_values_[i] != nullptr) library_.api().ReleaseValue(output_values_[i]);
  }
  bound_inputs_.clear();
  bound_outputs_.clear();
}

std::string LoadedModel::read_ports(bool is_output, std::vector<Port>& ports) const {
  const OrtApi& api = library_.api();
  OrtAllocator* allocator = nullptr;
  std::string reason = library_.take(api.GetAllocatorWithDefaultOptions(&allocator));
  std::size_t count = 0;
  if (reason.empty()) {
    reason = library_.take(is_output ? api.SessionGetOutputCount(session_.get(), &count)
                                     : api.SessionGetInputCount(session_.get(), &count));
  }
  for (std::size_t i = 0; i < count && reason.empty(); ++i) {
    Port port;
    char* name = nullptr;
    reason = library_.take(is_output ? api.SessionGetOutputName(session_.get(), i, allocator, &name)
                                     : api.SessionGetInputName(session_.get(), i, allocator, &name));
    if (name != nullptr) {
      port.name = name;
      library_.take(api.AllocatorFree(allocator, name));
    }
    OrtTypeInfo* type = nullptr;
    if (reason.empty()) {
      reason = library_.take(is_output ? api.SessionGetOutputTypeInfo(session_.get(), i, &type)
                                       : api.SessionGetInputTypeInfo(session_.get(), i, &type));
    }
    const std::unique_ptr<OrtTypeInfo, Release<OrtTypeInfo>> held(type, {api.ReleaseTypeInfo});
    const OrtTensorTypeAndShapeInfo* info = nullptr;
    if (reason.empty()) reason = library_.take(api.CastTypeInfoToTensorInfo(type, &info));
    // Sequences and maps have none, and stay of unknown type.
    if (reason.empty() && info != nullptr) {
      ONNXTensorElementDataType element = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
      std::size_t rank = 0;
      reason = library_.take(api.GetTensorElementType(info, &element));
      if (reason.empty()) reason = library_.take(api.GetDimensionsCount(info, &rank));
      std::vector<std::int64_t> dimensions(rank);
      if (reason.empty()) reason = library_.take(api.GetDimensions(info, dimensions.data(), rank));
      for (std::int64_t& dimension : dimensions) dimension = std::max<std::int64_t>(dimension, -1);
      const auto shape = data::Shape::create(dimensions);
      if (reason.empty() && !shape) reason = shape.error().message;
      if (reason.empty()) {
        port.type = type_of(element);
        port.shape = *shape;
      }
    }
    ports.push_back(std::move(port));
  }
  return reason;
}

int LoadedModel::prepare(const JouleryPort* inputs, std::uint32_t count, JouleryEngineError* error) {
  if (count != inputs_.size()) return fail(error, Blame::internal, "a shape for every input was expected");
  for (std::uint32_t i = 0; i < count; ++i) {
    for (std::uint32_t k = 0; k < inputs[i].rank; ++k) inputs_[i].shape.set(k, inputs[i].dimensions[k]);
  }
  make_bindings();
  return 0;
}

void LoadedModel::make_bindings() {
  for (const Port& port : inputs_) input_names_.push_back(port.name.c_str());
  for (const Port& port : outputs_) output_names_.push_back(port.name.c_str());
  bound_inputs_.resize(inputs_.size());
  bound_outputs_.resize(outputs_.size());
  bound_tensors_.resize(outputs_.size());
  input_values_.resize(inputs_.size());
  output_values_.resize(outputs_.size());
}

std::unique_ptr<LoadedModel> LoadedModel::fork(JouleryEngineError*) const {
  std::unique_ptr<LoadedModel> sibling(new LoadedModel(library_));
  sibling->options_ = options_;
  sibling->session_ = session_;
  sibling->memory_ = memory_;
  sibling->inputs_ = inputs_;
  sibling->outputs_ = outputs_;
  sibling->make_bindings();
  return sibling;
}

/// It writes a file whose name it chooses, and tells where.
int LoadedModel::operator_times(std::vector<OperatorTime>& times, JouleryEngineError* error) {
  const OrtApi& api = library_.api();
  OrtAllocator* allocator = nullptr;
  char* name = nullptr;
  std::string reason = library_.take(api.GetAllocatorWithDefaultOptions(&allocator));
  if (reason.empty()) reason = library_.take(api.SessionEndProfiling(session_.get(), allocator, &name));
  const std::string path = name == nullptr ? "" : name;
  if (name != nullptr) library_.take(api.AllocatorFree(allocator, name));
  if (reason.empty() && !path.starts_with(options_.profile_folder)) reason = "it has ended already";
  if (!reason.empty()) {
    return fail(error, Blame::environment, fmt::format("ONNX Runtime gives no profile: {}", reason));
  }
  auto read = read_runtime_profile(path);
  ::unlink(path.c_str());
  if (!read) return fail(error, Blame::environment, read.error().message, read.error().hint);
  times = std::move(*read);
  return 0;
}

void LoadedModel::effective(JouleryFactSink* sink, void* context) const {
  const OptionTeller tell(sink, context);
  tell("precision", options_.precision == Precision::i8_as_in_model ? "i8" : "f32", Known::requested);
  tell("threads", OptionTeller::number(options_.threads), Known::requested);
  tell("streams", "1", Known::unsupported);
  // Where it chooses the number of threads, it also places them.
  tell("pin_threads", options_.threads > 0 ? OptionTeller::yes_no(options_.pin_threads) : "engine's choice",
       Known::requested);
  tell("spin", OptionTeller::yes_no(options_.spin), Known::requested);
  tell("flush_denormals", OptionTeller::yes_no(options_.flush_denormals), Known::requested);
  constexpr std::array kLevels = {"none", "basic", "extended", "all"};
  tell("optimisation", kLevels[static_cast<std::size_t>(options_.optimisation)], Known::requested);
}

int LoadedModel::bind(bool is_output, std::uint32_t index, const JouleryTensor& tensor,
                      JouleryEngineError* error) {
  OrtValue* value = nullptr;
  const std::string reason = library_.take(library_.api().CreateTensorWithDataAsOrtValue(
      memory_.get(), tensor.data, tensor.bytes, tensor.dimensions, tensor.rank,
      type_of(static_cast<data::DataType>(tensor.type)), &value));
  if (!reason.empty())
    return fail(error, Blame::internal, fmt::format("ONNX Runtime refuses a tensor: {}", reason));
  if (!is_output) {
    bound_inputs_[index] = hold(value);
    input_values_[index] = value;
    return 0;
  }
  if (!bound_outputs_[index] && output_values_[index] != nullptr) {
    library_.api().ReleaseValue(output_values_[index]);
  }
  bound_outputs_[index] = hold(value);
  bound_tensors_[index] = tensor;
  output_values_[index] = value;
  return 0;
}

int LoadedModel::run(JouleryEngineError* error) {
  for (std::size_t i = 0; i < output_values_.size(); ++i) {
    if (bound_outputs_[i] || output_values_[i] == nullptr) continue;
    library_.api().ReleaseValue(output_values_[i]);
    output_values_[i] = nullptr;
  }
  OrtStatus* status = nullptr;
  {
    const FloatingMode mode(options_.flush_denormals);
    status = library_.api().Run(session_.get(), nullptr, input_names_.data(), input_values_.data(),
                                input_values_.size(), output_names_.data(), output_names_.size(),
                                output_values_.data());
  }
  if (status == nullptr) return 0;
  OrtErrorCode code = ORT_FAIL;
  const std::string reason = library_.take(status, &code);
  return fail(error, code == ORT_INVALID_ARGUMENT ? Blame::user : Blame::environment,
              fmt::format("ONNX Runtime can't run the model: {}", reason));
}

int LoadedModel::result(std::uint32_t index, JouleryTensor& tensor, JouleryEngineError* error) const {
  if (index >= output_values_.size() || output_values_[index] == nullptr) {
    return fail(error, Blame::internal, "there is no output yet");
  }
  if (bound_outputs_[index]) {
    tensor = bound_tensors_[index];
    return 0;
  }
  const OrtApi& api = library_.api();
  OrtTensorTypeAndShapeInfo* info = nullptr;
  std::string reason = library_.take(api.GetTensorTypeAndShape(output_values_[index], &info));
  const std::unique_ptr<OrtTensorTypeAndShapeInfo, Release<OrtTensorTypeAndShapeInfo>> held(
      info, {api.ReleaseTensorTypeAndShapeInfo});
  std::size_t rank = 0;
  std::size_t count = 0;
  ONNXTensorElementDataType element = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  if (reason.empty()) reason = library_.take(api.GetDimensionsCount(info, &rank));
  if (reason.empty() && rank > data::kMostDimensions) reason = "it has too many dimensions";
  if (reason.empty()) reason = library_.take(api.GetDimensions(info, tensor.dimensions, rank));
  if (reason.empty()) reason = library_.take(api.GetTensorElementType(info, &element));
  if (reason.empty()) reason = library_.take(api.GetTensorShapeElementCount(info, &count));
  if (reason.empty()) reason = library_.take(api.GetTensorMutableData(output_values_[index], &tensor.data));
  if (!reason.empty())
    return fail(error, Blame::environment, fmt::format("can't read an output: {}", reason));
  tensor.type = static_cast<std::int32_t>(outputs_[index].type);
  tensor.rank = static_cast<std::uint32_t>(rank);
  tensor.bytes = count * data::byte_width(outputs_[index].type);
  if (type_of(element) != outputs_[index].type)
    return fail(error, Blame::environment, "an output changed its type");
  return 0;
}

}  // namespace joulery::engine::onnxruntime
