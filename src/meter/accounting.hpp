#pragma once

#include <cstdint>

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
  double machine_joules = 0;
  /// CPU-seconds of the machine and of the workload.
  double busy_seconds = 0;
  double workload_seconds = 0;
  /// What the machine draws with nothing to do.
  double idle_watts = 0;
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
};

/// Splits each window's energy between workload, others and idle. Adding a window allocates nothing.
class EnergyAccount {
 public:
  explicit EnergyAccount(IdlePolicy policy) : policy_(policy) {}
  void add(const Window& window);
  const EnergySplit& split() const { return split_; }

 private:
  IdlePolicy policy_;
  EnergySplit split_;
};

}  // namespace joulery::meter
