#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/engine.hpp"
#include "onnxruntime_library.hpp"

namespace joulery::engine::onnxruntime {

/// Releases what the C API gave, by the function of its kind.
template <class Object>
struct Release {
  void(ORT_API_CALL* release)(Object*) = nullptr;
  void operator()(Object* object) const { release(object); }
};
using Value = std::unique_ptr<OrtValue, Release<OrtValue>>;

/// A model loaded on the CPU.
class LoadedModel {
 public:
  /// Null, with `error` filled, on failure.
  static std::unique_ptr<LoadedModel> load(const Library& library, const JouleryModel& model,
                                           const JoulerySessionOptions& options, JouleryEngineError* error);
  ~LoadedModel();
  LoadedModel(const LoadedModel&) = delete;
  LoadedModel& operator=(const LoadedModel&) = delete;

  /// Shapes of inputs, which the library takes from what is bound.
  int prepare(const JouleryPort* inputs, std::uint32_t count, JouleryEngineError* error);
  const std::vector<Port>& inputs() const { return inputs_; }
  const std::vector<Port>& outputs() const { return outputs_; }
  void effective(JouleryFactSink* sink, void* context) const;
  int bind(bool is_output, std::uint32_t index, const JouleryTensor& tensor, JouleryEngineError* error);
  int run(JouleryEngineError* error);
  int result(std::uint32_t index, JouleryTensor& tensor, JouleryEngineError* error) const;
  std::unique_ptr<LoadedModel> fork(JouleryEngineError* error) const;
  int operator_times(std::vector<OperatorTime>& times, JouleryEngineError* error);

 private:
  explicit LoadedModel(const Library& library) : library_(library) {}
  Value hold(OrtValue* value) const { return {value, {library_.api().ReleaseValue}}; }
  std::string set_options(OrtSessionOptions* settings) const;
  void make_bindings();
  std::string read_ports(bool is_output, std::vector<Port>& ports) const;

  const Library& library_;
  SessionOptions options_;
  /// Shared by the sessions of a family; its Run may be called by several threads.
  std::shared_ptr<OrtSession> session_;
  std::shared_ptr<OrtMemoryInfo> memory_;
  std::vector<Port> inputs_;
  std::vector<Port> outputs_;
  std::vector<Value> bound_inputs_;
  std::vector<Value> bound_outputs_;
  std::vector<JouleryTensor> bound_tensors_;  // of outputs
  // What a call takes, in its order.
  std::vector<const char*> input_names_;
  std::vector<const char*> output_names_;
  std::vector<const OrtValue*> input_values_;
  std::vector<OrtValue*> output_values_;
};

}  // namespace joulery::engine::onnxruntime
