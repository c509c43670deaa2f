#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/engine.hpp"
#include "openvino_library.hpp"

namespace joulery::engine::openvino {

/// A model on the CPU device: read by load(), compiled by prepare().
class LoadedModel {
 public:
  /// Null, with `error` filled, on failure.
  static std::unique_ptr<LoadedModel> load(const Library& library, const JouleryModel& model,
                                           const JoulerySessionOptions& options, JouleryEngineError* error);
  LoadedModel(const LoadedModel&) = delete;
  LoadedModel& operator=(const LoadedModel&) = delete;
  ~LoadedModel() = default;

  int prepare(const JouleryPort* inputs, std::uint32_t count, JouleryEngineError* error);
  const std::vector<Port>& inputs() const { return inputs_; }
  const std::vector<Port>& outputs() const { return outputs_; }
  void effective(JouleryFactSink* sink, void* context) const;
  int bind(bool is_output, std::uint32_t index, const JouleryTensor& tensor, JouleryEngineError* error);
  int run(JouleryEngineError* error);
  int result(std::uint32_t index, JouleryTensor& tensor, JouleryEngineError* error);
  std::unique_ptr<LoadedModel> fork(JouleryEngineError* error) const;
  int operator_times(std::vector<OperatorTime>& times, JouleryEngineError* error) const;

 private:
  int copy_output(std::uint32_t index, JouleryEngineError* error);
  int read_output(std::uint32_t index, JouleryTensor& tensor, JouleryEngineError* error);
  explicit LoadedModel(const Library& library);
  std::string read_ports(bool is_output, std::size_t count, std::vector<Port>& ports) const;
  std::string read_port(const ov_output_const_port_t* port, Port& result) const;
  std::string reshape(const JouleryPort* inputs, std::uint32_t count);
  std::string compile();
  std::string make_request();
  void make_bindings();
  std::string compiled_property(const char* key) const;

  const Library& library_;
  const Functions& call_;
  JoulerySessionOptions options_{};
  Held<ov_model_t> model_;
  /// Shared by the sessions of a family.
  std::shared_ptr<ov_compiled_model_t> compiled_;
  Held<ov_infer_request_t> request_;
  std::vector<Port> inputs_;
  std::vector<Port> outputs_;
  std::vector<Held<ov_tensor_t>> bound_inputs_;
  std::vector<Held<ov_tensor_t>> bound_outputs_;
  std::vector<std::uint32_t> open_outputs_;   // whose shape a run decides
  std::vector<JouleryTensor> bound_tensors_;  // of outputs; without data: not bound
  bool profiles_ = false;
  std::uint64_t runs_ = 0;
};

}  // namespace joulery::engine::openvino
