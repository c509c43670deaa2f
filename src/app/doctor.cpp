#include "app/doctor.hpp"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <time.h>

#include <algorithm>

#include "app/doctor_checks.hpp"
#include "app/workload.hpp"
#include "base/dynamic_library.hpp"
#include "base/ids.hpp"
#include "base/text.hpp"
#include "meter/attribution_factory.hpp"
#include "meter/figures.hpp"
#include "power/machine_load.hpp"
#include "power/probe.hpp"
#include "power/sampler.hpp"
#include "power/source_tree.hpp"

namespace joulery::app {
namespace {

using State = DoctorCheck::State;

/// Above this share of busy time the machine is not quiet, and its power is not its idle power.
constexpr double kQuietShare = 0.05;
constexpr double kIdleSeconds = 1.0;

std::string describe_resolution(const power::SourceInfo& info) {
  std::vector<std::string> parts;
  if (info.resolution_joules > 0) parts.push_back(format_si(info.resolution_joules, "J"));
  if (info.update_seconds > 0) parts.push_back("every " + format_si(info.update_seconds, "s"));
  if (info.wrap_joules > 0) parts.push_back("wraps at " + format_si(info.wrap_joules, "J"));
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string describe_accuracy(const power::SourceInfo& info) {
  if (info.accuracy_low == 1 && info.accuracy_high == 1) return info.accuracy_basis;
  return fmt::format("the true energy may be ×{:.3g} to ×{:.3g} of what is shown{}{}", info.accuracy_low,
                     info.accuracy_high, info.accuracy_basis.empty() ? "" : ": ", info.accuracy_basis);
}

/// What a run would read.
struct Sensors {
  std::vector<std::unique_ptr<power::Source>> sources;
  std::vector<std::shared_ptr<power::GpuDevice>> gpus;
};

/// One check for each GPU whose energy is known.
void check_gpus(const Sensors& sensors, DoctorReport& report) {
  for (const auto& gpu : sensors.gpus) {
    const auto source = std::find_if(sensors.sources.begin(), sensors.sources.end(), [&](const auto& one) {
      return one->info().device_id == gpu->device_id();
    });
    if (source == sensors.sources.end()) continue;
    const power::GpuFacts& facts = gpu->facts();
    DoctorCheck check{.area = "gpu",
                      .name = facts.name,
                      .state = State::good,
                      .reason = facts.energy + "; shared " + facts.sharing,
                      .resolution = describe_resolution((*source)->info()),
                      .accuracy = describe_accuracy((*source)->info()),
                      .cost = {},
                      .enable = facts.remedy,
                      .in_use = true};
    if (facts.enforced_limit_watts > 0)
      check.reason += fmt::format("; power limit {}", format_si(facts.enforced_limit_watts, "W"));
    if (facts.mig) check.reason += "; MIG is on";
    if ((*source)->info().kind == power::ReadingKind::watts) {
      check.state = State::limited;
      check.cost = "what happens between two reads of its power is not seen";
    }
    report.gpus.push_back({.device_id = gpu->device_id(), .facts = facts});
    report.checks.push_back(std::move(check));
  }
}

/// Power checks, and the sources that a run would read.
Sensors check_power(Application& application, DoctorReport& report) {
  power::ProbeReport probe =
      power::probe(application.sensors(), power::real_system_calls(), application.nvml());
  for (const power::ProbeResult& result : probe.results) {
    DoctorCheck check{.area = "power",
                      .name = result.via,
                      .reason = result.reason,
                      .resolution = {},
                      .accuracy = {},
                      .cost = result.cost,
                      .enable = result.enable};
    check.state = result.state == power::ProbeResult::State::available ? State::good
                  : result.state == power::ProbeResult::State::limited ? State::limited
                                                                       : State::unavailable;
    if (!result.sources.empty()) {
      check.resolution = describe_resolution(result.sources.front()->info());
      // What the reason says already is not said again.
      power::SourceInfo info = result.sources.front()->info();
      if (result.reason.find(info.accuracy_basis) != std::string::npos) info.accuracy_basis.clear();
      check.accuracy = describe_accuracy(info);
    }
    report.checks.push_back(std::move(check));
  }
  Sensors sensors{.sources = power::choose_sources(probe), .gpus = std::move(probe.gpus)};
  for (const auto& source : sensors.sources) {
    const power::SourceInfo& info = source->info();
    report.devices.push_back({.id = info.device_id,
                              .parent_id = info.parent_id,
                              .name = info.name,
                              .via = info.via,
                              .scope = power::scope_name(info.scope),
                              .provenance = provenance_name(info.provenance),
                              .accuracy_low = info.accuracy_low,
                              .accuracy_high = info.accuracy_high,
                              .accuracy_basis = info.accuracy_basis,
                              .role = {}});
    for (DoctorCheck& check : report.checks) {
      const bool same = check.name.starts_with(info.via) || info.via.starts_with(check.name);
      if (check.area == "power" && same) check.in_use = true;
    }
  }
  return sensors;
}

std::string role_name(power::DeviceRole role) {
  switch (role) {
    case power::DeviceRole::counted:
      return "counted";
    case power::DeviceRole::part:
      return "part of its parent";
    case power::DeviceRole::mirror:
      return "mirror";
    case power::DeviceRole::replaced:
      return "replaced by its parts";
    case power::DeviceRole::reported_only:
      return "reported only";
  }
  return "unknown";
}

/// Devices are in the sampler's order.
void set_roles(const power::Sampler& sampler, DoctorReport& report) {
  for (std::size_t i = 0; i < sampler.device_count() && i < report.devices.size(); ++i) {
    report.devices[i].counts = sampler.is_root(i);
    report.devices[i].role = role_name(sampler.role(i));
  }
}

/// Is its energy counted and not modelled?
bool is_sensed(const DoctorDevice& device) {
  return device.counts && (device.provenance == provenance_name(Provenance::measured) ||
                           device.provenance == provenance_name(Provenance::derived));
}

bool is_any_sensed(const DoctorReport& report) {
  return std::any_of(report.devices.begin(), report.devices.end(), is_sensed);
}

void check_load(Application& application, DoctorReport& report) {
  DoctorCheck check{.area = "load",
                    .name = "machine's busy time",
                    .reason = {},
                    .resolution = {},
                    .accuracy = {},
                    .cost = {},
                    .enable = {}};
  if (auto load = power::MachineLoadReader::open(application.sensors())) {
    check.state = State::good;
    check.reason = fmt::format("{} CPUs, read from {}", (*load)->cpu_count(), (*load)->via());
    check.in_use = true;
  } else {
    check.reason = load.error().message;
    check.cost = "all active energy is taken to be the workload's";
    check.enable = load.error().hint;
  }
  report.checks.push_back(std::move(check));
}

void check_attribution(Application& application, DoctorReport& report) {
  const meter::AttributionOptions options{
      .root = application.root(),
      .clock = application.clock(),
      .system_calls = power::real_system_calls(),
      .short_id = make_run_id(application.clock().realtime_ns()).substr(20),
      .library_directory = own_library_directory(),
      .only = std::nullopt,
      .systemd_bus_address = {}};
  bool chosen = false;
  for (const meter::TierReport& tier : meter::probe_tiers(options)) {
    DoctorCheck check{.area = "attribution",
                      .name = meter::tier_name(tier.tier),
                      .reason = tier.reason,
                      .resolution = {},
                      .accuracy = {},
                      .cost = {},
                      .enable = tier.hint};
    if (tier.usable) {
      check.state = State::good;
      check.reason = "works; can miss " + tier.can_miss;
      check.in_use = !chosen;
      chosen = true;
    }
    report.checks.push_back(std::move(check));
  }
  if (!chosen) {
    report.checks.push_back({.area = "attribution",
                             .name = "any",
                             .state = State::unavailable,
                             .reason = "no way to tell the workload from the rest",
                             .resolution = {},
                             .accuracy = {},
                             .cost = {},
                             .enable = {},
                             .essential = true});
  }
}

/// While doctor looks, nothing is the workload's.
class Nobody final : public meter::ProcessOwner {
 public:
  void refresh() override {}
  bool is_workloads(int) override { return false; }
  bool numbers_are_the_hosts() const override { return true; }
};

/// The power that was seen for a while, of the GPUs and of the rest.
struct QuietPower {
  double rest_watts = 0;
  std::vector<meter::GpuShare> gpus;
  double seconds = 0;
};

QuietPower watch_power(Application& application, power::Sampler& sampler,
                       std::vector<std::shared_ptr<power::GpuDevice>> gpus) {
  Nobody nobody;
  meter::GpuAccounts accounts(sampler, std::move(gpus), nobody, application.clock());
  sampler.start();
  accounts.start();
  QuietPower quiet;
  double joules = 0;
  const timespec pause{.tv_sec = 0, .tv_nsec = 100'000'000};
  while (quiet.seconds < kIdleSeconds) {
    nanosleep(&pause, nullptr);
    const power::Tick& tick = sampler.tick();
    const meter::GpuAccounts::Rest rest = accounts.add(tick);
    joules += rest.joules + rest.late_joules;
    quiet.seconds += tick.window_seconds;
    if (!(tick.window_seconds > 0)) break;
  }
  accounts.finish();
  joules += accounts.settle(sampler.settle());
  quiet.gpus = accounts.shares(meter::IdlePolicy::none, nullptr);
  quiet.rest_watts = quiet.seconds > 0 ? joules / quiet.seconds : 0;
  return quiet;
}

/// Keeps what a device draws when it is quiet; the check says how that went.
DoctorCheck keep_idle(Application& application, const DoctorReport& report, const std::string& area,
                      const std::string& name, const std::string& sources, double watts) {
  DoctorCheck check{.area = area,
                    .name = name,
                    .state = State::good,
                    .reason = fmt::format("{} while quiet; kept for coming runs", format_si(watts, "W")),
                    .resolution = {},
                    .accuracy = {},
                    .cost = {},
                    .enable = {}};
  if (const Status saved = save_idle_watts(application, report.host.id, sources, watts); !saved) {
    check.state = State::limited;
    check.reason =
        fmt::format("{} while quiet, but it can't be kept: {}", format_si(watts, "W"), saved.error().message);
  }
  return check;
}

DoctorCheck not_quiet(const std::string& area, const std::string& name, std::string reason) {
  return {.area = area,
          .name = name,
          .state = State::limited,
          .reason = std::move(reason),
          .resolution = {},
          .accuracy = {},
          .cost =
              "the split into active and idle energy takes half of the quietest second of each run as "
              "idle, with a range from nothing to all of it",
          .enable = "joulery doctor    # again, when nothing else runs"};
}

/// With a sensor and a quiet machine, its idle power is worth keeping.
void measure_idle(Application& application, Sensors sensors, DoctorReport& report) {
  power::Sampler sampler(std::move(sensors.sources), application.clock());
  set_roles(sampler, report);
  auto load = power::MachineLoadReader::open(application.sensors());
  if (!is_any_sensed(report) || !load) return;
  const power::MachineLoad before = (*load)->read();
  const QuietPower quiet = watch_power(application, sampler, std::move(sensors.gpus));
  const power::MachineLoad after = (*load)->read();
  // A second shows what is dead, mirrored or too low to be true.
  set_roles(sampler, report);
  bool rest_sensed = false;
  for (std::size_t i = 0; i < sampler.device_count(); ++i) {
    const power::SourceInfo& info = sampler.device(i);
    rest_sensed = rest_sensed || (sampler.is_root(i) && power::is_sensed(info) && !power::is_of_gpu(info));
  }
  const double share =
      (after.busy_seconds - before.busy_seconds) / std::max(1e-9, quiet.seconds * (*load)->cpu_count());
  if (rest_sensed && quiet.rest_watts > 0 && share < kQuietShare) {
    report.idle_watts = quiet.rest_watts;
    report.checks.push_back(keep_idle(application, report, "power", "idle power",
                                      meter::root_device_ids(sampler), quiet.rest_watts));
  } else if (rest_sensed) {
    report.checks.push_back(not_quiet(
        "power", "idle power", fmt::format("not measured: the machine is {:.0f} % busy", 100 * share)));
  }
  for (DoctorGpu& gpu : report.gpus) {
    for (const meter::GpuShare& seen : quiet.gpus) {
      if (seen.device_id != gpu.device_id) continue;
      const std::string name = "idle power of " + seen.name;
      const double watts = seen.energy.split.machine_joules / std::max(1e-9, quiet.seconds);
      if (seen.busy_seconds > 0 || !(watts > 0)) {
        report.checks.push_back(not_quiet("gpu", name, "not measured: a process is using it"));
        continue;
      }
      gpu.idle_watts = watts;
      report.checks.push_back(keep_idle(application, report, "gpu", name, gpu.device_id, watts));
    }
  }
}

std::string verdict_of(const DoctorReport& report) {
  const bool modelled =
      std::any_of(report.devices.begin(), report.devices.end(),
                  [](const DoctorDevice& device) { return device.counts && !is_sensed(device); });
  if (is_any_sensed(report)) {
    return modelled ? "Energy is measured by this machine's own sensors where it has them; the rest is "
                      "modelled, with a plausible range."
                    : "Energy is measured by this machine's own sensors.";
  }
  return report.devices.empty() ? "Only times are measured: there is neither a sensor nor a model."
                                : "Times are measured; joules are modelled, with a plausible range.";
}

}  // namespace

Result<DoctorReport> examine(Application& application) {
  DoctorReport report;
  if (auto identity = power::read_machine_identity(application.sensors()))
    report.identity = std::move(*identity);
  report.host = meter::read_host_facts(application.sensors(), application.clock(), report.identity).host;
  utsname system{};
  if (::uname(&system) == 0)
    report.kernel = fmt::format("{} {} {}", system.sysname, system.release, system.machine);
  Sensors sensors = check_power(application, report);
  check_gpus(sensors, report);
  measure_idle(application, std::move(sensors), report);
  check_load(application, report);
  check_attribution(application, report);
  check_clock(application, report);
  check_noise(application, report);
  check_store(application, report);
  check_spool(application, report);
  check_settings(application, report);
  report.verdict = verdict_of(report);
  report.usable = std::none_of(report.checks.begin(), report.checks.end(), [](const DoctorCheck& check) {
    return check.essential && check.state == State::unavailable;
  });
  return report;
}

}  // namespace joulery::app
