#include "meter/launcher.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "base/text.hpp"

namespace joulery::meter {
namespace {

constexpr int kOurExitCode = 125;
constexpr int kNotExecutable = 126;
constexpr int kNotFound = 127;
constexpr int kLastSignal = 64;

/// What the child tells if it can't execute the command.
struct Failure {
  enum Step : int { change_directory, execute };
  int step;
  int error;
};

/// All that the child needs, made before the fork: after it, nothing may allocate.
struct Plan {
  std::vector<const char*> candidates;
  std::vector<const char*> arguments;        // null-terminated
  std::vector<const char*> shell_arguments;  // for a script without "#!"; [1] is set to the candidate
  std::vector<const char*> environment;      // null-terminated
  const char* working_directory = nullptr;
  const InheritedSignals* signals = nullptr;
};

void restore_signals(const InheritedSignals& signals) {
  for (int signal = 1; signal <= kLastSignal; ++signal) {
    if (signal == SIGKILL || signal == SIGSTOP) continue;
    struct sigaction action = {};
    action.sa_handler = signals.is_ignored(signal) ? SIG_IGN : SIG_DFL;
    ::sigaction(signal, &action, nullptr);
  }
  ::sigprocmask(SIG_SETMASK, &signals.mask, nullptr);
}

/// A text file, for all that its first bytes tell: what execvp's users expect /bin/sh to run.
bool looks_like_script(const char* path) {
  const int file = ::open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  char start[128];
  const ssize_t got = ::read(file, start, sizeof(start));
  ::close(file);
  for (ssize_t i = 0; i < got; ++i) {
    if (start[i] == '\0') return false;
  }
  return got >= 0;
}

char* const* as_exec(const std::vector<const char*>& list) {
  return const_cast<char* const*>(list.data());
}

/// Tries the candidates in order, as execvp does; returns the errno that says most.
int execute(Plan& plan) {
  int seen = ENOENT;
  for (const char* candidate : plan.candidates) {
    ::execve(candidate, as_exec(plan.arguments), as_exec(plan.environment));
    int error = errno;
    if (error == ENOEXEC && looks_like_script(candidate)) {
      plan.shell_arguments[1] = candidate;
      ::execve("/bin/sh", as_exec(plan.shell_arguments), as_exec(plan.environment));
      error = errno;
    }
    if (error == EACCES) {
      seen = EACCES;
      continue;
    }
    if (error != ENOENT && error != ENOTDIR && error != ESTALE && error != ENODEV && error != ETIMEDOUT)
      return error;
  }
  return seen;
}

[[noreturn]] void run_child(Plan& plan, int channel) {
  char go = 0;
  ssize_t got = 0;
  do {
    got = ::read(channel, &go, 1);
  } while (got < 0 && errno == EINTR);
  // Nobody would meter the command: our parent is gone or gave up.
  if (got != 1) ::_exit(kOurExitCode);
  Failure failure{Failure::change_directory, 0};
  if (plan.working_directory != nullptr && ::chdir(plan.working_directory) != 0) {
    failure.error = errno;
  } else {
    restore_signals(*plan.signals);
    failure.step = Failure::execute;
    failure.error = execute(plan);
  }
  // A parent that died meanwhile must not kill us with SIGPIPE instead of our exit code.
  static_cast<void>(::send(channel, &failure, sizeof(failure), MSG_NOSIGNAL));
  ::_exit(kOurExitCode);
}

/// A blocked signal that would have ended us, had it not been blocked; 0 if there is none.
int pending_end(const InheritedSignals& inherited) {
  sigset_t pending;
  sigemptyset(&pending);
  ::sigpending(&pending);
  for (const int signal : {SIGINT, SIGTERM, SIGQUIT, SIGHUP}) {
    const bool was_blocked = sigismember(&inherited.mask, signal) == 1;
    if (sigismember(&pending, signal) == 1 && !was_blocked && !inherited.is_ignored(signal)) return signal;
  }
  return 0;
}

/// Forks. The child's process id (0 in the child), or -errno.
int fork_child(int cgroup_descriptor, int& pidfd) {
  clone_args arguments = {};
  arguments.flags = CLONE_PIDFD;
  arguments.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  arguments.exit_signal = SIGCHLD;
  if (cgroup_descriptor >= 0) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = static_cast<std::uint64_t>(cgroup_descriptor);
    const long pid = ::syscall(SYS_clone3, &arguments, sizeof(arguments));
    if (pid >= 0) return static_cast<int>(pid);
    if (errno == EAGAIN || errno == ENOMEM) return -errno;
    arguments.flags &= ~static_cast<std::uint64_t>(CLONE_INTO_CGROUP);
    arguments.cgroup = 0;
  }
  const long pid = ::syscall(SYS_clone3, &arguments, sizeof(arguments));
  if (pid >= 0) return static_cast<int>(pid);
  if (errno == EAGAIN || errno == ENOMEM) return -errno;
  // Kernels before 5.3 and seccomp filters of containers know no clone3.
  pidfd = -1;
  const int forked = ::fork();
  if (forked < 0) return -errno;
  if (forked > 0) pidfd = static_cast<int>(::syscall(SYS_pidfd_open, forked, 0));
  return forked;
}

std::vector<const char*> pointers(const std::vector<std::string>& texts) {
  std::vector<const char*> list;
  list.reserve(texts.size() + 1);
  for (const auto& text : texts) list.push_back(text.c_str());
  list.push_back(nullptr);
  return list;
}

LaunchError launch_error(Error::Kind kind, int exit_code, std::string message, std::string hint = {}) {
  return LaunchError{Error{kind, std::move(message), std::move(hint)}, exit_code};
}

/// The path of `candidate` as the child saw it.
std::string seen_path(const std::string& candidate, const std::string& working_directory) {
  if (candidate.starts_with('/') || working_directory.empty()) return candidate;
  return working_directory + "/" + candidate;
}

/// The interpreter named in a script's first line; empty if there is none.
std::string interpreter_of(const std::string& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 256> start{};
  const ssize_t got = file.valid() ? ::read(file.get(), start.data(), start.size()) : -1;
  if (got < 3) return {};
  std::string_view line(start.data(), static_cast<std::size_t>(got));
  if (!line.starts_with("#!")) return {};
  line = line.substr(2, line.find('\n') - 2);
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  return std::string(line.substr(0, line.find_first_of(" \t")));
}

LaunchError not_found(const std::string& name, const std::vector<std::string>& candidates,
                      const std::string& directory) {
  for (const auto& candidate : candidates) {
    const std::string path = seen_path(candidate, directory);
    if (::access(path.c_str(), F_OK) != 0) continue;
    const std::string interpreter = interpreter_of(path);
    if (interpreter.empty()) {
      return launch_error(
          Error::Kind::user, kNotFound,
          fmt::format("can't execute '{}': its loader or a folder of its path is missing", printable(path)),
          fmt::format("`file {}` tells which system it was built for", printable(path)));
    }
    // The usual reason for an interpreter that "does not exist".
    const bool carriage_return = interpreter.ends_with('\r');
    return launch_error(
        Error::Kind::user, kNotFound,
        fmt::format("can't execute '{}': its interpreter '{}' does not exist", printable(path),
                    printable(interpreter)),
        carriage_return
            ? fmt::format("the script has Windows line ends: sed -i 's/\\r$//' {}", printable(path))
            : std::string("correct the first line of the script, or install that interpreter"));
  }
  std::string hint;
  const bool has_slash = name.find('/') != std::string::npos;
  if (!has_slash && !name.empty() && ::access(seen_path(name, directory).c_str(), F_OK) == 0) {
    hint = fmt::format("there is one in this folder: did you forget ./ as in ./{} ?", printable(name));
  } else if (name.find(' ') != std::string::npos) {
    hint = "the command and its arguments are separate words: leave the quotes away, or use sh -c '…'";
  } else if (!has_slash) {
    hint = fmt::format("it is in no folder of PATH: is it installed? `command -v {}`", printable(name));
  }
  return launch_error(Error::Kind::user, kNotFound,
                      fmt::format("can't execute '{}': no such command", printable(name)), std::move(hint));
}

LaunchError not_executable(const std::string& name, const std::vector<std::string>& candidates,
                           const std::string& directory, int error) {
  std::string path = name;
  std::string hint;
  if (error == EACCES) {
    for (const auto& candidate : candidates) {
      struct stat status = {};
      const std::string seen = seen_path(candidate, directory);
      if (::stat(seen.c_str(), &status) != 0) {
        if (errno == EACCES) hint = "a folder on the way to it may not be searched by you";
        continue;
      }
      path = seen;
      if (S_ISDIR(status.st_mode)) {
        return launch_error(Error::Kind::user, kNotExecutable,
                            fmt::format("can't execute '{}': it is a folder", printable(path)));
      }
      hint = (status.st_mode & 0111) == 0
                 ? fmt::format("chmod +x {}", printable(path))
                 : std::string("its file system may be mounted noexec, or its mode excludes you");
      break;
    }
  } else if (error == ENOEXEC) {
    hint = "it is a program for another kind of machine, or damaged";
  } else if (error == E2BIG) {
    hint = "arguments and environment together are too long: pass a file of arguments";
  } else if (error == ETXTBSY) {
    hint = "some process still writes it";
  }
  return launch_error(Error::Kind::user, kNotExecutable,
                      fmt::format("can't execute '{}': {}", printable(path), errno_text(error)),
                      std::move(hint));
}

}  // namespace

InheritedSignals InheritedSignals::capture() {
  InheritedSignals signals;
  sigemptyset(&signals.mask);
  ::sigprocmask(SIG_SETMASK, nullptr, &signals.mask);
  for (int signal = 1; signal <= kLastSignal; ++signal) {
    struct sigaction action = {};
    if (::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN) {
      signals.ignored |= std::uint64_t{1} << (signal - 1);
    }
  }
  return signals;
}

std::vector<std::string> executable_candidates(const std::string& name,
                                               const std::vector<std::string>& environment) {
  if (name.empty() || name.find('/') != std::string::npos) return {name};
  std::string_view path = "/bin:/usr/bin";
  for (const auto& variable : environment) {
    if (!variable.starts_with("PATH=")) continue;
    path = std::string_view(variable).substr(5);
    break;
  }
  std::vector<std::string> candidates;
  for (const auto folder : split(path, ':')) {
    // An empty folder means the current one, as in every shell.
    candidates.push_back(folder.empty() ? "./" + name : fmt::format("{}/{}", folder, name));
  }
  return candidates;
}

LaunchResult<HeldChild> HeldChild::create(const Command& command, const InheritedSignals& signals,
                                          int cgroup_descriptor) {
  if (command.arguments.empty()) {
    return std::unexpected(launch_error(Error::Kind::user, kOurExitCode, "there is no command to run"));
  }
  HeldChild child;
  child.program_ = command.arguments.front();
  child.search_path_ = executable_candidates(child.program_, command.environment);
  child.working_directory_ = command.working_directory;

  Plan plan;
  plan.candidates = pointers(child.search_path_);
  plan.candidates.pop_back();
  plan.arguments = pointers(command.arguments);
  plan.shell_arguments = plan.arguments;
  plan.shell_arguments.insert(plan.shell_arguments.begin(), "/bin/sh");
  plan.environment = pointers(command.environment);
  if (!command.working_directory.empty()) plan.working_directory = command.working_directory.c_str();
  plan.signals = &signals;

  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return std::unexpected(
        launch_error(Error::Kind::environment, kOurExitCode,
                     fmt::format("can't make a socket pair for the command: {}", errno_text(errno))));
  }
  child.channel_ = FileDescriptor(ends[0]);
  FileDescriptor childs_end(ends[1]);

  // A signal that waits for us now came for a command that it can't reach any more.
  if (const int signal = pending_end(signals); signal != 0) {
    return std::unexpected(launch_error(
        Error::Kind::user, 128 + signal,
        fmt::format("'{}' was not started: signal {} came first", printable(child.program_), signal)));
  }
  // No handler of ours may run in the child, and no signal may be lost to it before it has the inherited
  // mask.
  sigset_t all;
  sigset_t ours;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &ours);
  int pidfd = -1;
  const int pid = fork_child(cgroup_descriptor, pidfd);
  if (pid == 0) {
    ::close(ends[0]);
    run_child(plan, ends[1]);
  }
  ::sigprocmask(SIG_SETMASK, &ours, nullptr);
  if (pid < 0) {
    return std::unexpected(launch_error(
        Error::Kind::environment, kOurExitCode,
        fmt::format("can't make a process for '{}': {}", printable(child.program_), errno_text(-pid)),
        pid == -EAGAIN ? "a limit on processes is reached: ulimit -u" : ""));
  }
  child.pid_ = pid;
  child.held_ = true;
  if (pidfd >= 0) child.pidfd_ = FileDescriptor(pidfd);
  return child;
}

LaunchResult<void> HeldChild::release() {
  if (!held_) return {};
  held_ = false;
  const char go = 1;
  ssize_t sent = 0;
  do {
    sent = ::send(channel_.get(), &go, 1, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  Failure failure = {};
  ssize_t got = 0;
  if (sent == 1) {
    do {
      got = ::recv(channel_.get(), &failure, sizeof(failure), MSG_WAITALL);
    } while (got < 0 && errno == EINTR);
  }
  channel_.reset();
  // End of file: it executes the command, or was killed before; then the wait tells how.
  if (got != static_cast<ssize_t>(sizeof(failure))) return {};
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  if (failure.step == Failure::change_directory) {
    return std::unexpected(
        launch_error(Error::Kind::user, kOurExitCode,
                     fmt::format("can't change to folder '{}': {}", printable(working_directory_),
                                 errno_text(failure.error))));
  }
  if (failure.error == ENOENT) return std::unexpected(not_found(program_, search_path_, working_directory_));
  return std::unexpected(not_executable(program_, search_path_, working_directory_, failure.error));
}

void HeldChild::kill_and_reap() {
  if (!held_) return;
  held_ = false;
  ::kill(pid_, SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
}

HeldChild::HeldChild(HeldChild&& other) noexcept
    : pid_(other.pid_),
      held_(std::exchange(other.held_, false)),
      program_(std::move(other.program_)),
      search_path_(std::move(other.search_path_)),
      working_directory_(std::move(other.working_directory_)),
      pidfd_(std::move(other.pidfd_)),
      channel_(std::move(other.channel_)) {}

HeldChild& HeldChild::operator=(HeldChild&& other) noexcept {
  if (this == &other) return *this;
  kill_and_reap();
  pid_ = other.pid_;
  held_ = std::exchange(other.held_, false);
  program_ = std::move(other.program_);
  search_path_ = std::move(other.search_path_);
  working_directory_ = std::move(other.working_directory_);
  pidfd_ = std::move(other.pidfd_);
  channel_ = std::move(other.channel_);
  return *this;
}

HeldChild::~HeldChild() {
  kill_and_reap();
}

}  // namespace joulery::meter
