#include "power/device_meter.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace joulery::power {
namespace {

constexpr double kSuspendSeconds = 0.05;
constexpr double kLeastStaleSeconds = 2.0;
constexpr double kStaleUpdates = 1000;
constexpr double kCatchUpUpdates = 10;
/// A device that is on draws at least this much, so that even a coarse counter moves.
constexpr double kLeastWatts = 0.5;
/// The last believable power is a mean over about this long.
constexpr double kPowerMemorySeconds = 1.0;
constexpr double kLeastPeakSeconds = 0.02;
/// At the end of a run, a counter that has stood still for this long is not waited for any more.
constexpr double kLeastSettleSeconds = 0.05;
constexpr double kSettleUpdates = 20;
/// A counter that moves after standing still for this long caught up; before, it is merely coarse.
constexpr double kLeastLateSeconds = 0.5;
/// A window shorter than this many updates of the counter says little about power.
constexpr double kPeakUpdates = 20;
/// What stands still for longer is no slow counter but a quiet device, or one that was away.
constexpr double kSlowestUpdateSeconds = 1;

double seconds_between(std::int64_t from_ns, std::int64_t to_ns) {
  return static_cast<double>(std::max<std::int64_t>(to_ns - from_ns, 0)) * 1e-9;
}

double stale_after(const SourceInfo& info) {
  // Integrated graphics and single cores are switched off for hours, and the counter rightly stands still.
  if (info.scope == Scope::uncore || info.scope == Scope::core || info.kind == ReadingKind::watts)
    return std::numeric_limits<double>::infinity();
  return std::max(
      {kLeastStaleSeconds, kStaleUpdates * info.update_seconds, info.resolution_joules / kLeastWatts});
}

}  // namespace

bool WindowTime::suspended() const {
  return seconds - awake_seconds > kSuspendSeconds;
}

DeviceMeter::DeviceMeter(const SourceInfo& info) : info_(info), stale_after_seconds_(stale_after(info)) {}

void DeviceMeter::start(const Reading& reading) {
  if (reading.valid && std::isfinite(reading.value)) set_anchor(reading);
}

const DeviceSample& DeviceMeter::add(const Reading& reading, const WindowTime& window,
                                     std::int64_t window_end_ns) {
  sample_ = {};
  step_joules_ = 0;
  clean_ = false;
  if (window.suspended()) set_flag(SampleFlag::suspended);
  const std::int64_t read_before_ns = read_ns_;
  double joules = 0;
  if (!reading.valid || !std::isfinite(reading.value)) {
    set_flag(SampleFlag::missing);
    joules = bridge(window.awake_seconds);
  } else if (!has_anchor_) {
    // The device came up within this window.
    set_flag(SampleFlag::missing);
    total_.unknown_seconds += window.awake_seconds;
    set_anchor(reading);
  } else if (reading.after_gap) {
    joules = restart_from(reading, window, SampleFlag::missing);
  } else {
    joules = info_.kind == ReadingKind::watts ? add_watts(reading, window) : add_counter(reading, window);
    read_ns_ = reading.boottime_ns;
  }
  double within = 1;
  if (reading.valid && reading.boottime_ns > window_end_ns && reading.boottime_ns > read_before_ns) {
    within = std::clamp(
        seconds_between(read_before_ns, window_end_ns) / seconds_between(read_before_ns, reading.boottime_ns),
        0.0, 1.0);
  }
  sample_.joules = carried_joules_ + joules * within;
  carried_joules_ = joules * (1 - within);
  sample_.late_joules = std::min(sample_.late_joules, sample_.joules);
  book(sample_.joules, window);
  return sample_;
}

double DeviceMeter::add_counter(const Reading& reading, const WindowTime& window) {
  const double since_read = seconds_between(read_ns_, reading.boottime_ns);
  const double since_anchor = seconds_between(anchor_ns_, reading.boottime_ns);
  // A counter that stood still for a moment may catch up, one that was off for hours may not.
  const double catch_up_seconds = std::max(kLeastStaleSeconds, kCatchUpUpdates * info_.update_seconds);
  const double span = stale_ ? since_anchor : std::min(since_anchor, since_read + catch_up_seconds);
  const double bound = info_.max_plausible_watts > 0
                           ? info_.max_plausible_watts * (span + info_.update_seconds) +
                                 info_.resolution_joules + reading.late_joules
                           : std::numeric_limits<double>::infinity();
  double delta = reading.value - anchor_value_;
  if (delta < 0) {
    // After a suspend a smaller value is a reset, not a wrap.
    const bool may_wrap =
        info_.wrap_joules > 0 && !window.suspended() && anchor_value_ <= info_.wrap_joules * 1.0001;
    delta += info_.wrap_joules;
    if (!may_wrap || delta < 0 || delta > bound) return restart_from(reading, window, SampleFlag::backwards);
    set_flag(SampleFlag::wrapped);
  } else if (delta > bound) {
    return restart_from(reading, window, SampleFlag::implausible);
  }
  const double most_watts = info_.max_plausible_watts > 0 ? info_.max_plausible_watts : power_watts_;
  if (info_.wrap_joules > 0 && since_read * most_watts >= info_.wrap_joules)
    set_flag(SampleFlag::maybe_wrapped_unseen);
  clean_ = true;
  step_joules_ = delta;
  // What counts in a wrong unit moves, but by nothing to speak of.
  if (delta == 0 || delta < info_.min_plausible_watts * since_anchor) return not_moved(window);
  const double joules = moved(delta, since_anchor);
  if (since_anchor > since_read && since_anchor <= kSlowestUpdateSeconds && reading.late_joules == 0)
    total_.slowest_update_seconds = std::max(total_.slowest_update_seconds, since_anchor);
  if (since_anchor > std::max(kLeastLateSeconds, kSettleUpdates * info_.update_seconds) &&
      since_anchor > since_read) {
    sample_.late_joules = joules * (1 - since_read / since_anchor);
  }
  sample_.late_joules = std::max(sample_.late_joules, reading.late_joules);
  set_anchor(reading);
  return joules;
}

double DeviceMeter::not_moved(const WindowTime& window) {
  unmoved_seconds_ += window.awake_seconds;
  if (unmoved_seconds_ <= stale_after_seconds_) return 0;
  set_flag(SampleFlag::stale);
  // The windows before this one were booked as zero.
  const double seconds = stale_ ? window.awake_seconds : unmoved_seconds_;
  const double joules = bridge(seconds);
  if (seconds > 0) sample_.late_joules = joules * (1 - window.awake_seconds / seconds);
  stale_ = true;
  return joules;
}

double DeviceMeter::settle() {
  const double still_after =
      std::min(stale_after_seconds_, std::max({kLeastSettleSeconds, kSettleUpdates * info_.update_seconds,
                                               info_.resolution_joules / kLeastWatts}));
  if (stale_ || !has_anchor_ || unmoved_seconds_ <= still_after || stale_after_seconds_ > 1e9) return 0;
  stale_ = true;
  set_flag(SampleFlag::stale);
  const double joules = bridge(unmoved_seconds_);
  total_.joules += joules;
  total_.bridged_joules = settled_joules_ + pending_joules_ + overdrawn_joules_;
  for (int bit = 0; bit < kSampleFlagCount; ++bit) {
    if (static_cast<std::uint32_t>(SampleFlag::stale) == 1U << bit) ++total_.flag_counts[bit];
  }
  return joules;
}

double DeviceMeter::moved(double joules, double seconds) {
  if (!has_flag(sample_.flags, SampleFlag::maybe_wrapped_unseen) && seconds > 0)
    learn_power(joules / seconds, seconds);
  unmoved_seconds_ = 0;
  stale_ = false;
  const double left = joules - pending_joules_ - overdrawn_joules_;
  if (pending_joules_ > 0) {
    peak_joules_ = 0;
    peak_seconds_ = 0;
  }
  pending_joules_ = 0;
  total_.bridged_seconds -= pending_seconds_;
  pending_seconds_ = 0;
  total_.unknown_seconds -= pending_unknown_seconds_;
  pending_unknown_seconds_ = 0;
  overdrawn_joules_ = std::max(-left, 0.0);
  return std::max(left, 0.0);
}

double DeviceMeter::restart_from(const Reading& reading, const WindowTime& window, SampleFlag flag) {
  set_flag(flag);
  const double joules = bridge(window.awake_seconds);
  settled_joules_ += pending_joules_;
  pending_joules_ = 0;
  pending_seconds_ = 0;
  pending_unknown_seconds_ = 0;
  unmoved_seconds_ = 0;
  stale_ = false;
  set_anchor(reading);
  return joules;
}

double DeviceMeter::add_watts(const Reading& reading, const WindowTime& window) {
  const bool plausible =
      reading.value == 0 || (reading.value > 0 && reading.value >= info_.min_plausible_watts &&
                             (info_.max_plausible_watts <= 0 || reading.value <= info_.max_plausible_watts));
  if (!plausible) {
    set_flag(SampleFlag::implausible);
    return bridge(window.awake_seconds);
  }
  clean_ = true;
  const double joules = (anchor_value_ + reading.value) / 2 * window.awake_seconds;
  learn_power(reading.value, window.awake_seconds);
  settled_joules_ += pending_joules_;
  pending_joules_ = 0;
  pending_seconds_ = 0;
  pending_unknown_seconds_ = 0;
  set_anchor(reading);
  return joules;
}

double DeviceMeter::bridge(double seconds) {
  if (!has_power_) {
    total_.unknown_seconds += seconds;
    pending_unknown_seconds_ += seconds;
    return 0;
  }
  const double joules = power_watts_ * seconds;
  pending_joules_ += joules;
  pending_seconds_ += seconds;
  total_.bridged_seconds += seconds;
  return joules;
}

void DeviceMeter::learn_power(double watts, double seconds) {
  if (!has_power_) {
    power_watts_ = watts;
    has_power_ = true;
    return;
  }
  power_watts_ += (watts - power_watts_) * (1 - std::exp(-seconds / kPowerMemorySeconds));
}

void DeviceMeter::set_anchor(const Reading& reading) {
  anchor_value_ = reading.value;
  anchor_ns_ = reading.boottime_ns;
  read_ns_ = reading.boottime_ns;
  has_anchor_ = true;
}

double DeviceMeter::peak_seconds() const {
  const double update = info_.kind == ReadingKind::watts
                            ? info_.update_seconds
                            : std::max(info_.update_seconds, total_.slowest_update_seconds);
  return std::max(kLeastPeakSeconds, kPeakUpdates * update);
}

void DeviceMeter::book(double joules, const WindowTime& window) {
  total_.joules += joules;
  total_.bridged_joules = settled_joules_ + pending_joules_ + overdrawn_joules_;
  ++total_.ticks;
  for (int bit = 0; bit < kSampleFlagCount; ++bit) {
    if ((sample_.flags & (1U << bit)) != 0) ++total_.flag_counts[bit];
  }
  if (!clean_ || has_flag(sample_.flags, SampleFlag::stale) || window.suspended()) {
    peak_joules_ = 0;
    peak_seconds_ = 0;
    return;
  }
  peak_joules_ += joules - sample_.late_joules;
  peak_seconds_ += window.awake_seconds;
  if (peak_seconds_ >= peak_seconds()) {
    total_.peak_watts = std::max(total_.peak_watts, peak_joules_ / peak_seconds_);
    peak_joules_ = 0;
    peak_seconds_ = 0;
  }
}

}  // namespace joulery::power
