#pragma once

#include <memory>
#include <string>

#include "base/files.hpp"
#include "power/machine_load.hpp"
#include "power/source.hpp"

namespace joulery::power {

/// What /proc/cpuinfo, cgroup quotas and /proc/meminfo say about the machine, or our slice of it.
struct MachineIdentity {
  std::string cpu_vendor;  // "AuthenticAMD", "GenuineIntel", "ARM" …
  std::string cpu_model;   // normalised by the rule of data/SOURCES.md
  int family = -1;         // x86 family and model numbers; for Arm implementer and part
  int model = -1;
  int stepping = -1;
  int threads_online = 0;
  int packages = 0;
  /// Of the slice: what a cgroup limit allows, else the machine's by the share of CPUs that a quota leaves.
  double memory_gib = 0;
  bool virtual_machine = false;
  /// CPUs that a cgroup quota (cpu.max or cpu.cfs_quota_us) allows; threads_online if there is none.
  double quota_cpus = 0;
};
Result<MachineIdentity> read_machine_identity(const SystemRoot& root);

/// Power of the CPUs and memory in the slice, as a function of how busy it is.
struct PowerModel {
  double idle_watts = 0;
  double full_watts = 0;
  /// Memory, if it is not inside the two figures above: idle and at full load.
  double memory_idle_watts = 0;
  double memory_full_watts = 0;
  double slice_cpus = 0;
  /// Plausible range as factors of the value, level 0.9.
  double low_factor = 0.35;
  double high_factor = 2.1;
  /// Which table row or rule it comes from, in one sentence.
  std::string basis;
  /// Watts at `busy_share` (0..1) of the slice: of the CPUs, of separate memory, and of both.
  double cpu_watts(double busy_share) const;
  double memory_watts(double busy_share) const;
  double watts(double busy_share) const { return cpu_watts(busy_share) + memory_watts(busy_share); }
  double idle() const { return idle_watts + memory_idle_watts; }
  bool has_separate_memory() const { return memory_full_watts > 0; }
};
/// From the tables that the program carries; which one and why is in docs/decisions/0004-power-model.md.
PowerModel make_power_model(const MachineIdentity& identity);

/// The model's CPU part as the source "model:cpu": cumulative joules from the load between reads.
std::unique_ptr<Source> make_model_source(PowerModel model, std::unique_ptr<MachineLoadReader> load);
/// The load that a model source saw when it was last read, so that nobody need read it again; null for any
/// other source. Valid as long as the source.
const MachineLoad* last_load_of(const Source& source);
/// The model's separate memory as the source "model:memory". Only if the model has_separate_memory().
std::unique_ptr<Source> make_memory_model_source(PowerModel model, std::unique_ptr<MachineLoadReader> load);

}  // namespace joulery::power
