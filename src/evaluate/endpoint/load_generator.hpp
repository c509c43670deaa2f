#pragma once

#include <cstdint>
#include <vector>

#include "engine/remote/protocol.hpp"
#include "evaluate/endpoint/arrivals.hpp"
#include "evaluate/endpoint/figures.hpp"
#include "http/client.hpp"

namespace joulery::evaluate::endpoint {

/// One load on one server.
struct LoadPlan {
  /// Closed loop: so many requests at a time, each followed by the next. 0: an open loop by `arrivals`.
  std::size_t concurrency = 1;
  Arrivals arrivals = {};
  /// Of a closed loop.
  LoadLength length = {};
  /// Requests before those that count.
  std::size_t warmup = 0;
  /// Where in the protocol's row of requests to begin.
  std::uint64_t first_request = 0;
};

struct LoadProgress {
  double elapsed_seconds = 0;
  std::size_t sent = 0;
  std::size_t ended = 0;
  std::size_t failed = 0;
  bool warming_up = false;
};

class LoadObserver {
 public:
  virtual ~LoadObserver() = default;
  /// The requests that count begin, or have all ended: what is metered is between the two.
  virtual void on_begin() {}
  virtual void on_end() {}
  /// Several times a second.
  virtual void on_progress(const LoadProgress& progress) { static_cast<void>(progress); }
  /// Asked several times a second: true ends the load, and what is under way is cancelled.
  virtual bool interrupted() { return false; }
};

struct LoadResult {
  std::vector<RequestRecord> records;  // in the order in which they were to be sent
  /// From the first request to the end of the last, or to the interruption.
  std::int64_t start_ns = 0;
  std::int64_t end_ns = 0;
  /// Of this thread, which makes the load.
  double client_cpu_seconds = 0;
  bool interrupted = false;
  /// How often a request of a closed loop was held back after one that failed.
  std::size_t held_back = 0;
  double window_seconds() const { return static_cast<double>(end_ns - start_ns) / 1e9; }
};

/// Runs the load to its end in this thread. In a closed loop, a request after one that failed is held back:
/// as long as the server asked for (10 s at most), else 50 ms. The plan's length ends.
LoadResult run_load(http::EventLoop& loop, http::Client& client, const engine::remote::Protocol& protocol,
                    const LoadPlan& plan, LoadObserver& observer);

}  // namespace joulery::evaluate::endpoint
