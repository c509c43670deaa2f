#include <fmt/format.h>
#include <linux/perf_event.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>

#include "base/text.hpp"
#include "power/cpu_topology.hpp"
#include "power/kernel_text.hpp"
#include "power/rapl.hpp"

namespace joulery::power {
namespace {

constexpr const char* kDevices = "/sys/bus/event_source/devices/";

class PerfSource final : public Source {
 public:
  PerfSource(SourceInfo info, SystemCalls& calls, int descriptor, double joules_per_count)
      : info_(std::move(info)), calls_(calls), descriptor_(descriptor), scale_(joules_per_count) {}
  ~PerfSource() override { calls_.close(descriptor_); }
  PerfSource(const PerfSource&) = delete;
  PerfSource& operator=(const PerfSource&) = delete;
  SourceInfo* edit_info() override { return &info_; }
  const SourceInfo& info() const override { return info_; }

  Reading read(const Clock& clock) override {
    std::uint64_t count = 0;
    Reading reading;
    const std::int64_t before = clock.boottime_ns();
    const long got = calls_.read(descriptor_, &count, sizeof count);
    reading.boottime_ns = before + (clock.boottime_ns() - before) / 2;
    if (got == static_cast<long>(sizeof count)) {
      // The kernel unwraps to 64 bits.
      reading.value = static_cast<double>(count) * scale_;
      reading.valid = true;
    } else {
      // 0 bytes: the event is in its error state, as after its CPU went offline.
      reading.error_number = got < 0 ? static_cast<int>(-got) : EIO;
    }
    return reading;
  }

 private:
  SourceInfo info_;
  SystemCalls& calls_;
  int descriptor_;
  double scale_;
};

struct Event {
  Scope scope;
  EventConfig config;
  double joules_per_count;
};

struct Pmu {
  std::uint32_t type = 0;
  std::vector<int> cpus;
  std::vector<Event> events;
};

std::optional<Scope> event_scope(std::string_view name) {
  if (name == "energy-pkg") return Scope::package;
  if (name == "energy-cores") return Scope::core;
  if (name == "energy-ram") return Scope::dram;
  if (name == "energy-gpu") return Scope::uncore;
  if (name == "energy-psys") return Scope::psys;
  return std::nullopt;
}

std::optional<Pmu> read_pmu(const SystemRoot& root, const std::string& folder) {
  Pmu pmu;
  const auto type = root.read_integer(folder + "/type");
  const auto cpus = parse_cpu_list(root.read_line(folder + "/cpumask").value_or(""));
  if (!type.has_value() || *type < 0 || *type > UINT32_MAX || !cpus) return std::nullopt;
  pmu.type = static_cast<std::uint32_t>(*type);
  pmu.cpus = *cpus;
  std::map<std::string, std::string> formats;
  for (const std::string& name : root.list(folder + "/format")) {
    formats[name] = root.read_line(fmt::format("{}/format/{}", folder, name)).value_or("");
  }
  for (const std::string& name : root.list(folder + "/events")) {
    const auto scope = event_scope(name);
    if (!scope) continue;
    const std::string path = fmt::format("{}/events/{}", folder, name);
    const auto config = parse_event(root.read_line(path).value_or(""), formats);
    const auto scale = parse_scale(root.read_line(path + ".scale").value_or(""));
    if (config && scale && root.read_line(path + ".unit").value_or("") == "Joules") {
      pmu.events.push_back({*scope, *config, *scale});
    }
  }
  return pmu;
}

/// Where the CPUs of the mask sit. Dies are told apart only if the mask has several of one package: the scope
/// of the PMU is the die on Intel and the package on AMD.
std::vector<CpuPlace> find_places(const SystemRoot& root, const std::vector<int>& cpus) {
  return one_of_each(read_cpu_places(root, cpus), true);
}

/// The step in which the domain's register typically moves. The kernel scales every register to one fine
/// unit of its count (2^-32 J), which says nothing of that step, and the register that does tell it (an MSR)
/// is for root alone. Too small a step would make the random part of a short run's uncertainty look like
/// nothing, so the coarser of the usual ones is taken: 2^-14 J, though some CPUs count in 2^-16 J.
double typical_step_joules(Scope scope, const RaplMachine& machine) {
  constexpr double kUsualStep = 0x1p-14;   // 61 uJ
  constexpr double kMemoryStep = 0x1p-16;  // 15.3 uJ, fixed for Intel's servers, whatever the package has
  constexpr double kWholeJoule = 1;
  if (scope == Scope::dram) return kMemoryStep;
  if (scope == Scope::psys && machine.platform_counts_whole_joules) return kWholeJoule;
  return kUsualStep;
}

int open_event(SystemCalls& calls, std::uint32_t type, const EventConfig& config, int cpu) {
  perf_event_attr attributes;
  std::memset(&attributes, 0, sizeof attributes);
  attributes.size = sizeof attributes;
  attributes.type = type;
  attributes.config = config.config;
  attributes.config1 = config.config1;
  attributes.config2 = config.config2;
  return calls.perf_event_open(attributes, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
}

struct Findings {
  int denied = 0;
  int last_error = 0;
};

void open_sources(SystemCalls& calls, const Pmu& pmu, const std::vector<CpuPlace>& places,
                  const RaplMachine& machine, RaplProbe& probe, Findings& findings) {
  for (const Event& event : pmu.events) {
    for (const CpuPlace& place : places) {
      RaplDomain domain{event.scope, place.package, place.die};
      if (event.scope == Scope::package && place.die >= 0) domain.scope = Scope::die;
      SourceInfo info = rapl_source_info(domain);
      const bool known = std::any_of(probe.infos.begin(), probe.infos.end(), [&](const SourceInfo* other) {
        return other->device_id == info.device_id;
      });
      // The platform is one, whatever number of CPUs can read it.
      if (known) continue;
      const int descriptor = open_event(calls, pmu.type, event.config, place.cpu);
      if (descriptor < 0) {
        findings.last_error = -descriptor;
        if (descriptor == -EACCES || descriptor == -EPERM) ++findings.denied;
        continue;
      }
      info.via = "perf power PMU";
      info.resolution_joules = std::max(event.joules_per_count, typical_step_joules(event.scope, machine));
      info.max_plausible_watts = plausible_watts(domain, machine);
      auto source = std::make_unique<PerfSource>(std::move(info), calls, descriptor, event.joules_per_count);
      probe.infos.push_back(source->edit_info());
      probe.result.sources.push_back(std::move(source));
    }
  }
}

constexpr const char* kEnable =
    "echo 'kernel.perf_event_paranoid=0' | sudo tee /etc/sysctl.d/70-joulery.conf\n"
    "sudo sysctl kernel.perf_event_paranoid=0\n"
    "# or, for one command and without opening it to everybody:\n"
    "sudo systemd-run --pty --same-dir --uid=\"$USER\" --property=AmbientCapabilities=CAP_PERFMON joulery "
    "run -- CMD";

}  // namespace

RaplProbe probe_perf_power(const SystemRoot& root, SystemCalls& calls, const RaplMachine& machine) {
  RaplProbe probe;
  ProbeResult& result = probe.result;
  result.via = "perf power PMU";
  const std::string folder = std::string(kDevices) + "power";
  if (!root.exists(folder)) {
    result.reason =
        machine.virtual_machine
            ? "the kernel has no power PMU: a virtual machine is not shown the host's energy counters"
            : "the kernel has no power PMU: the module rapl is not loaded, or the CPU has no RAPL";
    if (!machine.virtual_machine) result.enable = "sudo modprobe rapl";
    return probe;
  }
  const auto pmu = read_pmu(root, folder);
  if (!pmu || pmu->events.empty()) {
    result.reason = fmt::format("{} names no energy event that this program understands", folder);
    return probe;
  }
  Findings findings;
  open_sources(calls, *pmu, find_places(root, pmu->cpus), machine, probe, findings);
  if (findings.denied > 0) {
    result.enable = kEnable;
    result.cost = kRaplRisk;
  }
  if (!result.sources.empty()) {
    result.state = findings.denied > 0 ? ProbeResult::State::limited : ProbeResult::State::available;
    result.reason = format_count(double(result.sources.size()), "energy counters") + " of 64 bits opened";
    if (root.exists(std::string(kDevices) + "power_core")) {
      result.reason += "; power_core counts each core too, which would cost a read per core and is left out";
    }
  } else if (findings.denied > 0) {
    result.state = ProbeResult::State::limited;
    result.reason =
        fmt::format("the power PMU is there, but kernel.perf_event_paranoid={} keeps it from this user",
                    printable(root.read_line("/proc/sys/kernel/perf_event_paranoid").value_or("unknown")));
  } else {
    result.reason = fmt::format("no energy event could be opened: {}", errno_text(findings.last_error));
  }
  return probe;
}

}  // namespace joulery::power
