#pragma once

#include <sys/resource.h>

#include <cstdint>
#include <memory>

#include "base/files.hpp"
#include "base/result.hpp"
#include "meter/attribution.hpp"
#include "meter/launcher.hpp"

namespace joulery::meter {

/// How a child ended and what the kernel says it used, with all descendants that were waited for.
struct ChildResult {
  bool exited = false;
  int exit_code = 0;
  /// The signal that killed it; 0 if it exited.
  int signal = 0;
  bool core_dumped = false;
  double user_seconds = 0;
  double system_seconds = 0;
  /// Of the largest single process.
  double peak_memory_bytes = 0;

  /// What a shell's $? would say: the exit code, or 128 + signal.
  int shell_code() const { return signal != 0 ? 128 + signal : exit_code; }
  double cpu_seconds() const { return user_seconds + system_seconds; }
};
/// From wait4's status and usage; the status is that of an ended process.
ChildResult make_child_result(int status, const rusage& usage);

/// When a metered run is over.
enum class WaitMode {
  /// When the command itself has ended.
  child,
  /// When no process that it started is left, or the grace after its end is over.
  tree,
};

struct SupervisorOptions {
  double hz = 10;
  WaitMode wait = WaitMode::tree;
  /// How long after the command's end we go on for processes that it left behind.
  double grace_seconds = 5;
  /// Where /proc is, to tell who sent a signal.
  SystemRoot root{"/"};
};

/// Told what happens. Calls come from Supervisor::run, one at a time. They must not fork or wait.
class SupervisorObserver {
 public:
  virtual ~SupervisorObserver() = default;
  /// `missed` ticks came before this one and were lost (we were stopped, or a tick took too long).
  virtual void on_tick(std::uint64_t missed) = 0;
  /// The command has ended; its daemons may live on.
  virtual void on_child_exit(const ChildResult& result) = 0;
  virtual void on_stopped(int signal) { static_cast<void>(signal); }
  virtual void on_continued() {}
};

struct SupervisionResult {
  ChildResult child;
  /// Processes of the workload that still run: -1 if there are some and their number is unknown.
  int left_running = 0;
  /// What was waited for.
  WaitMode wait = WaitMode::child;
  /// SIGINT, SIGTERM, SIGQUIT or SIGHUP if such a signal ended the command, or our waiting after it; else 0,
  /// also if the command took the signal and went on. A series of runs ends there.
  int interrupted_by = 0;
};

/// Waits for a workload as if its parent waited for it directly, and ticks meanwhile.
///
/// Signals: those of the terminal reach the child anyway, because it is in our process group. Those that
/// another process sends to us are passed on, unless the sender is part of the workload. If the child is
/// stopped from the terminal, we stop with the same signal, so that the shell sees a stopped job; SIGCONT
/// goes on with both. A child stopped by SIGSTOP takes us along only if we have a terminal: elsewhere nobody
/// would continue us.
///
/// One per process at a time, single-threaded; threads made after it inherit the blocked signals, others must
/// block them. Keep one for a series of runs: a signal that comes between two runs then stops the next
/// HeldChild::create. Ticks allocate nothing.
class Supervisor {
 public:
  /// Blocks the signals that it handles, so call it before the child is made; its end restores the mask.
  static Result<std::unique_ptr<Supervisor>> create(const SupervisorOptions& options);
  virtual ~Supervisor() = default;

  /// Runs until the workload is over by the options. `attribution` has adopted the child, which is released
  /// already. Every child that ends is reaped and told to `attribution`.
  virtual Result<SupervisionResult> run(HeldChild& child, Attribution& attribution,
                                        SupervisorObserver& observer) = 0;
};

}  // namespace joulery::meter
