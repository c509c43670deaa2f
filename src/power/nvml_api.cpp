#include "power/nvml_api.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <type_traits>

#include "base/text.hpp"

namespace joulery::power {
namespace nvml {

const char* return_text(Return code) {
  switch (code) {
    case kSuccess:
      return "success";
    case kUninitialized:
      return "the library is not initialised";
    case kInvalidArgument:
      return "the driver refuses the request as invalid";
    case kNotSupported:
      return "this GPU or driver does not support it";
    case kNoPermission:
      return "no permission";
    case kNotFound:
      return "not found";
    case kInsufficientSize:
      return "the answer is larger than expected";
    case kDriverNotLoaded:
      return "the NVIDIA kernel driver is not loaded";
    case kLibraryNotFound:
      return "a library of the driver is missing";
    case kFunctionNotFound:
      return "this driver is too old: it lacks the function";
    case kGpuIsLost:
      return "the GPU has fallen off the bus or is being reset";
    case kResetRequired:
      return "the GPU needs a reset";
    case kOperatingSystem:
      return "the operating system or the cgroup blocks the device";
    case kLibraryVersionMismatch:
      return "the driver's library and kernel module are of different versions";
    case kNoData:
      return "no data";
    default:
      return "unknown error of the driver";
  }
}

const char* return_remedy(Return code) {
  switch (code) {
    case kNoPermission:
      return "run it as root, or ask for access to /dev/nvidia* (the group that owns them)";
    case kDriverNotLoaded:
      return "sudo modprobe nvidia";
    case kFunctionNotFound:
      return "install a newer NVIDIA driver";
    case kGpuIsLost:
    case kResetRequired:
      return "sudo nvidia-smi --gpu-reset    # or restart the machine; see the kernel's log for Xid errors";
    case kOperatingSystem:
      return "start the container with the GPU: docker run --gpus all …, or a device request of the "
             "scheduler";
    case kLibraryVersionMismatch:
      return "sudo rmmod nvidia_uvm nvidia && sudo modprobe nvidia    # or restart after a driver update";
    default:
      return "";
  }
}

int return_errno(Return code) {
  switch (code) {
    case kSuccess:
      return 0;
    case kNoPermission:
    case kOperatingSystem:
      return EACCES;
    case kNotSupported:
    case kFunctionNotFound:
      return ENOTSUP;
    case kNoData:
    case kNotFound:
      return ENODATA;
    case kGpuIsLost:
    case kResetRequired:
      return ENODEV;
    default:
      return EIO;
  }
}

std::optional<double> number_in(const FieldValue& field) {
  switch (field.value_type) {
    case kValueDouble:
      return field.value.double_value;
    case kValueUnsignedInt:
      return field.value.unsigned_int;
    case kValueUnsignedLong:
      return static_cast<double>(field.value.unsigned_long);
    case kValueUnsignedLongLong:
      return static_cast<double>(field.value.unsigned_long_long);
    case kValueSignedLongLong:
      return static_cast<double>(field.value.signed_long_long);
    case kValueSignedInt:
      return field.value.signed_int;
    case kValueUnsignedShort:
      return field.value.unsigned_short;
    default:
      return std::nullopt;
  }
}

namespace {

/// Name, offset and size of each field, so that a mistake in one is named.
#define JOULERY_NVML_FIELD(type, field) \
  fmt::format(R"(["{}",{},{}])", #field, offsetof(type, field), sizeof(type::field))

std::string struct_json(const char* name, std::size_t size, const std::vector<std::string>& fields) {
  return fmt::format(R"("{}":{{"size":{},"fields":[{}]}})", name, size, fmt::join(fields, ","));
}

std::string structs_json() {
  return fmt::format(
      "{},{},{},{},{}",
      struct_json("c_nvmlValue_t", sizeof(Value),
                  {JOULERY_NVML_FIELD(Value, double_value), JOULERY_NVML_FIELD(Value, unsigned_int),
                   JOULERY_NVML_FIELD(Value, unsigned_long), JOULERY_NVML_FIELD(Value, unsigned_long_long),
                   JOULERY_NVML_FIELD(Value, signed_long_long), JOULERY_NVML_FIELD(Value, signed_int),
                   JOULERY_NVML_FIELD(Value, unsigned_short)}),
      struct_json(
          "c_nvmlFieldValue_t", sizeof(FieldValue),
          {JOULERY_NVML_FIELD(FieldValue, field_id), JOULERY_NVML_FIELD(FieldValue, scope_id),
           JOULERY_NVML_FIELD(FieldValue, timestamp), JOULERY_NVML_FIELD(FieldValue, latency_microseconds),
           JOULERY_NVML_FIELD(FieldValue, value_type), JOULERY_NVML_FIELD(FieldValue, result),
           JOULERY_NVML_FIELD(FieldValue, value)}),
      struct_json(
          "c_nvmlProcessUtilizationSample_t", sizeof(ProcessUtilization),
          {JOULERY_NVML_FIELD(ProcessUtilization, pid), JOULERY_NVML_FIELD(ProcessUtilization, timestamp),
           JOULERY_NVML_FIELD(ProcessUtilization, sm), JOULERY_NVML_FIELD(ProcessUtilization, memory),
           JOULERY_NVML_FIELD(ProcessUtilization, encoder), JOULERY_NVML_FIELD(ProcessUtilization, decoder)}),
      struct_json("c_nvmlProcessInfo_t", sizeof(ProcessInfo),
                  {JOULERY_NVML_FIELD(ProcessInfo, pid), JOULERY_NVML_FIELD(ProcessInfo, used_memory_bytes),
                   JOULERY_NVML_FIELD(ProcessInfo, gpu_instance_id),
                   JOULERY_NVML_FIELD(ProcessInfo, compute_instance_id)}),
      struct_json("c_nvmlDeviceAttributes", sizeof(DeviceAttributes),
                  {JOULERY_NVML_FIELD(DeviceAttributes, multiprocessor_count),
                   JOULERY_NVML_FIELD(DeviceAttributes, shared_copy_engine_count),
                   JOULERY_NVML_FIELD(DeviceAttributes, shared_decoder_count),
                   JOULERY_NVML_FIELD(DeviceAttributes, shared_encoder_count),
                   JOULERY_NVML_FIELD(DeviceAttributes, shared_jpeg_count),
                   JOULERY_NVML_FIELD(DeviceAttributes, shared_ofa_count),
                   JOULERY_NVML_FIELD(DeviceAttributes, gpu_instance_slice_count),
                   JOULERY_NVML_FIELD(DeviceAttributes, compute_instance_slice_count),
                   JOULERY_NVML_FIELD(DeviceAttributes, memory_size_mb)}));
}
#undef JOULERY_NVML_FIELD

}  // namespace

std::string interface_description() {
  const std::vector<std::pair<const char*, std::uint64_t>> constants = {
      {"NVML_SUCCESS", kSuccess},
      {"NVML_ERROR_UNINITIALIZED", kUninitialized},
      {"NVML_ERROR_INVALID_ARGUMENT", kInvalidArgument},
      {"NVML_ERROR_NOT_SUPPORTED", kNotSupported},
      {"NVML_ERROR_NO_PERMISSION", kNoPermission},
      {"NVML_ERROR_NOT_FOUND", kNotFound},
      {"NVML_ERROR_INSUFFICIENT_SIZE", kInsufficientSize},
      {"NVML_ERROR_DRIVER_NOT_LOADED", kDriverNotLoaded},
      {"NVML_ERROR_LIBRARY_NOT_FOUND", kLibraryNotFound},
      {"NVML_ERROR_FUNCTION_NOT_FOUND", kFunctionNotFound},
      {"NVML_ERROR_GPU_IS_LOST", kGpuIsLost},
      {"NVML_ERROR_RESET_REQUIRED", kResetRequired},
      {"NVML_ERROR_OPERATING_SYSTEM", kOperatingSystem},
      {"NVML_ERROR_LIB_RM_VERSION_MISMATCH", kLibraryVersionMismatch},
      {"NVML_ERROR_NO_DATA", kNoData},
      {"NVML_ERROR_UNKNOWN", kUnknown},
      {"NVML_FI_DEV_POWER_AVERAGE", kFieldPowerAverage},
      {"NVML_FI_DEV_POWER_INSTANT", kFieldPowerInstant},
      {"NVML_FI_DEV_POWER_MAX_LIMIT", kFieldPowerMaxLimit},
      {"NVML_POWER_SCOPE_GPU", kScopeGpu},
      {"NVML_POWER_SCOPE_MODULE", kScopeModule},
      {"NVML_POWER_SCOPE_MEMORY", kScopeMemory},
      {"NVML_VALUE_TYPE_DOUBLE", kValueDouble},
      {"NVML_VALUE_TYPE_UNSIGNED_INT", kValueUnsignedInt},
      {"NVML_VALUE_TYPE_UNSIGNED_LONG", kValueUnsignedLong},
      {"NVML_VALUE_TYPE_UNSIGNED_LONG_LONG", kValueUnsignedLongLong},
      {"NVML_VALUE_TYPE_SIGNED_LONG_LONG", kValueSignedLongLong},
      {"NVML_VALUE_TYPE_SIGNED_INT", kValueSignedInt},
      {"NVML_VALUE_TYPE_UNSIGNED_SHORT", kValueUnsignedShort},
      {"NVML_DEVICE_ARCH_PASCAL", kArchitecturePascal},
      {"NVML_DEVICE_ARCH_VOLTA", kArchitectureVolta},
      {"NVML_DEVICE_ARCH_AMPERE", kArchitectureAmpere},
      {"NVML_DEVICE_ARCH_HOPPER", kArchitectureHopper},
      {"NVML_DEVICE_MIG_ENABLE", kMigEnabled},
      {"NVML_DEVICE_UUID_V2_BUFFER_SIZE", kUuidBytes},
      {"NVML_DEVICE_NAME_V2_BUFFER_SIZE", kNameBytes},
      {"NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE", kVersionBytes}};
  std::vector<std::string> texts;
  for (const auto& [name, value] : constants) texts.push_back(fmt::format("\"{}\":{}", name, value));
  std::vector<std::string> functions;
#define JOULERY_NVML_NAME(member, symbol, arguments) functions.emplace_back("\"" #symbol "\"");
  JOULERY_NVML_FUNCTIONS(JOULERY_NVML_NAME)
#undef JOULERY_NVML_NAME
  return fmt::format(R"({{"constants":{{{}}},"functions":[{}],"structs":{{{}}}}})", fmt::join(texts, ","),
                     fmt::join(functions, ","), structs_json());
}

}  // namespace nvml

NvmlApi::NvmlApi(DynamicLibrary library) : library_(std::move(library)) {
#define JOULERY_NVML_LOAD(member, symbol, arguments) \
  functions_.member = library_.function<std::remove_pointer_t<decltype(functions_.member)>>(#symbol);
  JOULERY_NVML_FUNCTIONS(JOULERY_NVML_LOAD)
#undef JOULERY_NVML_LOAD
}

Result<std::unique_ptr<NvmlApi>> NvmlApi::open(const std::string& path) {
  JOULERY_ASSIGN(DynamicLibrary library, DynamicLibrary::open(path));
  std::unique_ptr<NvmlApi> api(new NvmlApi(std::move(library)));
  if (const nvml::Return code = api->call(&nvml::Functions::init); code != nvml::kSuccess) {
    return environment_error(
        fmt::format("{} does not start: {} (code {})", printable(path), nvml::return_text(code), code),
        nvml::return_remedy(code));
  }
  api->initialized_ = true;
  std::array<char, nvml::kVersionBytes> version{};
  if (api->call(&nvml::Functions::driver_version, version.data(),
                static_cast<std::uint32_t>(version.size())) == nvml::kSuccess) {
    version.back() = '\0';
    api->driver_version_ = printable(version.data());
  }
  return api;
}

NvmlApi::~NvmlApi() {
  if (initialized_) static_cast<void>(call(&nvml::Functions::shutdown));
}

Result<const NvmlApi*> NvmlLibrary::open() {
  if (!tried_) {
    tried_ = true;
    for (const std::string& path : paths_) {
      if (::access(path.c_str(), F_OK) != 0) continue;
      auto api = NvmlApi::open(path);
      if (api) {
        api_ = std::move(*api);
        error_.reset();
        break;
      }
      // The first is the best: what is wrong with it matters more than what is wrong with others.
      if (!error_) error_ = std::move(api).error();
    }
  }
  if (error_) return std::unexpected(*error_);
  return api_.get();
}

std::vector<std::string> nvml_library_paths(const SystemRoot& root) {
  constexpr std::string_view kFile = "/libnvidia-ml.so.1";
  std::vector<std::string> folders = {
#if defined(__x86_64__)
      "/usr/lib/x86_64-linux-gnu",
#elif defined(__aarch64__)
      "/usr/lib/aarch64-linux-gnu",
#endif
      "/usr/lib64",
      "/usr/lib",
      "/usr/local/nvidia/lib64",
      "/run/opengl-driver/lib",
      "/usr/lib/wsl/lib"};
  for (std::string& folder : configured_library_folders(root)) folders.push_back(std::move(folder));
  std::vector<std::string> paths;
  for (const std::string& folder : folders) paths.push_back(root.resolve(folder + std::string(kFile)));
  return paths;
}

}  // namespace joulery::power
