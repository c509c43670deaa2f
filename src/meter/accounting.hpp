#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

namespace joulery::meter {

/// Who bears the machine's idle power.
enum class IdlePolicy {
  /// The workload by its share of the busy time (default).
  proportional,
  /// Nobody in the run: only active energy is the workload's.
  none,
  /// The workload bears all of it, as if the machine were there for it alone.
  all,
};

/// What was seen in one window.
struct Window {
  double seconds = 0;
  /// Boot time at its end: idle energy is shared second by second, and all runs of a host cut at the same
  /// seconds.
  double end_seconds = 0;
  double machine_joules = 0;
  /// CPU-seconds of the machine and of the workload.
  double busy_seconds = 0;
  double workload_seconds = 0;
};

/// Energy split so far. All are >= 0, and active + other + idle add up to the machine within rounding.
struct EnergySplit {
  double machine_joules = 0;
  /// The workload's active energy, its share of idle by the policy, and their sum.
  double active_joules = 0;
  double idle_share_joules = 0;
  double workload_joules = 0;
  /// Active energy of everything else, from its own busy time.
  double other_active_joules = 0;
  /// Idle energy of the machine, whoever bears it.
  double idle_joules = 0;
  /// |machine - (active + other_active + idle)|: a check, printed if it is not small.
  double residual_joules = 0;

  /// Splits of parts of the machine add up to the machine's.
  EnergySplit& operator+=(const EnergySplit& other);
};

/// Sums up windows so that they can be split between workload, others and idle whatever the idle power turns
/// out to be: it may be known only at the end of a run. Adding a window allocates nothing.
class EnergyAccount {
 public:
  /// How often windows are added changes nothing: they are put together to whole seconds of boot time before
  /// anything is shared.
  void add(const Window& window);
  /// Energy of windows that were added before, known only now: split as those were on average. What was too
  /// much is negative, and taken off all parts alike.
  void add_late(double machine_joules);
  /// The split if the machine draws `idle_watts` with nothing to do. Idle power is taken to be no more than
  /// what the machine drew while the workload, or the others, were busy. Others are computed from their own
  /// busy time.
  EnergySplit split(double idle_watts, IdlePolicy policy) const;
  double machine_joules() const { return machine_joules_; }
  double seconds() const { return seconds_; }
  double busy_seconds() const;
  /// Mean power of the quietest stretch of at least a second: an upper bound of the idle power. Nothing while
  /// windows are missing energy that came late.
  std::optional<double> quietest_watts() const { return quietest_watts_; }
  /// Mean power of the busiest stretch of at least 0.2 s, or of what counters are too slow to tell less of;
  /// 0 if there was none. Energy that came late makes no peak.
  double peak_watts() const { return peak_watts_; }
  /// Over less than this power can't be told; more from one moment on, if a counter turns out to be slower.
  double peak_seconds() const { return peak_seconds_; }
  void set_peak_seconds(double seconds) { peak_seconds_ = std::max(peak_seconds_, seconds); }

 private:
  /// Shares the pending second.
  void close_second();
  void take_off(double joules);
  /// Energy and time of windows, weighed by somebody's share of the busy time.
  struct Share {
    double joules = 0;
    double seconds = 0;
    double above_idle(double idle_watts) const { return joules - idle_watts * seconds; }
  };
  Window pending_;
  double seconds_ = 0;
  double busy_seconds_ = 0;
  double machine_joules_ = 0;
  /// In seconds in which nobody was busy.
  double quiet_joules_ = 0;
  Share workload_;
  Share others_;
  /// Windows put together until they are long enough to tell a power.
  struct Stretch {
    double joules = 0;
    double seconds = 0;
    std::optional<double> add(double more_joules, double more_seconds, double least_seconds);
  };
  Stretch quiet_stretch_;
  Stretch peak_stretch_;
  std::optional<double> quietest_watts_;
  double peak_watts_ = 0;
  double peak_seconds_ = 0.2;
};

/// What something draws with nothing to do, and between what that may lie: all equal where it is known.
struct IdlePower {
  double watts = 0;
  double low_watts = 0;
  double high_watts = 0;
  std::string basis;
};
IdlePower known_idle_power(double watts, std::string basis);
/// What the account itself tells. Who was never quiet tells only what idle power can't exceed; half of that
/// is as far from one end as from the other.
IdlePower bounded_idle_power(const EnergyAccount& account);

/// What an account gives with its idle power, and what it would give at the ends of what that may be.
struct AccountSplit {
  IdlePower idle;
  EnergySplit split;
  EnergySplit at_low_idle;
  EnergySplit at_high_idle;
};
AccountSplit split_account(const EnergyAccount& account, IdlePower idle, IdlePolicy policy);

}  // namespace joulery::meter
