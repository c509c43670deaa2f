#include "meter/workload_meter.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "meter/figures.hpp"
#include "meter/gpu_figures.hpp"
#include "power/probe.hpp"

namespace joulery::meter {

void WorkloadMeter::open_sensors(MeteredRun& result) {
  if (auto identity = power::read_machine_identity(machine_.sensors)) identity_ = std::move(*identity);
  power::ProbeReport report = power::probe(machine_.sensors, machine_.system_calls, machine_.nvml);
  auto sources = power::choose_sources(report);
  gpu_devices_ = std::move(report.gpus);
  if (sources.empty()) {
    result.warnings.push_back({"nothing on this machine tells or models power; only times are measured",
                               "`joulery doctor` says what was tried"});
  }
  const bool modelled = std::any_of(sources.begin(), sources.end(), [](const auto& source) {
    return source->info().scope == power::Scope::machine_model;
  });
  if (modelled) model_idle_watts_ = power::make_power_model(identity_).idle();
  for (const auto& source : sources) {
    if (model_load_ == nullptr) model_load_ = power::last_load_of(*source);
  }
  sampler_ = std::make_unique<power::Sampler>(std::move(sources), machine_.clock);
  if (auto load = power::MachineLoadReader::open(
          machine_.sensors, modelled ? power::LoadExtent::slice : power::LoadExtent::machine)) {
    load_ = std::move(*load);
    result.load_via = load_->via();
    result.machine_cpus = load_->cpu_count();
  } else {
    result.warnings.push_back({"can't read the machine's load: " + load.error().message,
                               "all active energy is taken to be the workload's"});
  }
}

/// Before the first window.
void WorkloadMeter::open_gpus(MeteredRun& result) {
  if (gpu_devices_.empty()) return;
  auto processes = WorkloadProcesses::open(machine_.root, attribution_);
  if (!processes) {
    result.warnings.push_back({"GPUs are not shared by process: " + processes.error().message,
                               "their energy is shared by CPU time"});
    return;
  }
  processes_ = std::move(*processes);
  gpus_ = std::make_unique<GpuAccounts>(*sampler_, std::move(gpu_devices_), *processes_, machine_.clock);
  if (gpus_->empty()) gpus_.reset();
}

power::MachineLoad WorkloadMeter::read_load() {
  if (model_load_ != nullptr) return *model_load_;
  return load_ ? load_->read() : power::MachineLoad{};
}

void WorkloadMeter::start(MeteredRun& result) {
  last_usage_ = attribution_.read();
  sampler_->start();
  open_gpus(result);
  if (gpus_) gpus_->start();
  first_load_ = last_load_ = read_load();
  record::Run& run = result.run;
  run.start_utc_ns = machine_.clock.realtime_ns();
  run.start_boottime_ns = machine_.clock.boottime_ns();
  start_monotonic_ns_ = machine_.clock.monotonic_ns();
}

WorkloadMeter::Look WorkloadMeter::tick(MeteredRun& result) {
  const power::Tick& tick = sampler_->tick();
  const power::MachineLoad load = read_load();
  const WorkloadUsage usage = attribution_.read();
  Window window;
  window.seconds = tick.window_seconds;
  window.end_seconds = double(tick.boottime_ns) / 1e9;
  window.machine_joules = tick.machine_joules - tick.late_joules;
  if (usage.valid) window.workload_seconds = std::max(0.0, usage.cpu_seconds - last_usage_.cpu_seconds);
  if (load.valid && last_load_.valid)
    window.busy_seconds = std::max(0.0, load.busy_seconds - last_load_.busy_seconds);
  const double machine_joules = window.machine_joules;
  GpuAccounts::Rest rest{.joules = window.machine_joules, .late_joules = tick.late_joules};
  if (gpus_) rest = gpus_->add(tick);
  window.machine_joules = rest.joules;
  account_.set_peak_seconds(sampler_->peak_seconds());
  account_.add(window);
  account_.add_late(rest.late_joules);
  ++result.ticks;
  const double busy = std::max(window.busy_seconds, window.workload_seconds);
  const double share = busy > 0 ? window.workload_seconds / busy : 0;
  if (load.valid) last_load_ = load;
  if (usage.valid) {
    result.peak_memory_bytes = std::max(result.peak_memory_bytes, usage.peak_memory_bytes);
    last_usage_ = usage;
  }
  return {.tick = tick,
          .machine_joules = machine_joules,
          .workload_joules = rest.joules * share + rest.workload_joules,
          .workload_seconds = window.workload_seconds};
}

LiveState WorkloadMeter::live(const Look& look) const {
  const double seconds = look.tick.window_seconds;
  return {.elapsed_seconds = double(machine_.clock.monotonic_ns() - start_monotonic_ns_) / 1e9,
          .modelled = model_load_ != nullptr,
          .energy_known = account_.machine_joules() > 0,
          .machine_watts = look.machine_joules / seconds,
          .workload_joules = account_.split(0, IdlePolicy::proportional).workload_joules +
                             (gpus_ ? gpus_->workload_joules() : 0),
          .workload_cpus = look.workload_seconds / seconds};
}

void WorkloadMeter::settle() {
  if (gpus_) gpus_->finish();
  const double settled = sampler_->settle();
  account_.add_late(gpus_ ? gpus_->settle(settled) : settled);
}

IdlePower WorkloadMeter::rest_idle_power(const MeteredRun& result) const {
  if (model_idle_watts_) return known_idle_power(*model_idle_watts_, "power model");
  if (const auto watts = measured_idle_watts(result, root_device_ids(*sampler_)))
    return known_idle_power(*watts, "measured while the machine was quiet (joulery doctor)");
  return bounded_idle_power(account_);
}

std::optional<double> WorkloadMeter::measured_idle_watts(const MeteredRun& result,
                                                         const std::string& devices) const {
  return load_idle_watts_ ? load_idle_watts_(result.host.host.id, devices) : std::nullopt;
}

std::vector<GpuShare> WorkloadMeter::gpu_shares(const MeteredRun& result, IdlePolicy policy) const {
  if (!gpus_) return {};
  return gpus_->shares(policy,
                       [&](const std::string& device_id) { return measured_idle_watts(result, device_id); });
}

void WorkloadMeter::conclude_gpus(MeteredRun& result) const {
  for (GpuShare& share : gpu_shares(result, idle_)) {
    result.split += share.energy.split;
    result.idle_watts += share.energy.idle.watts;
    result.idle_watts_low += share.energy.idle.low_watts;
    result.idle_watts_high += share.energy.idle.high_watts;
    result.idle_basis += fmt::format("; {}: {}", share.name, share.energy.idle.basis);
    result.gpus.push_back({.share = std::move(share), .energy_machine = {}, .energy = {}, .basis = {}});
  }
}

double WorkloadMeter::proportional_idle_joules(const MeteredRun& result) const {
  double joules = account_.split(result.rest.idle.watts, IdlePolicy::proportional).idle_share_joules;
  for (const GpuShare& share : gpu_shares(result, IdlePolicy::proportional))
    joules += share.energy.split.idle_share_joules;
  return joules;
}

void WorkloadMeter::conclude(std::int64_t command_end_monotonic_ns, MeteredRun& result) const {
  record::Run& run = result.run;
  run.end_utc_ns = std::max(machine_.clock.realtime_ns(), run.start_utc_ns);
  run.end_boottime_ns = machine_.clock.boottime_ns();
  const std::int64_t end_monotonic_ns = machine_.clock.monotonic_ns();
  const auto seconds_since_start = [&](std::int64_t monotonic_ns) {
    return double(monotonic_ns - start_monotonic_ns_) / 1e9;
  };
  result.duration_seconds = seconds_since_start(end_monotonic_ns);
  result.command_seconds =
      seconds_since_start(command_end_monotonic_ns > 0 ? command_end_monotonic_ns : end_monotonic_ns);
  result.suspended_seconds =
      std::max(0.0, double(run.end_boottime_ns - run.start_boottime_ns) / 1e9 - result.duration_seconds);
  result.cpu_seconds = last_usage_.valid ? last_usage_.cpu_seconds : result.child.cpu_seconds();
  result.machine_busy_seconds = std::max(account_.busy_seconds(), result.cpu_seconds);
  if (first_load_.valid) {
    result.steal_seconds = std::max(0.0, last_load_.steal_seconds - first_load_.steal_seconds);
  }
  result.peak_memory_bytes = std::max(result.peak_memory_bytes, result.child.peak_memory_bytes);
  result.tier = attribution_.tier();
  result.can_miss = attribution_.can_miss();
  result.idle_policy = idle_;
  result.rest = split_account(account_, rest_idle_power(result), idle_);
  result.split = result.rest.split;
  result.idle_watts = result.rest.idle.watts;
  result.idle_watts_low = result.rest.idle.low_watts;
  result.idle_watts_high = result.rest.idle.high_watts;
  result.idle_basis = result.rest.idle.basis;
  conclude_gpus(result);
  result.machine_peak_seconds = std::min(account_.peak_seconds(), result.duration_seconds);
  if (result.duration_seconds > 0) {
    result.machine_peak_watts = std::max(gpus_ ? gpus_->machine_peak_watts() : account_.peak_watts(),
                                         result.split.machine_joules / result.duration_seconds);
  }
  fill_figures(*sampler_, result);
  const Quantity<Joules> parts = result.energy_active + result.energy_other_active + result.energy_idle;
  result.split.residual_joules = std::abs(result.energy_machine.value() - parts.value());
}

}  // namespace joulery::meter
