#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/dynamic_library.hpp"
#include "base/files.hpp"
#include "base/result.hpp"

namespace joulery::power {

/// The part of NVIDIA's management library (NVML) that is used here, declared from its documented C
/// interface. A test compares names, numbers, sizes and offsets with the vendor's own Python binding.
namespace nvml {

using Return = int;
constexpr Return kSuccess = 0;
constexpr Return kUninitialized = 1;
constexpr Return kInvalidArgument = 2;
constexpr Return kNotSupported = 3;
constexpr Return kNoPermission = 4;
constexpr Return kNotFound = 6;
constexpr Return kInsufficientSize = 7;
constexpr Return kDriverNotLoaded = 9;
constexpr Return kLibraryNotFound = 12;
constexpr Return kFunctionNotFound = 13;
constexpr Return kGpuIsLost = 15;
constexpr Return kResetRequired = 16;
constexpr Return kOperatingSystem = 17;
constexpr Return kLibraryVersionMismatch = 18;
constexpr Return kNoData = 21;
constexpr Return kUnknown = 999;

constexpr std::uint32_t kFieldPowerAverage = 185;
constexpr std::uint32_t kFieldPowerInstant = 186;
constexpr std::uint32_t kFieldPowerMaxLimit = 188;
constexpr std::uint32_t kScopeGpu = 0;
constexpr std::uint32_t kScopeModule = 1;
constexpr std::uint32_t kScopeMemory = 2;

constexpr std::uint32_t kValueDouble = 0;
constexpr std::uint32_t kValueUnsignedInt = 1;
constexpr std::uint32_t kValueUnsignedLong = 2;
constexpr std::uint32_t kValueUnsignedLongLong = 3;
constexpr std::uint32_t kValueSignedLongLong = 4;
constexpr std::uint32_t kValueSignedInt = 5;
constexpr std::uint32_t kValueUnsignedShort = 6;

constexpr std::uint32_t kArchitecturePascal = 4;
constexpr std::uint32_t kArchitectureVolta = 5;
constexpr std::uint32_t kArchitectureAmpere = 7;
constexpr std::uint32_t kArchitectureHopper = 9;

constexpr std::uint32_t kMigEnabled = 1;

constexpr std::size_t kUuidBytes = 96;
constexpr std::size_t kNameBytes = 96;
constexpr std::size_t kVersionBytes = 80;

/// Opaque: what a handle points to is the driver's.
struct DeviceHandle;
using Device = DeviceHandle*;

union Value {
  double double_value;
  std::uint32_t unsigned_int;
  unsigned long unsigned_long;
  std::uint64_t unsigned_long_long;
  std::int64_t signed_long_long;
  std::int32_t signed_int;
  std::uint16_t unsigned_short;
};

struct FieldValue {
  std::uint32_t field_id;
  std::uint32_t scope_id;
  /// Microseconds since 1970.
  std::int64_t timestamp;
  std::int64_t latency_microseconds;
  std::uint32_t value_type;
  Return result;
  Value value;
};

/// Mean use by one process since the time that was asked for.
struct ProcessUtilization {
  std::uint32_t pid;
  /// Microseconds.
  std::uint64_t timestamp;
  /// Per cent.
  std::uint32_t sm;
  std::uint32_t memory;
  std::uint32_t encoder;
  std::uint32_t decoder;
};

struct ProcessInfo {
  std::uint32_t pid;
  std::uint64_t used_memory_bytes;
  std::uint32_t gpu_instance_id;
  std::uint32_t compute_instance_id;
};

struct DeviceAttributes {
  std::uint32_t multiprocessor_count;
  std::uint32_t shared_copy_engine_count;
  std::uint32_t shared_decoder_count;
  std::uint32_t shared_encoder_count;
  std::uint32_t shared_jpeg_count;
  std::uint32_t shared_ofa_count;
  std::uint32_t gpu_instance_slice_count;
  std::uint32_t compute_instance_slice_count;
  std::uint64_t memory_size_mb;
};

/// One line per function: what it is called in the table below, in the library, and what it takes. An old
/// driver lacks some of them.
#define JOULERY_NVML_FUNCTIONS(X)                                                                         \
  X(init, nvmlInit_v2, (void))                                                                            \
  X(shutdown, nvmlShutdown, (void))                                                                       \
  X(driver_version, nvmlSystemGetDriverVersion, (char*, std::uint32_t))                                   \
  X(device_count, nvmlDeviceGetCount_v2, (std::uint32_t*))                                                \
  X(device_by_index, nvmlDeviceGetHandleByIndex_v2, (std::uint32_t, Device*))                             \
  X(device_by_uuid, nvmlDeviceGetHandleByUUID, (const char*, Device*))                                    \
  X(uuid, nvmlDeviceGetUUID, (Device, char*, std::uint32_t))                                              \
  X(name, nvmlDeviceGetName, (Device, char*, std::uint32_t))                                              \
  X(total_energy, nvmlDeviceGetTotalEnergyConsumption, (Device, unsigned long long*))                     \
  X(power_usage, nvmlDeviceGetPowerUsage, (Device, std::uint32_t*))                                       \
  X(field_values, nvmlDeviceGetFieldValues, (Device, int, FieldValue*))                                   \
  X(enforced_power_limit, nvmlDeviceGetEnforcedPowerLimit, (Device, std::uint32_t*))                      \
  X(process_utilization, nvmlDeviceGetProcessUtilization,                                                 \
    (Device, ProcessUtilization*, std::uint32_t*, unsigned long long))                                    \
  X(compute_processes, nvmlDeviceGetComputeRunningProcesses_v3, (Device, std::uint32_t*, ProcessInfo*))   \
  X(graphics_processes, nvmlDeviceGetGraphicsRunningProcesses_v3, (Device, std::uint32_t*, ProcessInfo*)) \
  X(mig_mode, nvmlDeviceGetMigMode, (Device, std::uint32_t*, std::uint32_t*))                             \
  X(mig_device_count, nvmlDeviceGetMaxMigDeviceCount, (Device, std::uint32_t*))                           \
  X(mig_device, nvmlDeviceGetMigDeviceHandleByIndex, (Device, std::uint32_t, Device*))                    \
  X(attributes, nvmlDeviceGetAttributes_v2, (Device, DeviceAttributes*))

struct Functions {
#define JOULERY_NVML_MEMBER(member, symbol, arguments) Return(*member) arguments = nullptr;
  JOULERY_NVML_FUNCTIONS(JOULERY_NVML_MEMBER)
#undef JOULERY_NVML_MEMBER
};

/// What a return code means, in words, and what helps: both for a person.
const char* return_text(Return code);
const char* return_remedy(Return code);
/// The errno that fits best, for Reading::error_number.
int return_errno(Return code);
/// The number in a field value, whatever its type; nothing for a type that is not known.
std::optional<double> number_in(const FieldValue& field);
/// This interface as JSON: what the test compares with the vendor's binding.
std::string interface_description();

}  // namespace nvml

/// The library, opened and initialised. Calls go through `call()`; one that an old driver lacks answers
/// kFunctionNotFound. The driver's own calls are thread-safe; this is not.
class NvmlApi {
 public:
  /// Environment error if the library can't be loaded or there is no driver behind it; user error if the file
  /// is not to be trusted.
  static Result<std::unique_ptr<NvmlApi>> open(const std::string& path);
  ~NvmlApi();
  NvmlApi(const NvmlApi&) = delete;
  NvmlApi& operator=(const NvmlApi&) = delete;

  template <class... Parameters, class... Arguments>
  nvml::Return call(nvml::Return (*nvml::Functions::*function)(Parameters...), Arguments... arguments) const {
    return functions_.*function == nullptr ? nvml::kFunctionNotFound : (functions_.*function)(arguments...);
  }
  const std::string& driver_version() const { return driver_version_; }
  const std::string& path() const { return library_.path(); }

 private:
  explicit NvmlApi(DynamicLibrary library);
  DynamicLibrary library_;
  nvml::Functions functions_;
  std::string driver_version_;
  bool initialized_ = false;
};

/// Where the library is, loaded when it is first needed: metering starts before sensors are looked for.
class NvmlLibrary {
 public:
  /// `paths` are absolute, best first; the first file that is there is the one.
  explicit NvmlLibrary(std::vector<std::string> paths) : paths_(std::move(paths)) {}
  /// The same answer each time. Null if there is no such file.
  Result<const NvmlApi*> open();

 private:
  std::vector<std::string> paths_;
  bool tried_ = false;
  std::unique_ptr<NvmlApi> api_;
  std::optional<Error> error_;
};

/// Where drivers and container tools put libnvidia-ml.so.1, then the folders that the loader's configuration
/// in /etc/ld.so.conf.d names. Nothing that a settings file or a run's folder could say.
std::vector<std::string> nvml_library_paths(const SystemRoot& root);

}  // namespace joulery::power
