#include "meter/gpu_figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/text.hpp"

namespace joulery::meter {
namespace {

/// "Use" is the part of time in which any kernel of the process ran, and says nothing of how much of the chip
/// the kernel filled; for MIG it is the size of an instance, whatever it did. No study bounds the error.
constexpr double kGpuShareError = 0.5;
constexpr double kDisagreement = 0.1;
constexpr double kLeastCheckSeconds = 10;
/// Counter and power are not read over quite the same time: this much of it may be in one of them only.
constexpr double kCheckEdgeSeconds = 0.6;

SharingRule sharing_rule(const MeteredRun& result, const GpuShare& share) {
  return {.run_id = result.run.id,
          .device_id = share.device_id,
          .error = kGpuShareError,
          .what = share.sharing == GpuSharing::mig_instance
                      ? "GPU energy shared by the size of MIG instances"
                      : "GPU energy shared by use of the multiprocessors"};
}

/// "idle-power:RUN" or "idle-power:RUN:DEVICE".
std::string source_name(const char* what, const SharingRule& rule) {
  return fmt::format("{}:{}{}{}", what, rule.run_id, rule.device_id.empty() ? "" : ":", rule.device_id);
}

/// How far a part of the split may be off because idle power is known only to lie within a range.
UncertainValue idle_error(const AccountSplit& account, const std::string& id, double EnergySplit::* part) {
  const double taken = account.split.*part;
  const auto [low, high] = std::minmax(account.at_low_idle.*part, account.at_high_idle.*part);
  constexpr double kNothing = 1e-9;
  if (taken <= 0 || high - low <= kNothing * taken) return {1, Provenance::derived};
  const IdlePower& idle = account.idle;
  const SystematicSource source{
      .id = id,
      .low = std::min(low / taken, 1.0),
      .high = std::max(high / taken, 1.0),
      .provenance = Provenance::assumed,
      .basis = fmt::format("idle power taken as {}, may be {} to {}", format_si(idle.watts, "W"),
                           format_si(idle.low_watts, "W"), format_si(idle.high_watts, "W"))};
  return {1, Provenance::assumed, 0, {source}};
}

std::string sharing_basis(const GpuShare& share) {
  std::string text;
  switch (share.sharing) {
    case GpuSharing::process_use:
      text = "by what each process used of the multiprocessors";
      break;
    case GpuSharing::sole_user:
      text = "only the workload's processes were on it, as far as looks a second apart show";
      break;
    case GpuSharing::not_on_it:
      text = "none of the workload's processes was on it, as far as looks a second apart show";
      break;
    case GpuSharing::mig_instance:
      text = "by the multiprocessors of the MIG instances in use; what an instance drew is not told";
      break;
    case GpuSharing::whole_with_others:
      text = "all of it, though other processes were on it too: the driver does not tell who used how much";
      break;
    case GpuSharing::whole_unknown:
      text = "all of it: nothing tells which processes used it";
      break;
  }
  constexpr double kWorthSaying = 0.05;
  if (share.worse_known > kWorthSaying)
    text += fmt::format("; {:.0f} % of it in a worse way, where that was not told", 100 * share.worse_known);
  return text;
}

const DeviceReport* find_device(const MeteredRun& result, const std::string& id) {
  const auto found = std::find_if(result.devices.begin(), result.devices.end(),
                                  [&](const DeviceReport& device) { return device.info.device_id == id; });
  return found == result.devices.end() ? nullptr : &*found;
}

/// The account of a GPU, if it has one.
const GpuReport* find_gpu(const MeteredRun& result, const std::string& id) {
  const auto found = std::find_if(result.gpus.begin(), result.gpus.end(),
                                  [&](const GpuReport& gpu) { return gpu.share.device_id == id; });
  return found == result.gpus.end() ? nullptr : &*found;
}

bool has_account(const MeteredRun& result, const std::string& id) {
  return find_gpu(result, id) != nullptr;
}

/// The same energy with another value, as the accounts have it: what may be off in it stays as it is.
Quantity<Joules> moved_to(Quantity<Joules> energy, double joules) {
  const double missing = joules - energy.value();
  if (joules <= 0 || std::abs(missing) <= 1e-9 * joules) return energy;
  return energy += Quantity<Joules>(missing, Provenance::derived);
}

/// Is `device` somewhere inside `whole`?
bool is_inside(const MeteredRun& result, const DeviceReport& device, const DeviceReport& whole) {
  const DeviceReport* above = &device;
  for (std::size_t step = 0; above != nullptr && step < result.devices.size(); ++step) {
    above = find_device(result, above->info.parent_id);
    if (above == &whole) return true;
  }
  return false;
}

/// What is left of a device beside the GPUs in it that have accounts: both may be off by all that they may
/// be off, so little may be left.
Quantity<Joules> without_gpus(const MeteredRun& result, const DeviceReport& device) {
  Quantity<Joules> energy = device.energy;
  for (const GpuReport& gpu : result.gpus) {
    const DeviceReport* inside = find_device(result, gpu.share.device_id);
    if (inside != nullptr && !inside->is_root && is_inside(result, *inside, device))
      energy += inside->energy * -1.0;
  }
  return energy;
}

/// A GPU's own energy. Of a module, what is in it beside the GPU and its memory is shared otherwise.
Quantity<Joules> own_energy(const MeteredRun& result, const DeviceReport& device) {
  Quantity<Joules> energy = device.energy;
  for (const DeviceReport& part : result.devices) {
    const bool other = part.info.parent_id == device.info.device_id && !part.is_root &&
                       part.info.scope != power::Scope::gpu_memory &&
                       !has_account(result, part.info.device_id);
    if (other) energy += part.energy * -1.0;
  }
  return energy;
}

/// The workload's energy where all of a GPU's is taken to be its own.
Quantity<Joules> doubted(const Quantity<Joules>& energy, const MeteredRun& result, const GpuShare& share) {
  if (share.sharing != GpuSharing::whole_with_others && share.sharing != GpuSharing::whole_unknown)
    return energy;
  const bool others = share.sharing == GpuSharing::whole_with_others;
  const SystematicSource source{
      .id = fmt::format("attribution:{}:{}", result.run.id, share.device_id),
      .low = others ? 0.0 : 1.0,
      .high = 1.0,
      .provenance = Provenance::assumed,
      .basis = others ? "all of a GPU's energy, an upper bound: others were on it too"
                      : "all of a GPU's energy, taken to be the workload's: nothing tells who used it"};
  return Quantity<Joules>(energy.untyped().times(UncertainValue(1, Provenance::assumed, 0, {source})));
}

}  // namespace

SharedEnergy share_energy(const Quantity<Joules>& whole, const AccountSplit& account,
                          const SharingRule& rule) {
  const EnergySplit& split = account.split;
  const double active = split.active_joules + split.other_active_joules;
  const auto joules_of = [&](double EnergySplit::* part) {
    return whole.untyped().scaled(split.machine_joules > 0 ? split.*part / split.machine_joules : 0);
  };
  // `others_joules`: active energy that might belong here, or what is here to it.
  const auto attribution_error = [&](double others_joules) {
    std::vector<SystematicSource> sources;
    if (active > 0 && others_joules > 0.001 * active) {
      const double error = rule.error * others_joules / active;
      sources.push_back({.id = source_name("attribution", rule),
                         .low = 1 - error,
                         .high = 1 + error,
                         .provenance = Provenance::derived,
                         .basis = fmt::format("{}, others had {:.0f} % of what was active", rule.what,
                                              100 * split.other_active_joules / active)});
    }
    return UncertainValue(1, Provenance::derived, 0, sources);
  };
  const auto with_idle_error = [&](const UncertainValue& value, double EnergySplit::* part) {
    return Quantity<Joules>(value.times(idle_error(account, source_name("idle-power", rule), part)));
  };
  const UncertainValue own_active =
      joules_of(&EnergySplit::active_joules).times(attribution_error(split.other_active_joules));
  // The share of idle is time by definition, whatever that time drew.
  const UncertainValue share_error(1, Provenance::derived);
  const UncertainValue own_idle = joules_of(&EnergySplit::idle_share_joules).times(share_error);
  UncertainValue own = own_active;
  own.add(own_idle);
  return {.active = with_idle_error(own_active, &EnergySplit::active_joules),
          .other_active = with_idle_error(
              joules_of(&EnergySplit::other_active_joules).times(attribution_error(split.active_joules)),
              &EnergySplit::other_active_joules),
          .idle_share = with_idle_error(own_idle, &EnergySplit::idle_share_joules),
          .idle = with_idle_error(joules_of(&EnergySplit::idle_joules).times(share_error),
                                  &EnergySplit::idle_joules),
          .workload = with_idle_error(own, &EnergySplit::workload_joules)};
}

Quantity<Joules> energy_without_gpus(const MeteredRun& result) {
  Quantity<Joules> energy;
  bool first = true;
  for (const DeviceReport& device : result.devices) {
    // A module with an account of its own still holds the CPU, which is then a device inside it.
    const DeviceReport* parent = find_device(result, device.info.parent_id);
    const bool inside_gpu = parent != nullptr && has_account(result, parent->info.device_id) &&
                            device.info.scope != power::Scope::gpu_memory;
    const bool counts = device.is_root ? !has_account(result, device.info.device_id) : inside_gpu;
    if (!counts) continue;
    const Quantity<Joules> own = without_gpus(result, device);
    energy = first ? own : energy + own;
    first = false;
  }
  return moved_to(energy, result.rest.split.machine_joules);
}

void mark_power_that_stands_in(const MeteredRun& result, power::SourceInfo& info) {
  const GpuReport* gpu = find_gpu(result, info.device_id);
  if (gpu == nullptr || info.integrated || !gpu->share.check.power_stands_in) return;
  info.provenance = std::max(info.provenance, Provenance::derived);
  info.accuracy_low = std::min(info.accuracy_low, gpu->share.check.power_accuracy_low);
  info.accuracy_high = std::max(info.accuracy_high, gpu->share.check.power_accuracy_high);
  info.accuracy_basis += info.accuracy_basis.empty() ? "" : "; ";
  info.accuracy_basis += "its power summed over time, as its energy counter seems to count in a wrong unit";
}

void add_disagreement(const MeteredRun& result, const DeviceReport& device,
                      std::vector<SystematicSource>& sources) {
  const power::SourceInfo& info = device.info;
  const GpuReport* gpu = find_gpu(result, info.device_id);
  if (gpu == nullptr) return;
  const power::GpuDevice::CrossCheck& check = gpu->share.check;
  // Of a counter that died of something else there is nothing to compare.
  if (info.integrated && !check.counter_given_up) return;
  const bool by_power = check.power_stands_in || check.counter_given_up;
  if (by_power && check.counter_impossible) return;
  if (check.counter_joules <= 0 || check.power_joules <= 0 || check.seconds <= 0) return;
  const double counted = by_power ? check.power_joules : check.counter_joules;
  const double other = by_power ? check.counter_joules : check.power_joules;
  const double edge = 1 + kCheckEdgeSeconds / check.seconds;
  const double lag = 1 + info.update_seconds / check.seconds;
  const double ratio = other / counted;
  const double joules = device.total.joules - device.total.bridged_joules;
  const double most = info.max_plausible_watts > 0 && joules > 0
                          ? std::max(info.max_plausible_watts * result.duration_seconds / joules, 1.0)
                          : std::numeric_limits<double>::infinity();
  SystematicSource source{
      .id = {},
      .low = 1,
      .high = 1,
      .provenance = Provenance::derived,
      .basis = fmt::format("its energy counter says {}, its power over the same time {}{}",
                           format_si(check.counter_joules, "J"), format_si(check.power_joules, "J"),
                           by_power ? ", and either may be wrong" : "")};
  double low = 1;
  double high = 1;
  for (const SystematicSource& known : sources) {
    low *= known.low;
    high *= known.high;
  }
  if (ratio * check.power_accuracy_low > high * edge) {
    source.high = std::min(ratio * check.power_accuracy_high * lag, most);
  } else if (ratio * check.power_accuracy_high * edge < low) {
    source.low = ratio * check.power_accuracy_low / lag;
  } else {
    return;
  }
  source.id = fmt::format("counter-or-power:{}:{}", result.run.id, info.device_id);
  sources.push_back(std::move(source));
}

void add_gpu_figures(MeteredRun& result) {
  bool first = true;
  for (GpuReport& gpu : result.gpus) {
    const DeviceReport* device = find_device(result, gpu.share.device_id);
    if (device == nullptr) continue;
    gpu.energy_machine = moved_to(own_energy(result, *device), gpu.share.energy.split.machine_joules);
    gpu.basis = sharing_basis(gpu.share);
    const SharedEnergy shared =
        share_energy(gpu.energy_machine, gpu.share.energy, sharing_rule(result, gpu.share));
    const Quantity<Joules> active = doubted(shared.active, result, gpu.share);
    const Quantity<Joules> idle_share = doubted(shared.idle_share, result, gpu.share);
    gpu.energy = doubted(shared.workload, result, gpu.share);
    result.energy += gpu.energy;
    result.energy_active += active;
    result.energy_other_active += shared.other_active;
    result.energy_idle_share += idle_share;
    result.energy_idle += shared.idle;
    result.energy_gpu = first ? gpu.energy : result.energy_gpu + gpu.energy;
    first = false;
  }
}

bool MeteredRun::gpu_energy_known() const {
  return std::any_of(gpus.begin(), gpus.end(),
                     [](const GpuReport& gpu) { return gpu.energy_machine.value() > 0; });
}

void add_gpu_warnings(MeteredRun& result) {
  const auto warn = [&](std::string text, std::string hint = {}) {
    result.warnings.push_back({std::move(text), std::move(hint)});
  };
  for (const GpuReport& gpu : result.gpus) {
    const GpuShare& share = gpu.share;
    const DeviceReport* device = find_device(result, share.device_id);
    // A counter that is not used any more is warned of with the other devices.
    const bool counter_used = device != nullptr && !device->info.integrated && !share.check.counter_given_up;
    const bool either = !share.check.counter_impossible;
    const std::string both =
        fmt::format("it says {}, its power over the same {} {}", format_si(share.check.counter_joules, "J"),
                    format_duration(share.check.seconds), format_si(share.check.power_joules, "J"));
    if (share.check.counter_given_up && either) {
      warn(fmt::format("either {}'s energy counter or its power counts in a wrong unit: {}; power is used, "
                       "and its range covers both",
                       share.name, both),
           "a meter at the wall can tell which is right");
    } else if (share.check.power_stands_in && counter_used) {
      warn(fmt::format("{}'s energy counter seems to count in a wrong unit: {}; its power is used{}",
                       share.name, both, either ? ", and its range covers both" : ""),
           either ? "" : "a longer run can tell");
    } else if (counter_used && share.check.seconds >= kLeastCheckSeconds && share.check.counter_joules > 0 &&
               std::abs(share.check.power_joules / share.check.counter_joules - 1) > kDisagreement) {
      warn(fmt::format("{}'s energy counter says {}, its power over the same {} {}", share.name,
                       format_si(share.check.counter_joules, "J"), format_duration(share.check.seconds),
                       format_si(share.check.power_joules, "J")),
           "the counter is used, and its range covers both where they differ by more than their accuracy");
    }
    if (share.sharing == GpuSharing::whole_with_others && share.energy.split.workload_joules > 0) {
      warn(fmt::format("other processes were on {}; all of its energy is counted here", share.name),
           "run on a GPU of your own, or with a driver that tells use by process (joulery doctor)");
    }
  }
}

void add_gpu_record(MeteredRun& result) {
  if (!result.gpu_energy_known()) return;
  record::Run& run = result.run;
  const std::int64_t at_ms = run.end_utc_ns / 1'000'000;
  const Interval range = result.energy_gpu.interval();
  const std::pair<const char*, double> metrics[] = {{"energy_gpu_joules", result.energy_gpu.value()},
                                                    {"energy_gpu_joules_low", range.low},
                                                    {"energy_gpu_joules_high", range.high}};
  for (const auto& [key, value] : metrics) {
    run.metrics.push_back({.key = record::kOwnMetricPrefix + std::string(key),
                           .point = {.value = value, .timestamp_ms = at_ms}});
  }
  std::string sharing;
  for (const GpuReport& gpu : result.gpus) {
    const std::string name = gpu_sharing_name(gpu.share.sharing);
    if (sharing.find(name) == std::string::npos) sharing += (sharing.empty() ? "" : "; ") + name;
  }
  run.tags["joulery.gpu_attribution"] = sharing;
}

}  // namespace joulery::meter
