#include "onnxruntime_library.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>

#include "engine/plugin_adapter.hpp"

namespace joulery::engine::onnxruntime {
namespace {

/// Everything that is used here was there in 1.12.
constexpr unsigned kOldestApi = 12;

constexpr ElementTypes<ONNXTensorElementDataType> kTypes{
    ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16,   ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE,    ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16,     ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64,     ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16,    ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64,    ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL};

/// Its releases are 1.N with API N.
unsigned api_of(const std::string& version) {
  const auto dot = version.find('.');
  unsigned minor = 0;
  if (!version.starts_with("1.") || dot == std::string::npos) return 0;
  std::from_chars(version.data() + dot + 1, version.data() + version.size(), minor);
  return minor;
}

void ORT_API_CALL drop_message(void*, OrtLoggingLevel, const char*, const char*, const char*, const char*) {}

}  // namespace

data::DataType type_of(ONNXTensorElementDataType type) {
  return data_type_of(kTypes, type);
}

ONNXTensorElementDataType type_of(data::DataType type) {
  return element_type_of(kTypes, type);
}

Library* Library::open(const char* path, JouleryEngineError* error) {
  void* handle = open_engine_library(path, "onnxruntime", error);
  if (handle == nullptr) return nullptr;
  using GetBase = const OrtApiBase*();
  auto* get_base = reinterpret_cast<GetBase*>(::dlsym(handle, "OrtGetApiBase"));
  const OrtApiBase* base = get_base == nullptr ? nullptr : get_base();
  const char* version =
      base == nullptr || base->GetVersionString == nullptr ? nullptr : base->GetVersionString();
  if (version == nullptr) {
    fail(error, Blame::environment, fmt::format("'{}' is not ONNX Runtime: it has no OrtGetApiBase", path),
         "pip install onnxruntime");
    return nullptr;
  }
  std::unique_ptr<Library> library(new Library);
  library->version_ = version;
  const unsigned has = api_of(library->version_);
  if (has < kOldestApi) {
    fail(error, Blame::environment,
         fmt::format("ONNX Runtime {} in '{}' is too old: 1.{} is the oldest that works", version, path,
                     kOldestApi),
         "pip install --upgrade onnxruntime");
    return nullptr;
  }
  library->api_ = base->GetApi(std::min<unsigned>(has, ORT_API_VERSION));
  if (library->api_ == nullptr) {
    fail(error, Blame::environment,
         fmt::format("ONNX Runtime {} in '{}' does not offer the interface of its version", version, path),
         "pip install --force-reinstall onnxruntime");
    return nullptr;
  }
  const std::string reason = library->take(library->api_->CreateEnvWithCustomLogger(
      &drop_message, nullptr, ORT_LOGGING_LEVEL_FATAL, "joulery", &library->environment_));
  if (!reason.empty()) {
    fail(error, Blame::environment, fmt::format("ONNX Runtime {} does not start: {}", version, reason));
    return nullptr;
  }
  // Nothing of it leaves the machine.
  library->take(library->api_->DisableTelemetryEvents(library->environment_));
  return library.release();
}

Library::~Library() {
  if (environment_ != nullptr) api_->ReleaseEnv(environment_);
}

std::string Library::take(OrtStatus* status, OrtErrorCode* code) const {
  if (status == nullptr) return {};
  std::string text = api_->GetErrorMessage(status);
  if (code != nullptr) *code = api_->GetErrorCode(status);
  api_->ReleaseStatus(status);
  return text.empty() ? "unknown reason" : text;
}

}  // namespace joulery::engine::onnxruntime
