// A libnvidia-ml.so.1 that does as a text tells it: N GPUs, their power and energy over time, who uses them,
// and what fails. The text is the file that FAKE_NVML names, read again when it changes, or what
// fake_nvml_text() is given. Each line is one of (README.md says more):
//   driver 570.86.10
//   code FUNCTION CODE [GPU]        the function answers with this code
//   gpu INDEX KEY=VALUE…
//   process GPU PID SM [INSTANCE]   SM in per cent; 0: holds the device, uses nothing
#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "power/nvml_api.hpp"

namespace {

using namespace joulery::power::nvml;

struct Step {
  double from_seconds;
  double watts;
};

struct Gpu {
  std::string uuid;
  std::string name = "NVIDIA Fake";
  unsigned architecture = kArchitectureHopper;
  std::vector<Step> course = {{0, 100}};
  double limit_watts = 400;
  double max_limit_watts = 1000;
  double start_joules = 1000;
  /// Of the energy counter: 1000 counts microjoules where millijoules are promised.
  double unit = 1;
  /// What the power sensor says, as a multiple of the truth.
  double power_factor = 1;
  double step_seconds = 0;
  double frozen_seconds = INFINITY;
  double lost_seconds = INFINITY;
  double back_seconds = INFINITY;
  bool restarts_after_loss = false;
  bool gpu_scope = true;
  bool instant = true;
  double module_watts = 0;
  double memory_watts = 0;
  std::vector<unsigned> instances;
};

struct Process {
  std::size_t gpu;
  unsigned pid;
  unsigned sm;
  int instance;
};

struct World {
  std::string driver = "570.86.10";
  std::map<std::string, std::map<int, int>, std::less<>> codes;  // by function and GPU; -1: all GPUs
  std::map<int, Gpu> gpus;
  std::vector<Process> processes;
};

/// What a handle points to: a GPU or an instance of it.
struct Handle {
  std::size_t gpu;
  int instance;
  /// A GPU that was lost comes back with new handles.
  int generation;
};

World world;
std::vector<std::unique_ptr<Handle>> handles;
double manual_seconds = -1;
std::string file_stamp;
bool initialized = false;
double started_seconds = -1;

double real_seconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return double(now.tv_sec) + double(now.tv_nsec) / 1e9;
}

double now_seconds() {
  if (manual_seconds >= 0) return manual_seconds;
  if (started_seconds < 0) started_seconds = real_seconds();
  return real_seconds() - started_seconds;
}

void set_gpu(Gpu& gpu, const std::string& key, const std::string& value) {
  const double number = std::atof(value.c_str());
  if (key == "uuid") gpu.uuid = value;
  if (key == "name") {
    gpu.name = value;
    std::replace(gpu.name.begin(), gpu.name.end(), '_', ' ');
  }
  if (key == "arch") gpu.architecture = unsigned(number);
  if (key == "limit") gpu.limit_watts = number;
  if (key == "max_limit") gpu.max_limit_watts = number;
  if (key == "start") gpu.start_joules = number;
  if (key == "unit") gpu.unit = number;
  if (key == "power_factor") gpu.power_factor = number;
  if (key == "step") gpu.step_seconds = number;
  if (key == "frozen") gpu.frozen_seconds = number;
  if (key == "lost") gpu.lost_seconds = number;
  if (key == "back") gpu.back_seconds = number;
  if (key == "restart") gpu.restarts_after_loss = number != 0;
  if (key == "gpu_scope") gpu.gpu_scope = number != 0;
  if (key == "instant") gpu.instant = number != 0;
  if (key == "module") gpu.module_watts = number;
  if (key == "memory") gpu.memory_watts = number;
  std::stringstream list(value);
  std::string part;
  if (key == "watts") gpu.course.clear();
  if (key == "mig") gpu.instances.clear();
  while (std::getline(list, part, ',')) {
    const auto colon = part.find(':');
    if (key == "watts")
      gpu.course.push_back({colon == std::string::npos ? 0 : std::atof(part.c_str()),
                            std::atof(part.c_str() + (colon == std::string::npos ? 0 : colon + 1))});
    if (key == "mig") gpu.instances.push_back(unsigned(std::atoi(part.c_str())));
  }
}

void parse(const std::string& text) {
  World next;
  std::stringstream lines(text);
  std::string line;
  while (std::getline(lines, line)) {
    std::stringstream words(line);
    std::string word;
    words >> word;
    if (word == "driver") words >> next.driver;
    if (word == "code") {
      std::string function;
      int code = 0;
      int gpu = -1;
      words >> function >> code;
      if (!(words >> gpu)) gpu = -1;
      next.codes[function][gpu] = code;
    }
    if (word == "gpu") {
      int index = 0;
      words >> index;
      Gpu& gpu = next.gpus[index];
      if (gpu.uuid.empty()) gpu.uuid = "GPU-" + std::to_string(index);
      while (words >> word) {
        const auto equals = word.find('=');
        if (equals != std::string::npos) set_gpu(gpu, word.substr(0, equals), word.substr(equals + 1));
      }
    }
    if (word == "process") {
      Process process{0, 0, 0, 0};
      if (words >> process.gpu >> process.pid >> process.sm) {
        if (!(words >> process.instance)) process.instance = 0;
        next.processes.push_back(process);
      }
    }
  }
  world = next;
}

/// Reads the file again if it is another than before.
void refresh() {
  const char* path = std::getenv("FAKE_NVML");
  struct stat info{};
  if (manual_seconds >= 0 || path == nullptr || ::stat(path, &info) != 0) return;
  const std::string stamp = std::to_string(info.st_mtim.tv_sec) + "." + std::to_string(info.st_mtim.tv_nsec) +
                            "/" + std::to_string(info.st_size) + "/" + std::to_string(info.st_ino);
  if (stamp == file_stamp) return;
  file_stamp = stamp;
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  parse(text.str());
}

int generation_of(const Gpu& gpu) {
  return now_seconds() >= gpu.back_seconds ? 1 : 0;
}

Device handle_of(std::size_t gpu, int instance, int generation) {
  for (const auto& handle : handles) {
    if (handle->gpu == gpu && handle->instance == instance && handle->generation == generation)
      return reinterpret_cast<Device>(handle.get());
  }
  handles.push_back(std::make_unique<Handle>(Handle{gpu, instance, generation}));
  return reinterpret_cast<Device>(handles.back().get());
}

/// What is asked, of whom, and the code to fail with.
struct Asked {
  Return code;
  Gpu* gpu = nullptr;
  std::size_t index = 0;
  int instance = -1;
};

Return scripted(const char* function, int gpu) {
  const auto found = world.codes.find(std::string_view(function));
  if (found == world.codes.end()) return kSuccess;
  for (const int key : {gpu, -1}) {
    if (const auto code = found->second.find(key); code != found->second.end()) return code->second;
  }
  return kSuccess;
}

Asked ask(const char* function, Device device) {
  refresh();
  if (!initialized) return {kUninitialized};
  for (const auto& handle : handles) {
    if (reinterpret_cast<Device>(handle.get()) != device) continue;
    const auto gpu = world.gpus.find(int(handle->gpu));
    if (gpu == world.gpus.end()) return {kNotFound};
    const bool lost = now_seconds() >= gpu->second.lost_seconds;
    if (lost && handle->generation != generation_of(gpu->second)) return {kGpuIsLost};
    if (lost && now_seconds() < gpu->second.back_seconds) return {kGpuIsLost};
    return {scripted(function, int(handle->gpu)), &gpu->second, handle->gpu, handle->instance};
  }
  return {kInvalidArgument};
}

double watts_of(const Gpu& gpu, double seconds) {
  double watts = 0;
  for (const Step& step : gpu.course) {
    if (seconds >= step.from_seconds) watts = step.watts;
  }
  return watts;
}

[[maybe_unused]] double joules_until(const Gpu& gpu, double seconds) {
  double joules = 0;
  for (std::size_t i = 0; i < gpu.course.size(); ++i) {
    const double from = gpu.course[i].from_seconds;
    const double to = i + 1 < gpu.course.size() ? std::min(gpu.course[i + 1].from_seconds, seconds) : seconds;
    if (to > from) joules += gpu.course[i].watts * (to - from);
  }
  return joules;
}

[[maybe_unused]] double counter_of(const Gpu& gpu) {
  double seconds = std::min(now_seconds(), gpu.frozen_seconds);
  if (gpu.step_seconds > 0) seconds = std::floor(seconds / gpu.step_seconds) * gpu.step_seconds;
  if (gpu.restarts_after_loss && now_seconds() >= gpu.back_seconds)
    return joules_until(gpu, seconds) - joules_until(gpu, gpu.back_seconds);
  return gpu.start_joules + joules_until(gpu, seconds);
}

Return put_text(const std::string& text, char* buffer, unsigned size) {
  if (text.size() + 1 > size) return kInsufficientSize;
  std::memcpy(buffer, text.c_str(), text.size() + 1);
  return kSuccess;
}

[[maybe_unused]] Return holders(const char* function, Device device, std::uint32_t* count,
                                ProcessInfo* list) {
  const Asked asked = ask(function, device);
  if (asked.code != kSuccess) return asked.code;
  std::vector<ProcessInfo> found;
  for (const Process& process : world.processes) {
    const bool there =
        process.gpu == asked.index && (asked.instance < 0 || process.instance == asked.instance);
    if (there) found.push_back({process.pid, 1 << 20, unsigned(process.instance), 0});
  }
  const bool fits = found.size() <= *count;
  *count = unsigned(found.size());
  if (!fits || (list == nullptr && !found.empty())) return kInsufficientSize;
  std::copy(found.begin(), found.end(), list);
  return kSuccess;
}

}  // namespace

extern "C" {

/// For tests in the same process: the text, and the time that has passed.
void fake_nvml_text(const char* text) {
  if (manual_seconds < 0) manual_seconds = 0;
  parse(text);
}
void fake_nvml_seconds(double seconds) {
  manual_seconds = seconds;
}

Return nvmlInit_v2() {
  refresh();
  const Return code = scripted("nvmlInit_v2", -1);
  initialized = code == kSuccess;
  static_cast<void>(now_seconds());
  return code;
}
// What the vendor's Python binding starts with.
Return nvmlInitWithFlags(unsigned) {
  return nvmlInit_v2();
}
Return nvmlShutdown() {
  initialized = false;
  return kSuccess;
}
const char* nvmlErrorString(Return) {
  return "an error of the fake library";
}
Return nvmlSystemGetDriverVersion(char* buffer, std::uint32_t size) {
  return put_text(world.driver, buffer, size);
}
Return nvmlDeviceGetCount_v2(std::uint32_t* count) {
  refresh();
  if (!initialized) return kUninitialized;
  *count = unsigned(world.gpus.size());
  return scripted("nvmlDeviceGetCount_v2", -1);
}
Return nvmlDeviceGetHandleByIndex_v2(std::uint32_t index, Device* device) {
  refresh();
  if (!initialized) return kUninitialized;
  if (!world.gpus.contains(int(index))) return kInvalidArgument;
  *device = handle_of(index, -1, generation_of(world.gpus[int(index)]));
  return scripted("nvmlDeviceGetHandleByIndex_v2", int(index));
}
Return nvmlDeviceGetHandleByUUID(const char* uuid, Device* device) {
  refresh();
  for (const auto& [index, gpu] : world.gpus) {
    if (gpu.uuid != uuid) continue;
    const bool lost = now_seconds() >= gpu.lost_seconds && now_seconds() < gpu.back_seconds;
    if (lost) return kGpuIsLost;
    *device = handle_of(std::size_t(index), -1, generation_of(gpu));
    return kSuccess;
  }
  return kNotFound;
}
Return nvmlDeviceGetUUID(Device device, char* buffer, std::uint32_t size) {
  const Asked asked = ask("nvmlDeviceGetUUID", device);
  return asked.code != kSuccess ? asked.code : put_text(asked.gpu->uuid, buffer, size);
}
Return nvmlDeviceGetName(Device device, char* buffer, std::uint32_t size) {
  const Asked asked = ask("nvmlDeviceGetName", device);
  return asked.code != kSuccess ? asked.code : put_text(asked.gpu->name, buffer, size);
}
Return nvmlDeviceGetPowerUsage(Device device, std::uint32_t* milliwatts) {
  const Asked asked = ask("nvmlDeviceGetPowerUsage", device);
  if (asked.code != kSuccess) return asked.code;
  const double watts = asked.gpu->gpu_scope ? watts_of(*asked.gpu, now_seconds()) * asked.gpu->power_factor
                                            : asked.gpu->module_watts;
  *milliwatts = unsigned(watts * 1000);
  return kSuccess;
}
Return nvmlDeviceGetEnforcedPowerLimit(Device device, std::uint32_t* milliwatts) {
  const Asked asked = ask("nvmlDeviceGetEnforcedPowerLimit", device);
  if (asked.code != kSuccess) return asked.code;
  *milliwatts = unsigned(asked.gpu->limit_watts * 1000);
  return kSuccess;
}
#ifndef FAKE_NVML_OLD_DRIVER
Return nvmlDeviceGetArchitecture(Device device, std::uint32_t* architecture) {
  const Asked asked = ask("nvmlDeviceGetArchitecture", device);
  if (asked.code != kSuccess) return asked.code;
  *architecture = asked.gpu->architecture;
  return kSuccess;
}
Return nvmlDeviceGetTotalEnergyConsumption(Device device, unsigned long long* millijoules) {
  const Asked asked = ask("nvmlDeviceGetTotalEnergyConsumption", device);
  if (asked.code != kSuccess) return asked.code;
  if (asked.gpu->architecture < kArchitectureVolta) return kNotSupported;
  *millijoules = static_cast<unsigned long long>(counter_of(*asked.gpu) * 1000 * asked.gpu->unit);
  return kSuccess;
}
Return nvmlDeviceGetFieldValues(Device device, int count, FieldValue* fields) {
  const Asked asked = ask("nvmlDeviceGetFieldValues", device);
  if (asked.code != kSuccess) return asked.code;
  for (int i = 0; i < count; ++i) {
    FieldValue& field = fields[i];
    field.result = kNotSupported;
    if (field.field_id == kFieldPowerMaxLimit) {
      field.result = kSuccess;
      field.value_type = kValueUnsignedInt;
      field.value.unsigned_int = unsigned(asked.gpu->max_limit_watts * 1000);
      continue;
    }
    const bool known =
        field.field_id == kFieldPowerAverage || (field.field_id == kFieldPowerInstant && asked.gpu->instant);
    if (!known) continue;
    double watts = 0;
    if (field.scope_id == kScopeGpu && asked.gpu->gpu_scope)
      watts = watts_of(*asked.gpu, now_seconds()) * asked.gpu->power_factor;
    if (field.scope_id == kScopeModule) watts = asked.gpu->module_watts;
    if (field.scope_id == kScopeMemory) watts = asked.gpu->memory_watts;
    if (watts == 0 && (field.scope_id != kScopeGpu || !asked.gpu->gpu_scope)) continue;
    field.result = kSuccess;
    field.value_type = kValueUnsignedInt;
    field.value.unsigned_int = unsigned(watts * 1000);
  }
  return kSuccess;
}
Return nvmlDeviceGetProcessUtilization(Device device, ProcessUtilization* samples, std::uint32_t* count,
                                       unsigned long long last_seen) {
  const Asked asked = ask("nvmlDeviceGetProcessUtilization", device);
  if (asked.code != kSuccess) return asked.code;
  if (!asked.gpu->instances.empty()) return kNotSupported;
  // Microseconds of a clock that starts at a second, so that no sample is at 0.
  const auto now = static_cast<unsigned long long>((now_seconds() + 1) * 1e6);
  std::vector<ProcessUtilization> found;
  for (const Process& process : world.processes) {
    if (process.gpu == asked.index && process.sm > 0 && now > last_seen)
      found.push_back({process.pid, now, process.sm, process.sm / 2, 0, 0});
  }
  const bool fits = found.size() <= *count;
  *count = unsigned(found.size());
  if (found.empty()) return kNotFound;
  if (samples == nullptr || !fits) return kInsufficientSize;
  std::copy(found.begin(), found.end(), samples);
  return kSuccess;
}
Return nvmlDeviceGetComputeRunningProcesses_v3(Device device, std::uint32_t* count, ProcessInfo* list) {
  return holders("nvmlDeviceGetComputeRunningProcesses_v3", device, count, list);
}
Return nvmlDeviceGetMigMode(Device device, std::uint32_t* current, std::uint32_t* pending) {
  const Asked asked = ask("nvmlDeviceGetMigMode", device);
  if (asked.code != kSuccess) return asked.code;
  *current = *pending = asked.gpu->instances.empty() ? 0 : 1;
  return kSuccess;
}
Return nvmlDeviceGetMaxMigDeviceCount(Device device, std::uint32_t* count) {
  const Asked asked = ask("nvmlDeviceGetMaxMigDeviceCount", device);
  if (asked.code != kSuccess) return asked.code;
  *count = asked.gpu->instances.empty() ? 0 : 7;
  return kSuccess;
}
Return nvmlDeviceGetMigDeviceHandleByIndex(Device device, std::uint32_t index, Device* instance) {
  const Asked asked = ask("nvmlDeviceGetMigDeviceHandleByIndex", device);
  if (asked.code != kSuccess) return asked.code;
  if (index >= asked.gpu->instances.size()) return kNotFound;
  *instance = handle_of(asked.index, int(index), generation_of(*asked.gpu));
  return kSuccess;
}
Return nvmlDeviceGetAttributes_v2(Device device, DeviceAttributes* attributes) {
  const Asked asked = ask("nvmlDeviceGetAttributes_v2", device);
  if (asked.code != kSuccess) return asked.code;
  if (asked.instance < 0) return kNotSupported;
  *attributes = {};
  attributes->multiprocessor_count = asked.gpu->instances[std::size_t(asked.instance)];
  return kSuccess;
}
#endif
}
