#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "power/source.hpp"

namespace joulery::power {

/// How many flags there are.
constexpr int kSampleFlagCount = 7;

/// What happened to a device in one window.
enum class SampleFlag : std::uint32_t {
  none = 0,
  /// The counter wrapped once and was unwrapped.
  wrapped = 1U << 0,
  /// More than the device can draw: the window's energy is the last believable power times its length.
  implausible = 1U << 1,
  /// The counter went backwards without a wrap; the window was bridged.
  backwards = 1U << 2,
  /// No reading; the window was bridged or, at the end, is missing.
  missing = 1U << 3,
  /// The counter did not move for longer than its update period while the machine was up.
  stale = 1U << 4,
  /// The machine was suspended in this window.
  suspended = 1U << 5,
  /// The window was longer than the counter takes to wrap: energy is a lower bound.
  maybe_wrapped_unseen = 1U << 6,
};

constexpr bool has_flag(std::uint32_t flags, SampleFlag flag) {
  return (flags & static_cast<std::uint32_t>(flag)) != 0;
}

/// Energy of one device in the window since the tick before.
struct DeviceSample {
  double joules = 0;
  /// Of `joules`, what belongs to windows before this one: a counter caught up, or was bridged after the
  /// fact.
  double late_joules = 0;
  std::uint32_t flags = 0;
};

/// One tick: all devices read once.
struct Tick {
  std::int64_t boottime_ns = 0;
  double window_seconds = 0;
  /// One per device, in the order of Sampler::devices(). Valid until the next tick.
  std::span<const DeviceSample> devices;
  /// Sum over root devices: the machine's energy in the window, late energy included.
  double machine_joules = 0;
  /// Of `machine_joules`, what belongs to windows before this one.
  double late_joules = 0;
};

/// What a device did over all windows.
struct DeviceTotal {
  double joules = 0;
  double peak_watts = 0;
  std::uint64_t ticks = 0;
  /// Of `joules`, what was bridged and not read.
  double bridged_joules = 0;
  /// Seconds in windows that were bridged, and that no later reading told of.
  double bridged_seconds = 0;
  /// Seconds of which nothing is known: no reading, or a counter that never moved, and no earlier power to
  /// bridge with. They are not in `joules`, which is a lower bound then.
  double unknown_seconds = 0;
  /// The longest time, of up to a second, for which its counter stood still between two of its steps.
  double slowest_update_seconds = 0;
  std::uint64_t flag_counts[kSampleFlagCount] = {};
};

/// Whether a device's energy is part of the machine's, and if not, why.
enum class DeviceRole {
  counted,
  /// Inside another device that counts.
  part,
  /// Shows another device's counter.
  mirror,
  /// Measures nothing, or less than its own parts, which count in its place.
  replaced,
  /// Shown, never counted.
  reported_only,
};

/// Reads a set of sources and turns counters into energy per window: unwraps, clamps what is not plausible,
/// bridges gaps, drops mirrors, and knows which devices are roots. A tick allocates nothing. Not thread-safe.
///
/// Only roots of the tree that parents make are summed. A root that measures nothing, or clearly less than
/// what is inside it, gives way to its parts for good, with what they have read since the start.
///
/// A bridged window is booked with the device's last believable power. When the counter comes back without
/// having been reset, what it says of the gap replaces what was booked: too little is added, too much is
/// taken off the windows that follow, so that no window is negative and the total is the counter's.
class Sampler {
 public:
  /// Takes the sources to read. Sources whose counters mirror another's (equal value and equal steps in the
  /// first ticks) are reported by `mirrors()` and not summed.
  Sampler(std::vector<std::unique_ptr<Source>> sources, const Clock& clock);
  ~Sampler();
  Sampler(const Sampler&) = delete;
  Sampler& operator=(const Sampler&) = delete;

  /// First reading: start of the first window.
  void start();
  /// Closes a window and opens the next. Each device is booked up to its own reading, microseconds after the
  /// tick began.
  const Tick& tick();
  /// The same for a window that ends at `window_end_boottime_ns`, for a caller whose windows have edges of
  /// their own. Energy that a device read beyond the edge is split by time and kept for the next window;
  /// nothing is lost.
  const Tick& tick_until(std::int64_t window_end_boottime_ns);

  /// After the last tick: a counter that stands still, but not yet for long enough to be called stale, is
  /// bridged, or its children count in its place. So they do if they have read more than the root can have
  /// drawn; a root that holds a GPU is never less than its parts. Returns what that adds to the machine, all
  /// of it late energy.
  double settle();

  std::size_t device_count() const;
  const SourceInfo& device(std::size_t index) const;
  const DeviceTotal& total(std::size_t index) const;
  /// Does this device count towards the machine? False for children of another device, for mirrors, and for
  /// what looks like a mirror in the first ticks: its energy is added to the machine's in the tick that tells
  /// them apart.
  bool is_root(std::size_t index) const;
  /// Over less than this the machine's power can't be told: 20 updates of its slowest counter.
  double peak_seconds() const;
  DeviceRole role(std::size_t index) const;
  /// Index of the device that this one mirrors, or its own index.
  std::size_t mirror_of(std::size_t index) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace joulery::power
