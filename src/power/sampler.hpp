#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "power/source.hpp"

namespace joulery::power {

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

/// Energy of one device in the window since the tick before.
struct DeviceSample {
  double joules = 0;
  std::uint32_t flags = 0;
};

/// One tick: all devices read once.
struct Tick {
  std::int64_t boottime_ns = 0;
  double window_seconds = 0;
  /// One per device, in the order of Sampler::devices(). Valid until the next tick.
  std::span<const DeviceSample> devices;
  /// Sum over root devices: the machine's energy in the window.
  double machine_joules = 0;
};

/// What a device did over all windows.
struct DeviceTotal {
  double joules = 0;
  double peak_watts = 0;
  std::uint64_t ticks = 0;
  /// Of `joules`, what was bridged and not read.
  double bridged_joules = 0;
  /// Seconds in windows that were bridged.
  double bridged_seconds = 0;
  std::uint64_t flag_counts[7] = {};
};

/// Reads a set of sources and turns counters into energy per window: unwraps, clamps what is not plausible,
/// bridges gaps, drops mirrors, and knows which devices are roots. A tick allocates nothing. Not thread-safe.
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
  /// Closes a window and opens the next.
  const Tick& tick();

  std::size_t device_count() const;
  const SourceInfo& device(std::size_t index) const;
  const DeviceTotal& total(std::size_t index) const;
  /// Does this device count towards the machine? False for children of another device and for mirrors.
  bool is_root(std::size_t index) const;
  /// Index of the device that this one mirrors, or its own index.
  std::size_t mirror_of(std::size_t index) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace joulery::power
