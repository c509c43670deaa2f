#pragma once

#include "base/quantity.hpp"
#include "meter/accounting.hpp"
#include "meter/session.hpp"
#include "power/sampler.hpp"

namespace joulery::meter {

/// Sums over all windows that hold whatever the idle power turns out to be: idle power may be known only at
/// the end.
class DeferredSplit {
 public:
  /// `window.idle_watts` is not looked at.
  void add(const Window& window);
  /// The split at a given idle power and policy.
  EnergySplit split(double idle_watts, IdlePolicy policy) const;
  double machine_joules() const { return machine_joules_; }
  double seconds() const { return seconds_; }
  double busy_seconds() const { return busy_seconds_; }
  /// Mean power of the quietest stretch of at least a second: an upper bound of the idle power.
  std::optional<double> quietest_watts() const { return quietest_watts_; }

 private:
  double seconds_ = 0;
  double busy_seconds_ = 0;
  double machine_joules_ = 0;
  // Energy and time weighed by the workload's and by the others' share of the busy time.
  double workload_joules_ = 0;
  double workload_seconds_ = 0;
  double other_joules_ = 0;
  double other_seconds_ = 0;
  double stretch_seconds_ = 0;
  double stretch_joules_ = 0;
  std::optional<double> quietest_watts_;
};

/// Turns totals of devices and the split into quantities that know how they are known.
void fill_figures(const power::Sampler& sampler, MeteredRun& result);
/// Things the reader should know: mirrors, gaps, steal, a run too short for its counters …
void add_warnings(const power::Sampler& sampler, MeteredRun& result);
/// Metrics and params of the run record.
void fill_record(MeteredRun& result);

}  // namespace joulery::meter
