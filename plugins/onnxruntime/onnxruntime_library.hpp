#pragma once

#include <onnxruntime_c_api.h>

#include <string>

#include "data/tensor.hpp"
#include "engine/plugin.hpp"

namespace joulery::engine::onnxruntime {

/// The library, opened, with its one environment. It stays loaded until the process ends.
class Library {
 public:
  /// Null, with `error` filled, if the file can't be loaded, is something else, or is too old.
  static Library* open(const char* path, JouleryEngineError* error);
  ~Library();
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  const OrtApi& api() const { return *api_; }
  const OrtEnv* environment() const { return environment_; }
  const std::string& version() const { return version_; }
  /// Text of a status, which is released; empty for success.
  std::string take(OrtStatus* status, OrtErrorCode* code = nullptr) const;

 private:
  Library() = default;
  const OrtApi* api_ = nullptr;
  OrtEnv* environment_ = nullptr;
  std::string version_;
};

data::DataType type_of(ONNXTensorElementDataType type);
ONNXTensorElementDataType type_of(data::DataType type);

}  // namespace joulery::engine::onnxruntime
