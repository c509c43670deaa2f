#include "meter/figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.hpp"
#include "meter/gpu_figures.hpp"

namespace joulery::meter {
namespace {

/// Of the energy that others had, this much may belong to the workload, or the other way round: CPU time says
/// nothing about frequency, vector width or hyper-threads. Published attribution by plain CPU time errs by
/// tens of per cent.
constexpr double kShareError = 0.25;

/// Power that was filled in is at most this many times off where no bound of the device's power is known.
constexpr double kFilledInError = 3;

/// A sensor that answers a moment late misses nothing that matters.
constexpr double kLeastUnknownSeconds = 0.4;
constexpr double kLeastUnknownUpdates = 4;
/// Below this part of the run, unknown time widens the range and the figure is still known as it was.
constexpr double kUnknownToSpeakOf = 0.05;

std::vector<SystematicSource> device_sources(const power::SourceInfo& info, const std::string& host_id) {
  if (info.accuracy_low == 1.0 && info.accuracy_high == 1.0) return {};
  // All parts of one power model are wrong together.
  const bool model = info.provenance == Provenance::modelled;
  return {{.id = model ? "host-power-model:" + host_id : fmt::format("sensor:{}:{}", host_id, info.device_id),
           .low = info.accuracy_low,
           .high = info.accuracy_high,
           .provenance = info.provenance,
           .basis = info.accuracy_basis}};
}

/// Nothing was read while energy was filled in: the device may have been off, or at its highest power.
SystematicSource filled_in(const power::SourceInfo& info, const power::DeviceTotal& total, double joules,
                           const std::string& run_id) {
  const bool bounded = info.max_plausible_watts > 0 && total.bridged_seconds > 0;
  const double most = bounded ? info.max_plausible_watts * total.bridged_seconds / joules : kFilledInError;
  return {.id = fmt::format("filled-in:{}:{}", run_id, info.device_id),
          .low = 0,
          .high = std::max(most, 1.0),
          .provenance = Provenance::assumed,
          .basis = fmt::format("{} of {} ({}) filled in with the power before: nothing was read then",
                               format_duration(total.bridged_seconds), info.name, format_si(joules, "J"))};
}

/// Random error of a counter that is read at two edges: it stands still between updates, and moves in steps.
double edge_deviation(const power::SourceInfo& info, const power::DeviceTotal& total, double mean_watts) {
  // Some counters are slower than they claim.
  const double update_seconds =
      info.integrated ? info.update_seconds : std::max(info.update_seconds, total.slowest_update_seconds);
  const double step = info.resolution_joules + mean_watts * update_seconds;
  return step / std::sqrt(6.0);  // difference of two values, each uniform within a step
}

bool has_unknown_time(const power::SourceInfo& info, const power::DeviceTotal& total) {
  return total.unknown_seconds > std::max(kLeastUnknownSeconds, kLeastUnknownUpdates * info.update_seconds);
}

/// Adds to `energy`, which the device's is in, what the device may have drawn while nothing was known of it.
void widen_by_unknown_time(const DeviceReport& device, const MeteredRun& result, Quantity<Joules>& energy) {
  const power::SourceInfo& info = device.info;
  if (!has_unknown_time(info, device.total) || energy.value() <= 0) return;
  const double seconds = device.total.unknown_seconds;
  const double known_seconds = result.duration_seconds - seconds;
  const double guess = known_seconds > 0 ? kFilledInError * device.total.joules / known_seconds : 0;
  const double most = seconds * (info.max_plausible_watts > 0 ? info.max_plausible_watts : guess);
  const bool much = seconds >= kUnknownToSpeakOf * result.duration_seconds;
  const Provenance provenance = much ? Provenance::assumed : info.provenance;
  const SystematicSource source{
      .id = fmt::format("unknown-time:{}:{}", result.run.id, info.device_id),
      .low = 1,
      .high = 1 + most / energy.value(),
      .provenance = provenance,
      .basis = fmt::format("nothing is known of {} of {}, which may have drawn up to {} then",
                           format_duration(seconds), info.name, format_si(most, "J"))};
  energy = Quantity<Joules>(energy.untyped().times(UncertainValue(1, provenance, 0, {source})));
}

/// Zones that many CPUs list and do not have: their counters stand at zero for good.
bool is_minor(power::Scope scope) {
  return scope == power::Scope::dram || scope == power::Scope::core || scope == power::Scope::uncore;
}

/// What a device that gave nothing at all may have drawn is missing in no device's energy, only in the sums.
void widen_sums_by_unknown_devices(MeteredRun& result) {
  for (const DeviceReport& device : result.devices) {
    if (!device.is_root || device.known() || is_minor(device.info.scope)) continue;
    for (Quantity<Joules>* sum : {&result.energy_machine, &result.energy, &result.energy_active})
      widen_by_unknown_time(device, result, *sum);
  }
}

}  // namespace

std::string root_device_ids(const power::Sampler& sampler) {
  std::string ids;
  for (std::size_t i = 0; i < sampler.device_count(); ++i) {
    if (!sampler.is_root(i) || power::is_of_gpu(sampler.device(i))) continue;
    if (!ids.empty()) ids += ",";
    ids += sampler.device(i).device_id;
  }
  return ids;
}

void fill_figures(const power::Sampler& sampler, MeteredRun& result) {
  const double seconds = result.duration_seconds;
  Quantity<Joules> machine;
  bool first = true;
  for (std::size_t i = 0; i < sampler.device_count(); ++i) {
    DeviceReport device;
    device.info = sampler.device(i);
    mark_power_that_stands_in(result, device.info);
    device.is_root = sampler.is_root(i);
    if (sampler.mirror_of(i) != i) device.mirror_of = sampler.device(sampler.mirror_of(i)).device_id;
    device.total = sampler.total(i);
    device.mean_watts = seconds > 0 ? device.total.joules / seconds : 0;
    device.peak_watts = device.total.peak_watts;
    auto sources = device_sources(device.info, result.host.host.id);
    // What was filled in has bounds of its own.
    auto sources_of_read = sources;
    add_disagreement(result, device, sources_of_read);
    const double bridged = std::min(device.total.bridged_joules, device.total.joules);
    device.energy =
        Quantity<Joules>(device.total.joules - bridged, device.info.provenance,
                         edge_deviation(device.info, device.total, device.mean_watts), sources_of_read);
    if (bridged > 0) {
      sources.push_back(filled_in(device.info, device.total, bridged, result.run.id));
      device.energy +=
          Quantity<Joules>(bridged, std::max(Provenance::derived, device.info.provenance), 0, sources);
    }
    widen_by_unknown_time(device, result, device.energy);
    if (device.is_root) {
      machine = first ? device.energy : machine + device.energy;
      first = false;
    }
    result.devices.push_back(std::move(device));
  }
  result.energy_machine = machine;
  result.machine_mean_watts = seconds > 0 ? machine.value() / seconds : 0;

  // Every part of what is shared by CPU time is shared by the same rule, so parts keep their sources.
  const SharedEnergy rest = share_energy(
      result.gpus.empty() ? machine : energy_without_gpus(result), result.rest,
      {.run_id = result.run.id, .device_id = {}, .error = kShareError, .what = "energy shared by CPU time"});
  result.energy_active = rest.active;
  result.energy_other_active = rest.other_active;
  result.energy_idle_share = rest.idle_share;
  result.energy_idle = rest.idle;
  result.energy = rest.workload;
  add_gpu_figures(result);
  widen_sums_by_unknown_devices(result);
}

namespace {

/// Of a device whose energy is not its own counter's. False if no more is to be said of it.
bool add_tree_warnings(const power::Sampler& sampler, std::size_t index, MeteredRun& result) {
  const power::SourceInfo& info = sampler.device(index);
  if (sampler.role(index) == power::DeviceRole::replaced) {
    result.warnings.push_back(
        {fmt::format("{} ({}) measures nothing, or less than what is inside it; its parts count instead",
                     info.name, info.via),
         "`joulery doctor` shows what is inside what"});
    return false;
  }
  if (info.integrated) {
    result.warnings.push_back(
        {fmt::format("the energy counter of {} {}; its energy is its power summed over time", info.name,
                     info.integrated_because),
         "a newer driver may help"});
  }
  return !info.reported_only;
}

/// Of a device of which nothing is known.
std::string unknown_energy(const power::Sampler& sampler, std::size_t index) {
  std::string text = "its energy is unknown";
  if (sampler.is_root(index) && sampler.device_count() > 1) text += ", and missing in the machine's";
  return text;
}

/// What became of the windows in which a device gave no reading.
std::string missing_energy(const power::Sampler& sampler, std::size_t index) {
  const power::DeviceTotal& total = sampler.total(index);
  if (total.joules <= 0) return unknown_energy(sampler, index);
  std::string text;
  if (total.bridged_joules > 0)
    text = format_si(total.bridged_joules, "J") + " were filled in from the power before";
  if (has_unknown_time(sampler.device(index), total)) {
    text += fmt::format("{}nothing is known of {}, which only the range covers", text.empty() ? "" : "; ",
                        format_duration(total.unknown_seconds));
  }
  return text.empty() ? "hardly anything is missing" : text;
}

}  // namespace

void add_warnings(const power::Sampler& sampler, MeteredRun& result) {
  const auto warn = [&](std::string text, std::string hint = {}) {
    result.warnings.push_back({std::move(text), std::move(hint)});
  };
  const std::size_t warnings_before = result.warnings.size();
  using power::SampleFlag;
  const auto count = [](const power::DeviceTotal& total, SampleFlag flag) {
    for (int bit = 0; bit < power::kSampleFlagCount; ++bit) {
      if (static_cast<std::uint32_t>(flag) == 1U << bit) return total.flag_counts[bit];
    }
    return std::uint64_t{0};
  };
  for (std::size_t i = 0; i < sampler.device_count(); ++i) {
    const power::SourceInfo& info = sampler.device(i);
    const power::DeviceTotal& total = sampler.total(i);
    if (sampler.mirror_of(i) != i) {
      warn(fmt::format("{} shows the same counter as {}; it is counted once", info.name,
                       sampler.device(sampler.mirror_of(i)).name));
    }
    if (!add_tree_warnings(sampler, i, result)) continue;
    if (count(total, SampleFlag::stale) > 0) {
      warn(fmt::format("{} ({}) stood still for {} windows", info.name, info.via,
                       count(total, SampleFlag::stale)),
           fmt::format("{}; `joulery doctor` shows other sources",
                       total.joules > 0 ? "its energy is a lower bound" : unknown_energy(sampler, i)));
    }
    if (count(total, SampleFlag::missing) > 0) {
      warn(fmt::format("{} gave no reading in {} windows; {}", info.name, count(total, SampleFlag::missing),
                       missing_energy(sampler, i)));
    }
    const std::uint64_t jumps = count(total, SampleFlag::implausible) + count(total, SampleFlag::backwards);
    if (jumps > 0) {
      warn(fmt::format("{} jumped {} times by what the device can't draw; {}", info.name, jumps,
                       total.bridged_joules > 0 ? "those windows were filled in"
                       : total.joules > 0       ? "what it drew then is missing"
                                                : unknown_energy(sampler, i)));
    }
    if (count(total, SampleFlag::maybe_wrapped_unseen) > 0) {
      warn(fmt::format("{} may have wrapped unseen while sampling stood still; its energy is a lower bound",
                       info.name));
    }
    if (total.joules == 0 && info.kind == power::ReadingKind::cumulative_joules &&
        info.provenance == Provenance::measured && info.update_seconds > 0 &&
        result.duration_seconds < 3 * info.update_seconds) {
      warn(fmt::format("the run was shorter than {} can resolve ({})", info.name,
                       format_duration(info.update_seconds)),
           "let the command repeat its work, or use --repeat");
    }
  }
  if (!result.energy_known() && sampler.device_count() > 0 && result.warnings.size() == warnings_before) {
    warn("no power counter moved during the run, so its energy is unknown",
         "`joulery doctor` shows other sources; a longer run may do");
  }
  if (result.suspended_seconds > 0.5) {
    warn(fmt::format("the machine slept for {} during the run; that time is in neither wall time nor energy",
                     format_duration(result.suspended_seconds)));
  }
  const double capacity = result.duration_seconds * result.machine_cpus;
  if (capacity > 0 && result.steal_seconds > 0.02 * capacity) {
    warn(fmt::format("the hypervisor gave {:.0f} % of the CPU time to others",
                     100 * result.steal_seconds / capacity),
         "times and power vary with what the neighbours do; repeat the run");
  }
  if (result.left_running != 0) {
    warn(result.left_running > 0
             ? fmt::format("{} of its processes still run{}; what {} from now on is not counted",
                           result.left_running, result.left_running == 1 ? "s" : "",
                           result.left_running == 1 ? "it uses" : "they use")
             : "some of its processes still run; what they use from now on is not counted",
         result.waited_for_tree
             ? "to wait longer raise run.grace_seconds, such as JOULERY_RUN_GRACE_SECONDS=60; a daemon never "
               "ends"
             : "--wait tree waits for them as long as run.grace_seconds says (JOULERY_RUN_GRACE_SECONDS, "
               "joulery.toml)");
  }
  if (result.missed_ticks > 0 && result.missed_ticks > result.ticks / 20) {
    warn(fmt::format("{} of {} samples were late or lost", result.missed_ticks,
                     result.ticks + result.missed_ticks),
         "lower --hz; the energy itself comes from counters and is not affected");
  }
}

void fill_record(MeteredRun& result) {
  record::Run& run = result.run;
  const std::int64_t at_ms = run.end_utc_ns / 1'000'000;
  const auto metric = [&](const char* key, double value) {
    run.metrics.push_back({.key = record::kOwnMetricPrefix + std::string(key),
                           .point = {.value = value, .timestamp_ms = at_ms}});
  };
  const auto quantity = [&](const std::string& key, const auto& figure) {
    const Interval range = figure.interval();
    metric(key.c_str(), figure.value());
    metric((key + "_low").c_str(), range.low);
    metric((key + "_high").c_str(), range.high);
  };
  metric("duration_seconds", result.duration_seconds);
  metric("command_seconds", result.command_seconds);
  metric("cpu_seconds", result.cpu_seconds);
  metric("peak_memory_bytes", result.peak_memory_bytes);
  metric("exit_code", result.child.shell_code());
  if (result.energy_known()) {
    metric("machine_mean_watts", result.machine_mean_watts);
    metric("machine_peak_watts", result.machine_peak_watts);
    quantity("energy_joules", result.energy);
    quantity("energy_active_joules", result.energy_active);
    quantity("energy_idle_share_joules", result.energy_idle_share);
    quantity("energy_machine_joules", result.energy_machine);
    quantity("carbon_gco2e", result.carbon);
  }
  run.tags[record::kEnergyProvenanceTag] =
      result.energy_known() ? provenance_name(result.energy.provenance()) : record::kEnergyUnknown;
  run.tags["joulery.attribution"] = tier_name(result.tier);
  if (result.suspended_seconds > 0.5) run.tags["joulery.suspended"] = "true";
  add_gpu_record(result);
}

}  // namespace joulery::meter
