#pragma once

#include <openvino/c/openvino.h>

#include <memory>
#include <string>
#include <vector>

#include "data/tensor.hpp"
#include "engine/plugin.hpp"

namespace joulery::engine::openvino {

/// The functions of the C API that are used. A release that lacks one is not used at all.
#define JOULERY_OPENVINO_FUNCTIONS(X)            \
  X(ov_get_openvino_version)                     \
  X(ov_version_free)                             \
  X(ov_core_create)                              \
  X(ov_core_free)                                \
  X(ov_core_get_available_devices)               \
  X(ov_available_devices_free)                   \
  X(ov_core_get_property)                        \
  X(ov_core_read_model)                          \
  X(ov_core_read_model_from_memory_buffer)       \
  X(ov_core_compile_model)                       \
  X(ov_model_inputs_size)                        \
  X(ov_model_outputs_size)                       \
  X(ov_model_const_input_by_index)               \
  X(ov_model_const_output_by_index)              \
  X(ov_model_reshape_by_port_indexes)            \
  X(ov_model_free)                               \
  X(ov_compiled_model_input_by_index)            \
  X(ov_compiled_model_output_by_index)           \
  X(ov_compiled_model_get_property)              \
  X(ov_compiled_model_create_infer_request)      \
  X(ov_compiled_model_free)                      \
  X(ov_infer_request_set_input_tensor_by_index)  \
  X(ov_infer_request_set_output_tensor_by_index) \
  X(ov_infer_request_get_output_tensor_by_index) \
  X(ov_infer_request_infer)                      \
  X(ov_infer_request_free)                       \
  X(ov_infer_request_get_profiling_info)         \
  X(ov_profiling_info_list_free)                 \
  X(ov_tensor_create)                            \
  X(ov_tensor_create_from_host_ptr)              \
  X(ov_tensor_get_shape)                         \
  X(ov_tensor_get_byte_size)                     \
  X(ov_tensor_data)                              \
  X(ov_tensor_free)                              \
  X(ov_port_get_any_name)                        \
  X(ov_port_get_partial_shape)                   \
  X(ov_port_get_element_type)                    \
  X(ov_output_const_port_free)                   \
  X(ov_partial_shape_create)                     \
  X(ov_partial_shape_free)                       \
  X(ov_shape_create)                             \
  X(ov_shape_free)                               \
  X(ov_get_last_err_msg)                         \
  X(ov_free)

struct Functions {
#define JOULERY_DECLARE(name) decltype(&::name) name = nullptr;
  JOULERY_OPENVINO_FUNCTIONS(JOULERY_DECLARE)
#undef JOULERY_DECLARE
  /// Only in newer releases: null elsewhere.
  void (*set_log_callback)(void (*)(const char*)) = nullptr;
};

/// Frees what the C API gave, by the function of its kind.
template <class Object>
struct Free {
  void (*free)(Object*) = nullptr;
  void operator()(Object* object) const { free(object); }
};
template <class Object>
using Held = std::unique_ptr<Object, Free<Object>>;

/// The library, opened, with its one core. It stays loaded until the process ends.
class Library {
 public:
  /// Null, with `error` filled, if the file can't be loaded, is something else, or is of a release whose
  /// interface differs.
  static Library* open(const char* path, JouleryEngineError* error);
  ~Library();
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  const Functions& call() const { return functions_; }
  ov_core_t* core() const { return core_; }
  const std::string& version() const { return version_; }
  /// Empty if the status is success.
  std::string reason(ov_status_e status) const;
  /// A property of a device; empty if it has none.
  std::string property(const char* device, const char* key) const;
  std::vector<std::string> devices() const;

 private:
  Library() = default;
  std::string check_element_types() const;

  Functions functions_;
  ov_core_t* core_ = nullptr;
  std::string version_;
};

data::DataType type_of(ov_element_type_e type);
ov_element_type_e type_of(data::DataType type);

}  // namespace joulery::engine::openvino
