#include "engine/measure.hpp"

#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <limits>
#include <mutex>
#include <optional>
#include <thread>

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

/// CPU time of this process. Where that is limited, the kernel adds it up at its ticks, some milliseconds
/// apart, and whenever a thread asks for its own.
std::int64_t read_cpu_time() {
  read_clock(CLOCK_THREAD_CPUTIME_ID);
  return read_clock(CLOCK_PROCESS_CPUTIME_ID);
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

/// Calls that a plan can have; an error for one that can have none.
Result<std::uint64_t> most_calls(const BlockPlan& plan) {
  std::uint64_t most = std::min(plan.calls, kMostBlockCalls);
  if (!plan.arrivals_ns.empty()) most = std::min<std::uint64_t>(most, plan.arrivals_ns.size());
  if (most == 0 || !(plan.seconds > 0)) return internal_error("a block without calls");
  return most;
}

std::int64_t end_of(const BlockPlan& plan, std::int64_t start) {
  return start + static_cast<std::int64_t>(std::min(plan.seconds, 1e9) * 1e9);
}

/// What the threads of a block share.
struct SharedBlock {
  SharedBlock(const BlockPlan& of, std::uint64_t calls, std::int64_t begin, std::vector<std::int64_t>& into)
      : plan(of), most(calls), start(begin), end(end_of(of, begin)), latencies(into) {}
  const BlockPlan& plan;
  std::uint64_t most;
  std::int64_t start;
  std::int64_t end;
  std::vector<std::int64_t>& latencies;
  std::atomic<std::uint64_t> next{0};
  std::atomic<std::int64_t> last{0};
  std::atomic<bool> stopped{false};
  std::mutex mutex;
  std::optional<Error> error;
};

/// One thread's calls: those whose numbers it draws.
void run_calls(Session& session, SharedBlock& block) {
  const bool scheduled = !block.plan.arrivals_ns.empty();
  std::int64_t now = read_clock(CLOCK_MONOTONIC);
  while (!block.stopped.load(std::memory_order_relaxed)) {
    if (now >= block.end && block.next.load(std::memory_order_relaxed) > 0) return;
    const std::uint64_t number = block.next.fetch_add(1, std::memory_order_relaxed);
    if (number >= block.most) return;
    std::int64_t begin = now;
    if (scheduled) {
      begin = block.start + block.plan.arrivals_ns[number];
      if (begin > block.end && number > 0) return;
      if (begin > now) sleep_until(begin);
    }
    if (Status run = session.run(); !run) {
      const std::lock_guard lock(block.mutex);
      if (!block.error) block.error = std::move(run).error();
      block.stopped = true;
      return;
    }
    now = read_clock(CLOCK_MONOTONIC);
    block.latencies[number] = now - begin;
    std::int64_t last = block.last.load(std::memory_order_relaxed);
    while (last < now && !block.last.compare_exchange_weak(last, now, std::memory_order_relaxed)) {
    }
  }
}

/// Cuts a block in slices, if the plan asks for it.
class Slicer {
 public:
  Slicer(const BlockPlan& plan, BlockResult& result) : seconds_(plan.slice_seconds), result_(result) {
    if (!(seconds_ > 0)) return;
    probe_.emplace();
    // The first look brings its numbers into the cache.
    probe_->look();
    result_.speeds.push_back(probe_->look());
  }

  void begin() {
    cpu_before_ = read_cpu_time();
    start_ = read_clock(CLOCK_MONOTONIC);
    end_ = seconds_ > 0 ? start_ + static_cast<std::int64_t>(std::min(seconds_, 1e9) * 1e9)
                        : std::numeric_limits<std::int64_t>::max();
  }
  std::int64_t start() const { return start_; }
  bool is_due(std::int64_t now) const { return now >= end_; }
  /// `now` is the end of its last call.
  void end(std::uint64_t calls, std::int64_t now) {
    const Slice slice{.calls = calls,
                      .cpu_seconds = static_cast<double>(read_cpu_time() - cpu_before_) * 1e-9,
                      .wall_seconds = static_cast<double>(now - start_) * 1e-9};
    result_.cpu_seconds += slice.cpu_seconds;
    result_.wall_seconds += slice.wall_seconds;
    if (!probe_) return;
    result_.slices.push_back(slice);
    result_.speeds.push_back(probe_->look());
  }

 private:
  double seconds_;
  BlockResult& result_;
  std::optional<SpeedProbe> probe_;
  std::int64_t cpu_before_ = 0;
  std::int64_t start_ = 0;
  std::int64_t end_ = 0;
};

}  // namespace

Result<BlockResult> run_block(std::span<Session* const> sessions, const BlockPlan& plan) {
  if (sessions.size() == 1) return run_block(*sessions[0], plan);
  JOULERY_ASSIGN(const std::uint64_t most, most_calls(plan));
  BlockResult result;
  result.latencies_ns.assign(most, -1);
  Slicer slicer(plan, result);
  slicer.begin();
  SharedBlock block(plan, most, slicer.start(), result.latencies_ns);
  {
    std::vector<std::jthread> threads;
    for (Session* session : sessions) threads.emplace_back([session, &block] { run_calls(*session, block); });
  }
  if (block.error) return std::unexpected(*block.error);
  const auto never_run = std::ranges::count(result.latencies_ns, -1);
  slicer.end(most - static_cast<std::uint64_t>(never_run), block.last.load());
  std::erase(result.latencies_ns, -1);
  result.calls = result.latencies_ns.size();
  return result;
}

Result<BlockResult> run_block(Session& session, const BlockPlan& plan) {
  const bool scheduled = !plan.arrivals_ns.empty();
  JOULERY_ASSIGN(const std::uint64_t most, most_calls(plan));
  BlockResult result;
  // Pages that are first touched while the calls run would be part of them.
  result.latencies_ns.assign(most, 0);
  Slicer slicer(plan, result);
  slicer.begin();
  const std::int64_t start = slicer.start();
  const std::int64_t end = end_of(plan, start);
  std::int64_t now = start;
  std::uint64_t sliced = 0;
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
    if (!scheduled && slicer.is_due(now)) {
      slicer.end(result.calls - sliced, now);
      sliced = result.calls;
      slicer.begin();
      now = slicer.start();
    }
  }
  if (result.calls > sliced) slicer.end(result.calls - sliced, now);
  result.latencies_ns.resize(result.calls);
  return result;
}

ProcessUsage own_usage() {
  ProcessUsage usage{.pid = ::getpid(), .cpu_seconds = static_cast<double>(read_cpu_time()) * 1e-9};
  if (const auto status = read_file("/proc/self/status", 1 << 16)) {
    usage.resident_bytes = status_bytes(*status, "VmRSS:");
    usage.peak_resident_bytes = status_bytes(*status, "VmHWM:");
  }
  return usage;
}

}  // namespace joulery::engine
