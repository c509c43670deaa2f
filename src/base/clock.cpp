#include "base/clock.hpp"

#include <ctime>

namespace joulery {
namespace {

std::int64_t read_clock(clockid_t id) {
  timespec now{};
  clock_gettime(id, &now);
  return static_cast<std::int64_t>(now.tv_sec) * kNanosecondsPerSecond + now.tv_nsec;
}

}  // namespace

std::int64_t SystemClock::boottime_ns() const {
  return read_clock(CLOCK_BOOTTIME);
}
std::int64_t SystemClock::monotonic_ns() const {
  return read_clock(CLOCK_MONOTONIC);
}
std::int64_t SystemClock::realtime_ns() const {
  return read_clock(CLOCK_REALTIME);
}
std::int64_t SystemClock::thread_cpu_ns() const {
  return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

}  // namespace joulery
