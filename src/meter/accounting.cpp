#include "meter/accounting.hpp"

#include <algorithm>
#include <cmath>

namespace joulery::meter {
namespace {

/// Power is not compared over less: counters are too coarse.
constexpr double kQuietStretchSeconds = 1.0;

/// A figure as it may be used: counters that went backwards or are not numbers count as nothing.
double at_least_zero(double value) {
  return std::isfinite(value) ? std::max(value, 0.0) : 0.0;
}

}  // namespace

EnergySplit& EnergySplit::operator+=(const EnergySplit& other) {
  machine_joules += other.machine_joules;
  active_joules += other.active_joules;
  idle_share_joules += other.idle_share_joules;
  workload_joules += other.workload_joules;
  other_active_joules += other.other_active_joules;
  idle_joules += other.idle_joules;
  residual_joules += other.residual_joules;
  return *this;
}

void EnergyAccount::add(const Window& window) {
  const double seconds = at_least_zero(window.seconds);
  const double machine = at_least_zero(window.machine_joules);
  const double workload_seconds = at_least_zero(window.workload_seconds);
  const double busy_seconds = at_least_zero(window.busy_seconds);
  const double end_seconds = at_least_zero(window.end_seconds);
  if (seconds_ == 0) pending_.end_seconds = std::max(0.0, end_seconds - seconds);
  seconds_ += seconds;
  machine_joules_ += machine;
  pending_.seconds += seconds;
  pending_.machine_joules += machine;
  pending_.workload_seconds += workload_seconds;
  pending_.busy_seconds += busy_seconds;
  if (std::floor(end_seconds) > std::floor(pending_.end_seconds)) {
    close_second();
    pending_.end_seconds = end_seconds;
  }
  if (const auto watts = quiet_stretch_.add(machine, seconds, kQuietStretchSeconds)) {
    quietest_watts_ = std::min(*watts, quietest_watts_.value_or(*watts));
  }
  if (const auto watts = peak_stretch_.add(machine, seconds, peak_seconds_)) {
    peak_watts_ = std::max(*watts, peak_watts_);
  }
}

void EnergyAccount::close_second() {
  // The two counters are read one after the other, so the workload may seem busier than the machine.
  const double busy_seconds = std::max(pending_.busy_seconds, pending_.workload_seconds);
  busy_seconds_ += busy_seconds;
  if (busy_seconds > 0) {
    const double workload = pending_.workload_seconds / busy_seconds;
    const double others = (busy_seconds - pending_.workload_seconds) / busy_seconds;
    workload_.joules += pending_.machine_joules * workload;
    workload_.seconds += pending_.seconds * workload;
    others_.joules += pending_.machine_joules * others;
    others_.seconds += pending_.seconds * others;
  } else {
    quiet_joules_ += pending_.machine_joules;
  }
  const double end_seconds = pending_.end_seconds;
  pending_ = {};
  pending_.end_seconds = end_seconds;
}

std::optional<double> EnergyAccount::Stretch::add(double more_joules, double more_seconds,
                                                  double least_seconds) {
  joules += more_joules;
  seconds += more_seconds;
  if (seconds < least_seconds) return std::nullopt;
  const double watts = joules / seconds;
  *this = {};
  return watts;
}

void EnergyAccount::add_late(double machine_joules) {
  if (machine_joules < 0) return take_off(-machine_joules);
  const double joules = at_least_zero(machine_joules);
  if (joules == 0) return;
  close_second();
  const double workload = seconds_ > 0 ? workload_.seconds / seconds_ : 0;
  const double others = seconds_ > 0 ? others_.seconds / seconds_ : 0;
  machine_joules_ += joules;
  workload_.joules += joules * workload;
  others_.joules += joules * others;
  quiet_joules_ += joules * std::max(0.0, 1 - workload - others);
  // Stretches that lacked this looked quieter than they were.
  quietest_watts_.reset();
  quiet_stretch_ = {};
}

void EnergyAccount::take_off(double joules) {
  close_second();
  const double left = joules < machine_joules_ ? 1 - joules / machine_joules_ : 0;
  for (double* part : {&machine_joules_, &workload_.joules, &others_.joules, &quiet_joules_}) *part *= left;
}

double EnergyAccount::busy_seconds() const {
  return busy_seconds_ + std::max(pending_.busy_seconds, pending_.workload_seconds);
}

EnergySplit EnergyAccount::split(double idle_watts, IdlePolicy policy) const {
  if (pending_.seconds > 0 || pending_.machine_joules > 0) {
    EnergyAccount whole = *this;
    whole.close_second();
    return whole.split(idle_watts, policy);
  }
  double idle = at_least_zero(idle_watts);
  for (const Share& share : {workload_, others_}) {
    if (share.seconds > 0) idle = std::min(idle, share.joules / share.seconds);
  }
  EnergySplit split;
  split.machine_joules = machine_joules_;
  split.active_joules = at_least_zero(workload_.above_idle(idle));
  split.other_active_joules = at_least_zero(others_.above_idle(idle));
  split.idle_joules = quiet_joules_ + idle * (workload_.seconds + others_.seconds);
  if (policy == IdlePolicy::proportional) split.idle_share_joules = idle * workload_.seconds;
  if (policy == IdlePolicy::all) split.idle_share_joules = split.idle_joules;
  split.workload_joules = split.active_joules + split.idle_share_joules;
  split.residual_joules =
      std::abs(split.machine_joules - (split.active_joules + split.other_active_joules + split.idle_joules));
  return split;
}

IdlePower known_idle_power(double watts, std::string basis) {
  return {.watts = watts, .low_watts = watts, .high_watts = watts, .basis = std::move(basis)};
}

IdlePower bounded_idle_power(const EnergyAccount& account) {
  const auto at_most = [](double watts, const char* basis) {
    return IdlePower{.watts = watts / 2, .low_watts = 0, .high_watts = watts, .basis = basis};
  };
  if (const auto watts = account.quietest_watts(); watts && *watts > 0)
    return at_most(*watts, "half of the quietest second of this run, which is an upper bound");
  if (account.machine_joules() > 0 && account.seconds() > 0)
    return at_most(account.machine_joules() / account.seconds(),
                   "half of the mean power: the run was shorter than a second");
  return known_idle_power(0, "unknown: no power counter moved");
}

AccountSplit split_account(const EnergyAccount& account, IdlePower idle, IdlePolicy policy) {
  AccountSplit result;
  result.split = account.split(idle.watts, policy);
  result.at_low_idle = account.split(idle.low_watts, policy);
  result.at_high_idle = account.split(idle.high_watts, policy);
  result.idle = std::move(idle);
  return result;
}

}  // namespace joulery::meter
