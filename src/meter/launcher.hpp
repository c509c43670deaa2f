#pragma once

#include <signal.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/files.hpp"
#include "base/result.hpp"

namespace joulery::meter {

/// The signal state that our own parent gave us. Captured at program start, before anything changes it, and
/// given to the workload, which must not notice that we are in between.
struct InheritedSignals {
  sigset_t mask;
  /// Bit N-1 is set if signal N was ignored.
  std::uint64_t ignored = 0;

  static InheritedSignals capture();
  bool is_ignored(int signal) const { return (ignored >> (signal - 1) & 1) != 0; }
};

/// What to start.
struct Command {
  /// At least one; the first is looked up in the PATH of `environment` if it has no slash.
  std::vector<std::string> arguments;
  /// Every variable as NAME=VALUE; nothing is added.
  std::vector<std::string> environment;
  /// Empty: ours.
  std::string working_directory;
};

/// Why a command was not started: `exit_code` is what a shell would give (125 ours, 126 not executable, 127
/// not found).
struct LaunchError {
  Error error;
  int exit_code = 125;
};
template <class T>
using LaunchResult = std::expected<T, LaunchError>;

/// A child that exists but waits before its first instruction of the command, so that its parent can take
/// charge of it: `create` → Attribution::adopt → `release`. If we die in between, it exits with 125 and runs
/// nothing.
///
/// The child shares our terminal, standard streams, process group, session and limits. It gets the inherited
/// signal mask and dispositions, and no descriptor of ours. Not thread-safe; the program has one thread when
/// it forks.
class HeldChild {
 public:
  /// `cgroup_descriptor` (Attribution::cgroup_descriptor) >= 0 starts it inside that cgroup; if the kernel
  /// refuses that, it starts in ours and adopt() moves it.
  static LaunchResult<HeldChild> create(const Command& command, const InheritedSignals& signals,
                                        int cgroup_descriptor = -1);
  HeldChild(HeldChild&& other) noexcept;
  HeldChild& operator=(HeldChild&& other) noexcept;
  /// Kills and reaps a child that was never released.
  ~HeldChild();

  int pid() const { return pid_; }
  /// Becomes readable when the child ends; -1 on kernels without pidfd.
  int pidfd() const { return pidfd_.get(); }

  /// Lets it execute the command and waits until it has. On failure the child is reaped.
  LaunchResult<void> release();

 private:
  HeldChild() = default;
  void kill_and_reap();

  int pid_ = -1;
  bool held_ = false;
  std::string program_;
  std::vector<std::string> search_path_;
  std::string working_directory_;
  FileDescriptor pidfd_;
  /// To the child: one byte lets it go on. From it: why it could not execute; closed when it has.
  FileDescriptor channel_;
};

/// The places where execvp would look for `name` under the PATH of `environment`, in order; `name` alone if
/// it has a slash. Without PATH: /bin and /usr/bin.
std::vector<std::string> executable_candidates(const std::string& name,
                                               const std::vector<std::string>& environment);

}  // namespace joulery::meter
