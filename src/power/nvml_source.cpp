#include "power/nvml_source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.hpp"
#include "power/fallback_source.hpp"
#include "power/nvml_gpu.hpp"

namespace joulery::power {
namespace {

using nvml::Functions;
using nvml::Return;

/// Drivers bring the counter up to date every 20 to 100 ms.
constexpr double kCounterUpdateSeconds = 0.1;
constexpr double kPowerUpdateSeconds = 0.1;
constexpr double kCounterStepJoules = 1e-3;
/// Boards overshoot their limit for moments.
constexpr double kPlausibleOverLimit = 2;
constexpr double kUnknownPlausibleWatts = 3000;
constexpr double kModulePlausibleWatts = 6000;
constexpr std::uint32_t kMostGpus = 256;

constexpr const char* kSensorBasis = "NVML's power sensor: ±5 % by its documentation";
constexpr const char* kSampledBasis =
    "NVML's polled power: ±5 % by its documentation, and A100 and H100 look at a quarter of the time only "
    "(arXiv 2312.02741: correcting for such effects changed energies by 35 % on average)";

/// Boards whose sensor looks at part of the time only.
bool samples_part_of_the_time(const std::string& name) {
  constexpr std::array kNames = {"A100", "A30", "A800", "H100", "H200", "H800", "H20", "GH200"};
  return std::any_of(kNames.begin(), kNames.end(),
                     [&](const char* part) { return name.find(part) != std::string::npos; });
}

/// CPU and GPU on one module, with one sensor for both.
bool is_superchip(const std::string& name) {
  constexpr std::array kNames = {"GH200", "GB200", "GB300", "GB10", "Grace"};
  return std::any_of(kNames.begin(), kNames.end(),
                     [&](const char* part) { return name.find(part) != std::string::npos; });
}

class NvmlCounterSource final : public Source {
 public:
  NvmlCounterSource(std::shared_ptr<NvmlGpu> gpu, SourceInfo info)
      : gpu_(std::move(gpu)), info_(std::move(info)) {}
  const SourceInfo& info() const override { return info_; }
  SourceInfo* edit_info() override { return &info_; }
  Reading read(const Clock& clock) override { return gpu_->energy_reading(clock); }

 private:
  std::shared_ptr<NvmlGpu> gpu_;
  SourceInfo info_;
};

class NvmlPowerSource final : public Source {
 public:
  NvmlPowerSource(std::shared_ptr<NvmlGpu> gpu, SourceInfo info, NvmlPowerWay way, std::uint32_t scope)
      : gpu_(std::move(gpu)), info_(std::move(info)), way_(way), scope_(scope) {}
  const SourceInfo& info() const override { return info_; }
  SourceInfo* edit_info() override { return &info_; }
  Reading read(const Clock& clock) override { return gpu_->power_reading(clock, way_, scope_); }

 private:
  std::shared_ptr<NvmlGpu> gpu_;
  SourceInfo info_;
  NvmlPowerWay way_;
  std::uint32_t scope_;
};

SourceInfo counter_info(const NvmlGpu& gpu) {
  SourceInfo info;
  info.device_id = "nvml:" + gpu.uuid();
  info.name = gpu.facts().name;
  info.model = gpu.facts().model;
  info.via = "NVML energy counter";
  info.scope = Scope::gpu;
  info.resolution_joules = kCounterStepJoules;
  info.update_seconds = kCounterUpdateSeconds;
  double limit = 0;
  const bool known = gpu.read_highest_limit(limit) == nvml::kSuccess && limit > 0;
  info.max_plausible_watts = known ? kPlausibleOverLimit * limit : kUnknownPlausibleWatts;
  info.accuracy_low = 0.95;
  info.accuracy_high = 1.05;
  info.accuracy_basis = kSensorBasis;
  return info;
}

SourceInfo power_info(const NvmlGpu& gpu, NvmlPowerWay way) {
  SourceInfo info = counter_info(gpu);
  info.via = std::string("NVML ") + power_way_name(way);
  info.kind = ReadingKind::watts;
  info.provenance = Provenance::derived;
  info.resolution_joules = 0;
  info.update_seconds = kPowerUpdateSeconds;
  if (samples_part_of_the_time(gpu.facts().name)) {
    info.accuracy_low = 0.65;
    info.accuracy_high = 1.35;
    info.accuracy_basis = kSampledBasis;
  }
  return info;
}

/// What is found out about one GPU.
struct Opened {
  std::shared_ptr<NvmlGpu> gpu;
  std::vector<std::unique_ptr<Source>> sources;
  bool by_counter = false;
};

void add_module(Opened& opened, NvmlPowerWay way, bool alone) {
  NvmlGpu& gpu = *opened.gpu;
  SourceInfo info = power_info(gpu, way);
  info.device_id = "nvml:" + gpu.uuid() + ":module";
  info.name = gpu.facts().name + " module (CPU and GPU)";
  info.via += " of the module";
  info.scope = Scope::board;
  info.max_plausible_watts = kModulePlausibleWatts;
  if (alone) {
    gpu.set_device_id(info.device_id);
  } else {
    for (auto& source : opened.sources) {
      if (source->info().parent_id.empty()) source->edit_info()->parent_id = info.device_id;
    }
  }
  opened.sources.insert(opened.sources.begin(), std::make_unique<NvmlPowerSource>(opened.gpu, std::move(info),
                                                                                  way, nvml::kScopeModule));
}

void add_memory(Opened& opened) {
  NvmlGpu& gpu = *opened.gpu;
  const NvmlPowerWay way = gpu.find_power_way(nvml::kScopeMemory);
  if (way == NvmlPowerWay::none) return;
  SourceInfo info = power_info(gpu, way);
  info.parent_id = gpu.device_id();
  info.device_id = "nvml:" + gpu.uuid() + ":memory";
  info.name = gpu.facts().name + " memory";
  info.via += " of its memory";
  info.scope = Scope::gpu_memory;
  opened.sources.push_back(
      std::make_unique<NvmlPowerSource>(opened.gpu, std::move(info), way, nvml::kScopeMemory));
}

/// Energy of the GPU itself, by the best way that works. False if there is none.
bool add_gpu(Opened& opened, NvmlPowerWay way) {
  NvmlGpu& gpu = *opened.gpu;
  double joules = 0;
  const Return energy = gpu.read_energy(joules);
  gpu.set_device_id("nvml:" + gpu.uuid());
  std::unique_ptr<Source> power;
  if (way != NvmlPowerWay::none) {
    SourceInfo info = power_info(gpu, way);
    gpu.set_check_power(way, info);
    power = std::make_unique<NvmlPowerSource>(opened.gpu, std::move(info), way, nvml::kScopeGpu);
  }
  GpuFacts& facts = gpu.edit_facts();
  if (energy == nvml::kSuccess) {
    opened.sources.push_back(make_fallback_source(
        std::make_unique<NvmlCounterSource>(opened.gpu, counter_info(gpu)), std::move(power)));
    facts.energy = "energy counter";
    opened.by_counter = true;
    return true;
  }
  facts.energy = fmt::format("no energy counter: {}", nvml::return_text(energy));
  if (energy == nvml::kNotSupported) facts.energy += " (counters came with Volta; a vGPU has none)";
  facts.remedy = nvml::return_remedy(energy);
  if (!power) {
    facts.energy += "; its power is not told either";
    return false;
  }
  facts.energy += fmt::format("; its {} is summed over time", power_way_name(way));
  opened.sources.push_back(std::move(power));
  return true;
}

Opened open_gpu(const NvmlApi& api, nvml::Device handle, std::string uuid, std::uint32_t index,
                std::uint32_t count) {
  Opened opened;
  opened.gpu = std::make_shared<NvmlGpu>(api, handle, std::move(uuid));
  NvmlGpu& gpu = *opened.gpu;
  GpuFacts& facts = gpu.edit_facts();
  facts.driver = api.driver_version();
  facts.model = gpu.name();
  facts.name = facts.model;
  const bool superchip = is_superchip(facts.model);
  if (count > 1) facts.name += fmt::format(" (GPU {})", index);
  static_cast<void>(gpu.read_power_limit(facts.enforced_limit_watts));
  gpu.describe_sharing();
  const NvmlPowerWay module_way = superchip ? gpu.find_power_way(nvml::kScopeModule) : NvmlPowerWay::none;
  NvmlPowerWay way = gpu.find_power_way(nvml::kScopeGpu);
  // On such a module, power that is not asked for by scope is the module's.
  if (module_way != NvmlPowerWay::none && way == NvmlPowerWay::power_usage) way = NvmlPowerWay::none;
  if (module_way != NvmlPowerWay::none && way == NvmlPowerWay::none) {
    facts.energy =
        fmt::format("only the whole module's {} is told, of CPU and GPU together; it is summed over time",
                    power_way_name(module_way));
    add_module(opened, module_way, true);
    return opened;
  }
  if (!add_gpu(opened, way)) return opened;
  add_memory(opened);
  if (module_way != NvmlPowerWay::none) add_module(opened, module_way, false);
  return opened;
}

/// An identity goes into file names and keys: what has no place there is replaced.
std::string clean_uuid(const char* text) {
  std::string uuid(text);
  for (char& c : uuid) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
    if (!plain) c = '_';
  }
  return uuid;
}

struct Findings {
  int by_counter = 0;
  int by_power = 0;
  std::vector<std::string> problems;
  std::string remedy;
  void add(std::string problem, const std::string& help) {
    problems.push_back(std::move(problem));
    if (remedy.empty()) remedy = help;
  }
};

void open_index(const NvmlApi& api, std::uint32_t index, std::uint32_t count, NvmlProbe& probe,
                Findings& findings) {
  nvml::Device handle = nullptr;
  Return code = api.call(&Functions::device_by_index, index, &handle);
  std::array<char, nvml::kUuidBytes> uuid{};
  if (code == nvml::kSuccess)
    code = api.call(&Functions::uuid, handle, uuid.data(), static_cast<std::uint32_t>(uuid.size()));
  uuid.back() = '\0';
  if (code != nvml::kSuccess || uuid.front() == '\0') {
    findings.add(fmt::format("GPU {} can't be opened: {} (code {})", index, nvml::return_text(code), code),
                 nvml::return_remedy(code));
    return;
  }
  Opened opened = open_gpu(api, handle, clean_uuid(uuid.data()), index, count);
  const GpuFacts& facts = opened.gpu->facts();
  if (!opened.by_counter) findings.add(fmt::format("{}: {}", facts.name, facts.energy), facts.remedy);
  if (opened.sources.empty()) return;
  ++(opened.by_counter ? findings.by_counter : findings.by_power);
  for (auto& source : opened.sources) probe.result.sources.push_back(std::move(source));
  probe.gpus.push_back(std::move(opened.gpu));
}

bool has_nvidia_hardware(const SystemRoot& root) {
  constexpr const char* kDevices = "/sys/bus/pci/devices";
  for (const std::string& name : root.list(kDevices)) {
    const std::string folder = fmt::format("{}/{}", kDevices, name);
    const auto vendor = root.read_line(folder + "/vendor");
    const auto kind = root.read_line(folder + "/class");
    // Class 03: display controllers, compute GPUs among them.
    if (vendor && *vendor == "0x10de" && kind && kind->starts_with("0x03")) return true;
  }
  return false;
}

}  // namespace

NvmlProbe probe_nvml(const SystemRoot& root, NvmlLibrary* library) {
  NvmlProbe probe;
  ProbeResult& result = probe.result;
  result.via = "NVML";
  const Result<const NvmlApi*> opened = library != nullptr ? library->open() : nullptr;
  if (!opened) {
    result.reason = opened.error().message;
    result.enable = opened.error().hint;
    return probe;
  }
  if (*opened == nullptr) {
    const bool hardware = has_nvidia_hardware(root);
    result.reason = hardware ? "there is an NVIDIA GPU, but no driver library (libnvidia-ml.so.1)"
                             : "there is no NVIDIA driver library (libnvidia-ml.so.1)";
    if (hardware)
      result.enable = "install the NVIDIA driver; in a container, start it with the GPU (--gpus all)";
    return probe;
  }
  const NvmlApi& api = **opened;
  std::uint32_t count = 0;
  const Return code = api.call(&Functions::device_count, &count);
  if (code != nvml::kSuccess) {
    result.reason = fmt::format("driver {} does not tell its GPUs: {} (code {})", api.driver_version(),
                                nvml::return_text(code), code);
    result.enable = nvml::return_remedy(code);
    return probe;
  }
  Findings findings;
  count = std::min(count, kMostGpus);
  for (std::uint32_t index = 0; index < count; ++index) open_index(api, index, count, probe, findings);
  result.enable = findings.remedy;
  const int known = findings.by_counter + findings.by_power;
  result.reason = count == 0 ? fmt::format("driver {} sees no GPU", api.driver_version())
                             : fmt::format("driver {}, {} of {} readable", api.driver_version(), known,
                                           format_count(count, "GPUs"));
  for (const std::string& problem : findings.problems) result.reason += "; " + problem;
  if (known > 0) {
    result.state = findings.problems.empty() ? ProbeResult::State::available : ProbeResult::State::limited;
  }
  return probe;
}

}  // namespace joulery::power
