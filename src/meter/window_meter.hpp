#pragma once

#include <memory>
#include <string>

#include "base/quantity.hpp"
#include "base/result.hpp"
#include "meter/followed.hpp"
#include "meter/session.hpp"

namespace joulery::meter {

/// What a followed workload cost between two moments: a MeteredRun with times, CPU-seconds, energies, devices
/// and footprint, but without child, spool and metrics of its own.
using MeteredWindow = MeteredRun;

struct WindowOptions {
  Followed followed;
  /// Names what is known of this window only; empty: one of its own.
  std::string run_id = {};
  IdlePolicy idle = IdlePolicy::proportional;
  /// As of SessionOptions.
  std::function<std::optional<double>(const std::string& host_id, const std::string& sources)>
      load_idle_watts = {};
  FootprintOptions footprint = {};
  /// Looks a second, at least kSlowestTickHz.
  double hz = kSlowestTickHz;
};

/// Meters what a process or cgroup that somebody else started uses, from now to stop(). A thread of its own
/// looks at the sensors; it costs what `joulery run` does at the same rate.
class WindowMeter {
 public:
  /// What `machine` refers to must outlive it; nobody else may use its system calls meanwhile.
  static Result<std::unique_ptr<WindowMeter>> start(const Machine& machine, const WindowOptions& options);
  /// Throws away what there is so far.
  ~WindowMeter();
  WindowMeter(const WindowMeter&) = delete;
  WindowMeter& operator=(const WindowMeter&) = delete;

  /// Ends the window. Once.
  MeteredWindow stop();

 private:
  struct State;
  explicit WindowMeter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace joulery::meter
