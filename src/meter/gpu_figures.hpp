#pragma once

#include <string>
#include <vector>

#include "base/quantity.hpp"
#include "meter/accounting.hpp"
#include "meter/session.hpp"

namespace joulery::meter {

/// How energy is shared between the workload and others, and how wrong that may be.
struct SharingRule {
  /// Names the systematic sources: what is shared by one rule is wrong together.
  std::string run_id;
  /// Of the GPU; empty: what is shared by CPU time.
  std::string device_id;
  /// Of the energy that others had, this part may belong to the workload, or the other way round.
  double error = 0;
  /// "energy shared by CPU time".
  std::string what;
};
struct SharedEnergy {
  Quantity<Joules> active;
  Quantity<Joules> other_active;
  Quantity<Joules> idle_share;
  Quantity<Joules> idle;
  /// Active and share of idle. What unknown idle power takes from one it gives to the other, so that this is
  /// known better than they are.
  Quantity<Joules> workload;
};
/// `whole` by the parts of `account`, which is of it.
SharedEnergy share_energy(const Quantity<Joules>& whole, const AccountSplit& account,
                          const SharingRule& rule);

/// What root devices drew that is not in the accounts of GPUs. Where a GPU is inside one, what may be off in
/// both is off in what is left.
Quantity<Joules> energy_without_gpus(const MeteredRun& result);
/// A device whose power stands in for its counter is known as its power is, no better.
void mark_power_that_stands_in(const MeteredRun& result, power::SourceInfo& info);
/// Adds what the energy that was read of a device may be off by because its counter and its power disagree by
/// more than both may be off: never more than the device can draw.
void add_disagreement(const MeteredRun& result, const DeviceReport& device,
                      std::vector<SystematicSource>& sources);
/// Fills in each GPU's figures and adds them to the run's.
void add_gpu_figures(MeteredRun& result);
void add_gpu_warnings(MeteredRun& result);
/// Of the record: energy on GPUs and how it was shared. Nothing without GPUs.
void add_gpu_record(MeteredRun& result);

}  // namespace joulery::meter
