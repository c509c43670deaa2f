#include "engine/measure.hpp"

#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>

#include "base/clock.hpp"
#include "base/files.hpp"
#include "base/text.hpp"
#include "engine/engine.hpp"

namespace joulery::engine {
namespace {

std::int64_t read_clock(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return time.tv_sec * kNanosecondsPerSecond + time.tv_nsec;
}

void sleep_until(std::int64_t monotonic_ns) {
  const timespec time{.tv_sec = monotonic_ns / kNanosecondsPerSecond,
                      .tv_nsec = monotonic_ns % kNanosecondsPerSecond};
  while (::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nullptr) == EINTR) {
  }
}

/// The number behind "VmHWM:" and the like, in bytes.
double status_bytes(const std::string& status, std::string_view key) {
  const std::size_t at = status.find(key);
  if (at == std::string::npos) return 0;
  std::string_view rest = std::string_view(status).substr(at + key.size());
  rest = trim(rest.substr(0, rest.find("kB")));
  const auto kilobytes = parse_int64(rest);
  return kilobytes ? static_cast<double>(*kilobytes) * 1024 : 0;
}

}  // namespace

Result<BlockResult> run_block(Session& session, const BlockPlan& plan) {
  const bool scheduled = !plan.arrivals_ns.empty();
  std::uint64_t most = std::min(plan.calls, kMostBlockCalls);
  if (scheduled) most = std::min<std::uint64_t>(most, plan.arrivals_ns.size());
  if (most == 0 || !(plan.seconds > 0)) return internal_error("a block without calls");
  BlockResult result;
  // Pages that are first touched while the calls run would be part of them.
  result.latencies_ns.assign(most, 0);
  const std::int64_t cpu_before = read_clock(CLOCK_PROCESS_CPUTIME_ID);
  const std::int64_t start = read_clock(CLOCK_MONOTONIC);
  const std::int64_t end = start + static_cast<std::int64_t>(std::min(plan.seconds, 1e9) * 1e9);
  std::int64_t now = start;
  while (result.calls < most && (now < end || result.calls == 0)) {
    std::int64_t begin = now;
    if (scheduled) {
      begin = start + plan.arrivals_ns[result.calls];
      if (begin > end && result.calls > 0) break;
      if (begin > now) sleep_until(begin);
    }
    JOULERY_CHECK_OK(session.run());
    now = read_clock(CLOCK_MONOTONIC);
    result.latencies_ns[result.calls] = now - begin;
    ++result.calls;
  }
  result.cpu_seconds = static_cast<double>(read_clock(CLOCK_PROCESS_CPUTIME_ID) - cpu_before) * 1e-9;
  result.wall_seconds = static_cast<double>(now - start) * 1e-9;
  result.latencies_ns.resize(result.calls);
  return result;
}

ProcessUsage own_usage() {
  ProcessUsage usage{.pid = ::getpid(),
                     .cpu_seconds = static_cast<double>(read_clock(CLOCK_PROCESS_CPUTIME_ID)) * 1e-9};
  if (const auto status = read_file("/proc/self/status", 1 << 16)) {
    usage.resident_bytes = status_bytes(*status, "VmRSS:");
    usage.peak_resident_bytes = status_bytes(*status, "VmHWM:");
  }
  return usage;
}

}  // namespace joulery::engine
