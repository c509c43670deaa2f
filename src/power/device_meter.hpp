#pragma once

#include <cstdint>

#include "power/sampler.hpp"
#include "power/source.hpp"

namespace joulery::power {

/// How long a window was, by both clocks.
struct WindowTime {
  double seconds = 0;
  /// Without suspend.
  double awake_seconds = 0;
  bool suspended() const;
};

/// Turns the readings of one device into energy per window. Part of the Sampler. Allocates nothing.
class DeviceMeter {
 public:
  /// `info` must outlive the meter.
  explicit DeviceMeter(const SourceInfo& info);

  void start(const Reading& reading);
  /// Energy of the window that ends at `window_end_ns`; a reading beyond it is split.
  const DeviceSample& add(const Reading& reading, const WindowTime& window, std::int64_t window_end_ns);

  /// After the last window: bridges the time that a counter has stood still for without being stale yet.
  /// Returns what that adds to the total.
  double settle();
  /// Has it stood still for longer than a working counter does?
  bool stands_still() const { return stale_; }

  const DeviceSample& sample() const { return sample_; }
  const DeviceTotal& total() const { return total_; }
  /// Over less than this its counter can't tell power: some are slower than they claim.
  double peak_seconds() const;
  /// What the counter itself said in the last window, and its value: to compare it with another counter.
  double step_joules() const { return step_joules_; }
  double counter() const { return anchor_value_; }
  std::int64_t read_ns() const { return read_ns_; }
  /// Has it given a believable power yet?
  bool has_moved() const { return has_power_; }
  /// Was the last reading usable and without a flag?
  bool clean() const { return clean_; }

 private:
  double add_counter(const Reading& reading, const WindowTime& window);
  double add_watts(const Reading& reading, const WindowTime& window);
  double not_moved(const WindowTime& window);
  double moved(double joules, double seconds);
  /// The counter can't be followed across this window: books the last believable power and starts anew from
  /// here.
  double restart_from(const Reading& reading, const WindowTime& window, SampleFlag flag);
  /// Energy of `seconds` at the last believable power.
  double bridge(double seconds);
  void learn_power(double watts, double seconds);
  void set_anchor(const Reading& reading);
  void set_flag(SampleFlag flag) { sample_.flags |= static_cast<std::uint32_t>(flag); }
  void book(double joules, const WindowTime& window);

  const SourceInfo& info_;
  /// A counter that stands still for longer is stale.
  double stale_after_seconds_;
  DeviceSample sample_;
  DeviceTotal total_;

  bool has_anchor_ = false;
  double anchor_value_ = 0;
  /// When the counter last moved, and when it was last read.
  std::int64_t anchor_ns_ = 0;
  std::int64_t read_ns_ = 0;
  double unmoved_seconds_ = 0;
  bool stale_ = false;

  bool has_power_ = false;
  double power_watts_ = 0;
  /// Booked by bridging since the anchor: a reading may still replace it.
  double pending_joules_ = 0;
  double pending_seconds_ = 0;
  /// Without a power to bridge them with, since the anchor: a reading may still tell of them.
  double pending_unknown_seconds_ = 0;
  /// Booked by bridging before a restart: nothing will replace it.
  double settled_joules_ = 0;
  /// Booked beyond what the counter then said: taken off what follows.
  double overdrawn_joules_ = 0;
  /// Read beyond the end of the last window.
  double carried_joules_ = 0;

  double step_joules_ = 0;
  bool clean_ = false;
  double peak_joules_ = 0;
  double peak_seconds_ = 0;
};

}  // namespace joulery::power
