#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "meter/attribution.hpp"
#include "meter/gpu_accounts.hpp"
#include "meter/session.hpp"
#include "meter/workload_processes.hpp"
#include "power/machine_load.hpp"
#include "power/power_model.hpp"

namespace joulery::meter {

/// Sensors of the machine and the shares of one workload in what they tell, from start() to finish(). Who
/// calls decides when to look, at least kSlowestTickHz times a second. A tick allocates nothing once warm.
/// Not thread-safe.
class WorkloadMeter {
 public:
  /// What the host with this id draws when it is quiet, measured before with the same sources.
  using LoadIdleWatts =
      std::function<std::optional<double>(const std::string& host_id, const std::string& sources)>;
  /// All must outlive it. `load_idle_watts` may be empty.
  WorkloadMeter(const Machine& machine, Attribution& attribution, IdlePolicy idle,
                const LoadIdleWatts& load_idle_watts)
      : machine_(machine), attribution_(attribution), idle_(idle), load_idle_watts_(load_idle_watts) {}

  /// Finds the sensors. What is missing is a warning of `result`.
  void open_sensors(MeteredRun& result);
  const power::Sampler& sampler() const { return *sampler_; }
  const power::MachineIdentity& identity() const { return identity_; }

  /// Opens the first window; sets the start of `result.run`.
  void start(MeteredRun& result);

  /// One window.
  struct Look {
    const power::Tick& tick;
    double machine_joules = 0;
    /// The workload's part of them, so far as it can be told already.
    double workload_joules = 0;
    /// CPU-seconds of the workload in it.
    double workload_seconds = 0;
  };
  /// Closes a window and opens the next.
  Look tick(MeteredRun& result);
  /// Workload and energies so far, for a live view.
  LiveState live(const Look& look) const;

  /// After the last tick: energy that counters told late is booked.
  void settle();

  /// Times, shares and energies of everything up to now; no footprint. `command_end_monotonic_ns` is 0 while
  /// the command runs.
  void conclude(std::int64_t command_end_monotonic_ns, MeteredRun& result) const;
  /// The workload's share of idle, whatever the policy.
  double proportional_idle_joules(const MeteredRun& result) const;

 private:
  void open_gpus(MeteredRun& result);
  /// After the sampler's tick.
  power::MachineLoad read_load();
  /// Of all but the GPUs.
  IdlePower rest_idle_power(const MeteredRun& result) const;
  std::optional<double> measured_idle_watts(const MeteredRun& result, const std::string& devices) const;
  std::vector<GpuShare> gpu_shares(const MeteredRun& result, IdlePolicy policy) const;
  void conclude_gpus(MeteredRun& result) const;

  const Machine& machine_;
  Attribution& attribution_;
  IdlePolicy idle_;
  const LoadIdleWatts& load_idle_watts_;

  std::unique_ptr<power::Sampler> sampler_;
  std::unique_ptr<power::MachineLoadReader> load_;
  /// Of the model among the sampler's sources, which reads the same counter anyway.
  const power::MachineLoad* model_load_ = nullptr;
  power::MachineIdentity identity_;
  std::optional<double> model_idle_watts_;
  /// Of all but the GPUs, which have accounts of their own.
  EnergyAccount account_;
  std::vector<std::shared_ptr<power::GpuDevice>> gpu_devices_;
  std::unique_ptr<WorkloadProcesses> processes_;
  /// Null on a machine without GPUs.
  std::unique_ptr<GpuAccounts> gpus_;
  power::MachineLoad last_load_;
  power::MachineLoad first_load_;
  WorkloadUsage last_usage_;
  std::int64_t start_monotonic_ns_ = 0;
};

}  // namespace joulery::meter
