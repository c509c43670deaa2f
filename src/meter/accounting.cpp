#include "meter/accounting.hpp"

#include <algorithm>
#include <cmath>

namespace joulery::meter {
namespace {

/// A figure as it may be used: counters that went backwards or are not numbers count as nothing.
double at_least_zero(double value) {
  return std::isfinite(value) ? std::max(value, 0.0) : 0.0;
}

/// The workload's part of what nobody uses.
double idle_part(IdlePolicy policy, double busy_seconds, double workload_seconds) {
  switch (policy) {
    case IdlePolicy::none:
      return 0;
    case IdlePolicy::all:
      return 1;
    case IdlePolicy::proportional:
      return busy_seconds > 0 ? workload_seconds / busy_seconds : 0;
  }
  return 0;
}

}  // namespace

void EnergyAccount::add(const Window& window) {
  const double machine = at_least_zero(window.machine_joules);
  const double workload_seconds = at_least_zero(window.workload_seconds);
  // The two counters are read one after the other, so the workload may seem busier than the machine.
  const double busy_seconds = std::max(at_least_zero(window.busy_seconds), workload_seconds);
  const double other_seconds = busy_seconds - workload_seconds;
  const double idle_at_most = at_least_zero(window.idle_watts) * at_least_zero(window.seconds);
  // Energy above idle without anybody busy: a machine that draws more at rest than we believed.
  const double idle = busy_seconds > 0 ? std::min(idle_at_most, machine) : machine;
  const double above_idle = machine - idle;

  const double active = busy_seconds > 0 ? above_idle * (workload_seconds / busy_seconds) : 0;
  const double other = busy_seconds > 0 ? above_idle * (other_seconds / busy_seconds) : 0;
  const double share = idle * idle_part(policy_, busy_seconds, workload_seconds);

  split_.machine_joules += machine;
  split_.active_joules += active;
  split_.other_active_joules += other;
  split_.idle_joules += idle;
  split_.idle_share_joules += share;
  split_.workload_joules += active + share;
  split_.residual_joules = std::abs(split_.machine_joules -
                                    (split_.active_joules + split_.other_active_joules + split_.idle_joules));
}

}  // namespace joulery::meter
