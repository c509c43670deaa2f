#include "meter/supervisor.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <ctime>
#include <optional>
#include <vector>

#include "base/clock.hpp"
#include "meter/process_scan.hpp"

namespace joulery::meter {
namespace {

constexpr double kFastestHz = 10'000;
constexpr double kSlowestHz = 0.001;

std::int64_t now_ns() {
  return SystemClock().monotonic_ns();
}

timespec to_timespec(std::int64_t ns) {
  return {ns / kNanosecondsPerSecond, ns % kNanosecondsPerSecond};
}

/// What we wait for ourselves or pass on. Not those that a fault raises, nor SIGPIPE, SIGTTIN and SIGTTOU,
/// which answer what we do ourselves.
sigset_t handled_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal :
       {SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGTSTP, SIGCONT, SIGUSR1, SIGUSR2, SIGWINCH, SIGALRM,
        SIGVTALRM, SIGPROF, SIGXCPU, SIGSTKFLT, SIGIO, SIGPWR, SIGURG}) {
    sigaddset(&set, signal);
  }
  for (int signal = SIGRTMIN; signal <= SIGRTMAX; ++signal) sigaddset(&set, signal);
  return set;
}

bool ends_programs(int signal) {
  return signal == SIGINT || signal == SIGTERM || signal == SIGQUIT || signal == SIGHUP;
}

/// Is our parent a shell that runs us as a job of its own, and so continues us when its user says so?
/// Scripts, make and ssh keep us in their own process group, and would wait for us for ever.
bool has_job_control() {
  const FileDescriptor terminal(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  const int parent = ::getppid();
  return terminal.valid() && ::getsid(parent) == ::getsid(0) && ::getpgid(parent) != ::getpgrp();
}

/// As if the signal had met its default action here: returns when continued.
void stop_by(int signal) {
  struct sigaction standard = {};
  standard.sa_handler = SIG_DFL;
  struct sigaction old = {};
  sigset_t this_one;
  sigset_t old_mask;
  sigemptyset(&this_one);
  sigaddset(&this_one, signal);
  ::sigaction(signal, &standard, &old);
  ::kill(::getpid(), signal);
  ::sigprocmask(SIG_UNBLOCK, &this_one, &old_mask);  // we stop here, and go on when continued
  ::sigprocmask(SIG_SETMASK, &old_mask, nullptr);
  ::sigaction(signal, &old, nullptr);
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

/// Blocks the handled signals and takes SIGCHLD back if our parent ignored it; undone at the end.
class SignalGuard {
 public:
  SignalGuard() {
    const sigset_t handled = handled_signals();
    ::sigprocmask(SIG_BLOCK, &handled, &old_mask_);
    // A parent's SIG_IGN would make the kernel reap our children without telling how they ended.
    struct sigaction standard = {};
    standard.sa_handler = SIG_DFL;
    ::sigaction(SIGCHLD, &standard, &old_child_action_);
  }
  ~SignalGuard() {
    // What came for a run that is over must not hit what follows.
    const sigset_t handled = handled_signals();
    const timespec at_once = {};
    while (::sigtimedwait(&handled, nullptr, &at_once) > 0) {
    }
    ::sigaction(SIGCHLD, &old_child_action_, nullptr);
    ::sigprocmask(SIG_SETMASK, &old_mask_, nullptr);
  }
  SignalGuard(const SignalGuard&) = delete;
  SignalGuard& operator=(const SignalGuard&) = delete;

 private:
  sigset_t old_mask_{};
  struct sigaction old_child_action_ = {};
};

class EventLoop final : public Supervisor {
 public:
  explicit EventLoop(const SupervisorOptions& options)
      : options_(options), period_ns_(static_cast<std::int64_t>(std::llround(1e9 / options.hz))) {
    auto scanner = ProcessScanner::open(options_.root);
    if (!scanner.has_value()) return;
    scanner_ = std::move(*scanner);
    scanner_->list_children(::getpid(), earlier_children_);
  }

  Result<SupervisionResult> run(HeldChild& child, Attribution& attribution,
                                SupervisorObserver& observer) override;

 private:
  Status wait_once();
  void handle_signals();
  void handle(const siginfo_t& signal);
  bool sent_by_workload(const siginfo_t& signal);
  void reap();
  void child_stopped(int signal);
  void child_ended(int status, const rusage& usage);
  void tick_if_due();
  bool is_over();
  /// Until something is to be done if no signal comes.
  std::int64_t nanoseconds_to_wait() const;

  SupervisorOptions options_;
  /// What nohup and the like had ignored concerns the command only.
  const InheritedSignals inherited_ = InheritedSignals::capture();
  SignalGuard guard_;
  sigset_t handled_ = handled_signals();
  std::int64_t period_ns_;
  /// On an absolute schedule: a late tick does not move the next one. One sigtimedwait waits for it and for
  /// signals: ppoll on a signalfd costs more at each tick, a timerfd one more call.
  std::int64_t next_tick_ns_ = 0;
  std::optional<ProcessScanner> scanner_;
  std::vector<int> earlier_children_;

  // Of the current run.
  int child_ = -1;
  Attribution* attribution_ = nullptr;
  SupervisorObserver* observer_ = nullptr;
  bool ended_ = false;
  bool child_is_stopped_ = false;
  bool interrupted_grace_ = false;
  int last_interrupt_ = 0;
  std::int64_t grace_ends_ns_ = 0;
  int grace_poll_milliseconds_ = 1;
  SupervisionResult result_;
};

Result<SupervisionResult> EventLoop::run(HeldChild& child, Attribution& attribution,
                                         SupervisorObserver& observer) {
  child_ = child.pid();
  attribution_ = &attribution;
  observer_ = &observer;
  ended_ = false;
  child_is_stopped_ = false;
  interrupted_grace_ = false;
  last_interrupt_ = 0;
  grace_poll_milliseconds_ = 1;
  result_ = {};
  result_.wait = options_.wait;
  next_tick_ns_ = now_ns() + period_ns_;
  // It may have ended before, and its SIGCHLD been taken.
  reap();
  while (!is_over()) JOULERY_CHECK_OK(wait_once());

  // The terminal's signal may reach the command first, and end it, before it reaches us.
  handle_signals();
  const int killed_by = result_.child.signal;
  const bool died_of_it = killed_by == last_interrupt_ || result_.child.exit_code == 128 + last_interrupt_;
  if (last_interrupt_ != 0 && (interrupted_grace_ || died_of_it)) {
    result_.interrupted_by = last_interrupt_;
  } else if (killed_by == SIGINT || killed_by == SIGQUIT) {
    result_.interrupted_by = killed_by;
  }
  return result_;
}

bool EventLoop::is_over() {
  if (!ended_) return false;
  if (options_.wait == WaitMode::child || interrupted_grace_ || now_ns() >= grace_ends_ns_) {
    if (attribution_->has_processes()) {
      const int left = attribution_->count_processes();
      result_.left_running = left > 0 ? left : -1;
    }
    return true;
  }
  return !attribution_->has_processes();
}

std::int64_t EventLoop::nanoseconds_to_wait() const {
  std::int64_t wait = next_tick_ns_ - now_ns();
  if (ended_) {
    // No event tells when the last daemon ends.
    const std::int64_t left = grace_ends_ns_ - now_ns();
    wait = std::min({wait, left, std::int64_t{grace_poll_milliseconds_} * 1'000'000});
  }
  return std::max<std::int64_t>(wait, 0);
}

Status EventLoop::wait_once() {
  constexpr int kSlowestGracePoll = 50;
  const timespec wait = to_timespec(nanoseconds_to_wait());
  siginfo_t signal = {};
  const int got = ::sigtimedwait(&handled_, &signal, &wait);
  if (got < 0 && errno != EAGAIN && errno != EINTR) {
    return internal_error(fmt::format("can't wait for the command: {}", errno_text(errno)));
  }
  if (ended_) grace_poll_milliseconds_ = std::min(grace_poll_milliseconds_ * 2, kSlowestGracePoll);
  if (got > 0) {
    handle(signal);
    handle_signals();
  }
  tick_if_due();
  return {};
}

void EventLoop::tick_if_due() {
  const std::int64_t late_ns = now_ns() - next_tick_ns_;
  if (late_ns < 0) return;
  const std::int64_t missed = late_ns / period_ns_;
  next_tick_ns_ += (missed + 1) * period_ns_;
  observer_->on_tick(static_cast<std::uint64_t>(missed));
}

void EventLoop::handle_signals() {
  const timespec at_once = {};
  siginfo_t signal = {};
  while (::sigtimedwait(&handled_, &signal, &at_once) > 0) handle(signal);
}

void EventLoop::handle(const siginfo_t& signal) {
  const int number = signal.si_signo;
  if (number == SIGCHLD) return reap();
  if (ends_programs(number) && !inherited_.is_ignored(number)) {
    last_interrupt_ = number;
    // Nobody else is left to take it.
    if (ended_) interrupted_grace_ = true;
  }
  if (ended_) {
    // Nobody else is left to stop for it.
    if (number == SIGTSTP && !inherited_.is_ignored(SIGTSTP)) stop_by(SIGTSTP);
    return;
  }
  const bool from_kernel = signal.si_code == SI_KERNEL;
  // The kernel's signals went to the whole process group, but for a hang-up, which goes to the leader of the
  // session.
  const bool only_to_us = from_kernel && number == SIGHUP && ::getsid(0) == ::getpid();
  if (from_kernel && !only_to_us) return;
  if (!only_to_us && sent_by_workload(signal)) return;
  if (number == SIGCONT) {
    // A shell continues the whole job. To continue the command once more could undo a stop that came since.
    reap();
    if (ended_ || !child_is_stopped_) return;
  }
  ::kill(child_, number);
}

bool EventLoop::sent_by_workload(const siginfo_t& signal) {
  // Other codes keep something else in the place of the sender.
  if (signal.si_code != SI_USER && signal.si_code != SI_TKILL && signal.si_code != SI_QUEUE) return false;
  constexpr int kDeepest = 64;
  const int self = ::getpid();
  int pid = signal.si_pid;
  if (pid == self || !scanner_) return false;
  for (int depth = 0; depth < kDeepest && pid > 1; ++depth) {
    if (pid == child_) return true;
    const auto process = scanner_->stat(pid);
    if (!process) return false;
    // Our children are the command and its orphans, but for those of the program that we replaced (`exec` in
    // a shell).
    if (process->parent == self) {
      return std::find(earlier_children_.begin(), earlier_children_.end(), pid) == earlier_children_.end();
    }
    pid = process->parent;
  }
  return false;
}

void EventLoop::reap() {
  if (!ended_) {
    // The last look while the cgroup of an ended workload surely exists.
    siginfo_t info = {};
    if (::waitid(P_PID, static_cast<id_t>(child_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        info.si_pid == child_) {
      static_cast<void>(attribution_->read());
    }
  }
  for (;;) {
    int status = 0;
    rusage usage = {};
    const int pid = ::wait4(-1, &status, WNOHANG | WUNTRACED | WCONTINUED, &usage);
    if (pid < 0 && errno == EINTR) continue;
    if (pid <= 0) return;
    const bool main = pid == child_;
    if (WIFSTOPPED(status)) {
      if (main) child_stopped(WSTOPSIG(status));
    } else if (WIFCONTINUED(status)) {
      if (main) child_is_stopped_ = false;
      if (main) observer_->on_continued();
    } else {
      const ChildResult result = make_child_result(status, usage);
      attribution_->reaped(pid, result.cpu_seconds(), result.peak_memory_bytes);
      if (main) child_ended(status, usage);
    }
  }
}

void EventLoop::child_ended(int status, const rusage& usage) {
  ended_ = true;
  result_.child = make_child_result(status, usage);
  grace_ends_ns_ = now_ns() + static_cast<std::int64_t>(std::max(0.0, options_.grace_seconds) * 1e9);
  observer_->on_child_exit(result_.child);
}

void EventLoop::child_stopped(int signal) {
  child_is_stopped_ = true;
  observer_->on_stopped(signal);
  if (signal == SIGSTOP) {
    if (has_job_control()) ::kill(::getpid(), SIGSTOP);
    return;
  }
  stop_by(signal);
}

}  // namespace

ChildResult make_child_result(int status, const rusage& usage) {
  ChildResult result;
  result.exited = WIFEXITED(status);
  if (result.exited) result.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) {
    result.signal = WTERMSIG(status);
    result.core_dumped = WCOREDUMP(status);
  }
  result.user_seconds = seconds(usage.ru_utime);
  result.system_seconds = seconds(usage.ru_stime);
  result.peak_memory_bytes = static_cast<double>(usage.ru_maxrss) * 1024;
  return result;
}

Result<std::unique_ptr<Supervisor>> Supervisor::create(const SupervisorOptions& options) {
  if (!(options.hz >= kSlowestHz && options.hz <= kFastestHz)) {
    return user_error(fmt::format("a rate of {} Hz is not possible", options.hz),
                      fmt::format("from {} to {}", kSlowestHz, kFastestHz));
  }
  if (!(options.grace_seconds >= 0 && options.grace_seconds <= 1e6)) {
    return user_error(fmt::format("a grace of {} s is not possible", options.grace_seconds));
  }
  return std::make_unique<EventLoop>(options);
}

}  // namespace joulery::meter
