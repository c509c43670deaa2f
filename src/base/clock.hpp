#pragma once

#include <cstdint>

namespace joulery {

constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;

/// Source of time. Injected everywhere, so that a day passes in a test in milliseconds.
class Clock {
 public:
  virtual ~Clock() = default;
  /// Nanoseconds since boot, suspend included (CLOCK_BOOTTIME). Never steps back.
  virtual std::int64_t boottime_ns() const = 0;
  /// Nanoseconds since boot, suspend excluded (CLOCK_MONOTONIC). The difference to boottime shows a suspend.
  virtual std::int64_t monotonic_ns() const = 0;
  /// UTC nanoseconds since 1970 (CLOCK_REALTIME). May step.
  virtual std::int64_t realtime_ns() const = 0;
  /// CPU time of the calling thread (CLOCK_THREAD_CPUTIME_ID): what work costs, however often it is
  /// interrupted.
  virtual std::int64_t thread_cpu_ns() const = 0;
};

/// The machine's clock. Thread-safe.
class SystemClock final : public Clock {
 public:
  std::int64_t boottime_ns() const override;
  std::int64_t monotonic_ns() const override;
  std::int64_t realtime_ns() const override;
  std::int64_t thread_cpu_ns() const override;
};

/// A clock that a test moves by hand.
class ManualClock final : public Clock {
 public:
  std::int64_t boottime_ns() const override { return boottime; }
  std::int64_t monotonic_ns() const override { return monotonic; }
  std::int64_t realtime_ns() const override { return realtime; }
  std::int64_t thread_cpu_ns() const override { return thread_cpu; }
  /// Moves all but the CPU time.
  void advance_seconds(double seconds) {
    const auto ns = static_cast<std::int64_t>(seconds * 1e9);
    boottime += ns;
    monotonic += ns;
    realtime += ns;
  }
  std::int64_t boottime = kNanosecondsPerSecond;
  std::int64_t monotonic = kNanosecondsPerSecond;
  std::int64_t realtime = 1'700'000'000 * kNanosecondsPerSecond;
  std::int64_t thread_cpu = 0;
};

}  // namespace joulery
