#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.hpp"
#include "engine/core_speed.hpp"

namespace joulery::engine {

class Session;

/// No block holds more calls: what it tells must fit one message of a worker.
constexpr std::uint64_t kMostBlockCalls = 200'000;

/// A stretch of calls on what is bound.
struct BlockPlan {
  /// At most so many calls, 1 to kMostBlockCalls.
  std::uint64_t calls = kMostBlockCalls;
  /// No call begins later than this after the block began; above 0.
  double seconds = 1;
  /// When each call ought to begin, in nanoseconds after the block began, ascending; it waits till then, and
  /// begins at once if it is late. Empty: each begins when the one before has ended (closed loop).
  std::vector<std::int64_t> arrivals_ns = {};
  /// Above 0: the core's speed is looked at before and after the block, and where one session's calls follow
  /// each other also whenever so much time has gone by. That is no part of any call or time.
  double slice_seconds = 0;
};

/// Calls between two looks at the core's speed; 1 or more.
struct Slice {
  std::uint64_t calls = 0;
  double cpu_seconds = 0;
  double wall_seconds = 0;
};

/// What a block took. Its own cost is one look at the clock for each call, and two for one that waits.
struct BlockResult {
  std::uint64_t calls = 0;
  /// From the block's begin to the end of its last call, looks at the core's speed left out.
  double wall_seconds = 0;
  /// Of all threads of the process that runs the engine, also of those that spin between two calls.
  double cpu_seconds = 0;
  /// Of each call: from its begin to its end, or from when it ought to have begun if it had an arrival, so
  /// that a queue in front of a slow model is part of it.
  std::vector<std::int64_t> latencies_ns = {};
  /// All of the block, and the core's speed before the first slice and after each; empty if not asked for.
  std::vector<Slice> slices = {};
  std::vector<CoreSpeed> speeds = {};
};

/// What the process that runs the engine has used since it was started.
struct ProcessUsage {
  int pid = 0;
  double cpu_seconds = 0;
  double resident_bytes = 0;
  double peak_resident_bytes = 0;
};

/// Runs a block in this process. Its first failing call's error ends it.
Result<BlockResult> run_block(Session& session, const BlockPlan& plan);
/// The same with as many calls at a time as there are sessions, a thread for each: they must be of one family
/// (Session::fork) and have their inputs. A call with an arrival is taken by the first that is free.
Result<BlockResult> run_block(std::span<Session* const> sessions, const BlockPlan& plan);
/// Of this process.
ProcessUsage own_usage();

}  // namespace joulery::engine
