#include "engine/worker_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>

#include "base/clock.hpp"
#include "base/text.hpp"
#include "engine/output_capture.hpp"

namespace joulery::engine {
namespace {

constexpr std::size_t kKeptOutput = 4096;
constexpr rlim_t kLargestFile = rlim_t{512} << 20U;

// Their shadow memory takes more address space than any limit would allow.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define JOULERY_UNLIMITED_MEMORY 1
#endif
#endif

struct ChildPlan {
  std::array<int, 6> descriptors{-1, -1, -1, -1, -1, -1};
  rlimit memory{};
  rlimit cpu{};
  /// Where it may make files, or -1.
  int writable_folder = -1;
  const char* path = nullptr;
  char* const* arguments = nullptr;
  char* const* environment = nullptr;
};

/// Gives up what the user lacks (setcap, setuid): the engine's library is of the user's choice.
bool drop_privileges() {
  const uid_t user = ::getuid();
  const gid_t group = ::getgid();
  if (user == 0) return true;
  if (::setresgid(group, group, group) != 0 || ::setresuid(user, user, user) != 0) return false;
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  const std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> none{};
  return ::syscall(SYS_capset, &header, none.data()) == 0;
}

/// From Linux 5.13 on: no file can be made, changed, emptied or removed, and no process that is not held the
/// same way be traced. Devices can be used: engines look for graphics cards. `writable_folder` is the only
/// exception, if it is none of -1. False if the kernel can't do it.
bool forbid_changing_files(int writable_folder) {
#ifdef SYS_landlock_create_ruleset
  const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (version < 1) return false;
  constexpr std::uint64_t kTruncate = 1 << 14;  // newer than some headers
  landlock_ruleset_attr rules{};
  rules.handled_access_fs = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                            LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
                            LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
                            LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
                            LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM;
  if (version >= 3) rules.handled_access_fs |= kTruncate;
  const auto held = static_cast<int>(::syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0));
  if (held < 0) return false;
  landlock_path_beneath_attr devices{};
  devices.allowed_access = LANDLOCK_ACCESS_FS_WRITE_FILE;
  devices.parent_fd = ::open("/dev", O_PATH | O_CLOEXEC);
  ::syscall(SYS_landlock_add_rule, held, LANDLOCK_RULE_PATH_BENEATH, &devices, 0);
  if (writable_folder >= 0) {
    landlock_path_beneath_attr folder{};
    folder.allowed_access = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |
                            LANDLOCK_ACCESS_FS_REMOVE_FILE | (version >= 3 ? kTruncate : 0);
    folder.parent_fd = writable_folder;
    ::syscall(SYS_landlock_add_rule, held, LANDLOCK_RULE_PATH_BENEATH, &folder, 0);
  }
  return ::syscall(SYS_landlock_restrict_self, held, 0) == 0;
#else
  return false;
#endif
}

/// Between fork and exec: only calls that are safe there.
[[noreturn]] void become_worker(const ChildPlan& plan) {
  const rlimit nothing{.rlim_cur = 0, .rlim_max = 0};
  ::setsid();
  // The program that it becomes may have privileges by its file: those are not given again.
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !drop_privileges()) ::_exit(125);
  // If memory runs out, it goes before anything of the user's.
  if (const int score = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC); score >= 0) {
    static_cast<void>(!::write(score, "1000", 4));
  }
  const bool is_held = forbid_changing_files(plan.writable_folder);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGINT, SIG_DFL);
  ::signal(SIGPIPE, SIG_DFL);
  // Files that it must not write are an error of its own, no end.
  ::signal(SIGXFSZ, SIG_IGN);
  for (int i = 0; i < static_cast<int>(plan.descriptors.size()); ++i) {
    const int from = plan.descriptors[static_cast<std::size_t>(i)];
    if (from >= 0 ? ::dup2(from, i) < 0 : (::close(i), false)) ::_exit(125);
  }
  static_cast<void>(::syscall(SYS_close_range, plan.descriptors.size(), ~0U, 0));
  ::setrlimit(RLIMIT_CORE, &nothing);
  const rlimit profile{.rlim_cur = kLargestFile, .rlim_max = kLargestFile};
  ::setrlimit(RLIMIT_FSIZE, is_held && plan.writable_folder >= 0 ? &profile : &nothing);
  ::setrlimit(RLIMIT_CPU, &plan.cpu);
#ifndef JOULERY_UNLIMITED_MEMORY
  ::setrlimit(RLIMIT_AS, &plan.memory);
#endif
  ::execve(plan.path, plan.arguments, plan.environment);
  ::_exit(126);
}

std::vector<char*> pointers_of(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

/// Above the numbers that the child gives out, so that none is written over before it is copied.
FileDescriptor moved_up(int descriptor) {
  return FileDescriptor(::fcntl(descriptor, F_DUPFD_CLOEXEC, 16));
}

std::int64_t deadline_after(double seconds) {
  return SystemClock().monotonic_ns() + static_cast<std::int64_t>(seconds * 1e9);
}

std::string signal_text(int signal) {
  const char* name = ::sigabbrev_np(signal);
  const char* meaning = ::sigdescr_np(signal);
  return fmt::format("SIG{}, {}", name == nullptr ? "?" : name, meaning == nullptr ? "unknown" : meaning);
}

}  // namespace

Result<WorkerProcess> WorkerProcess::start(const WorkerProgram& program, const WorkerLimits& limits,
                                           int memory, int model) {
  std::array<int, 2> channel{-1, -1};
  std::array<int, 2> output{-1, -1};
  const auto refuse = [](const char* what) {
    return environment_error(
        fmt::format("can't start a process for the engine: {}: {}", what, errno_text(errno)));
  };
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel.data()) != 0) return refuse("socketpair");
  WorkerProcess worker;
  worker.limits_ = limits;
  worker.channel_ = FileDescriptor(channel[0]);
  const FileDescriptor their_channel(channel[1]);
  if (::pipe2(output.data(), O_CLOEXEC) != 0) return refuse("pipe");
  worker.output_ = FileDescriptor(output[0]);
  const FileDescriptor their_output(output[1]);
  ::fcntl(output[0], F_SETFL, O_NONBLOCK);
  const FileDescriptor nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));

  ChildPlan plan;
  FileDescriptor folder;
  if (!limits.profile_folder.empty()) {
    folder = FileDescriptor(::open(limits.profile_folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!folder.valid()) return refuse(limits.profile_folder.c_str());
    plan.writable_folder = folder.get();
  }
  std::array<FileDescriptor, 6> copies;
  const std::array<int, 6> sources{nothing.get(), output[1], output[1], channel[1], memory, model};
  for (std::size_t i = 0; i < sources.size(); ++i) {
    if (sources[i] < 0) continue;
    copies[i] = moved_up(sources[i]);
    if (!copies[i].valid()) return refuse("descriptors");
    plan.descriptors[i] = copies[i].get();
  }
  plan.memory.rlim_cur = plan.memory.rlim_max = limits.address_space_bytes + limits.tensor_bytes;
  plan.cpu.rlim_cur = static_cast<rlim_t>(std::max(1.0, std::ceil(limits.cpu_seconds)));
  plan.cpu.rlim_max = plan.cpu.rlim_cur + 5;
  std::vector<std::string> arguments{program.path};
  arguments.insert(arguments.end(), program.arguments.begin(), program.arguments.end());
  const auto argument_pointers = pointers_of(arguments);
  const auto environment_pointers = pointers_of(program.environment);
  plan.path = program.path.c_str();
  plan.arguments = argument_pointers.data();
  plan.environment = environment_pointers.data();

  const pid_t pid = ::fork();
  if (pid < 0) return refuse("fork");
  if (pid == 0) become_worker(plan);
  worker.pid_ = pid;
  return worker;
}

WorkerProcess::WorkerProcess(WorkerProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      limits_(std::move(other.limits_)),
      channel_(std::move(other.channel_)),
      output_(std::move(other.output_)),
      printed_(std::move(other.printed_)) {}

WorkerProcess::~WorkerProcess() {
  if (pid_ >= 0) reap(false);
}

int WorkerProcess::reap(bool grace) {
  int status = 0;
  if (pid_ < 0) return status;
  // It closed its end, so it is about to be gone; how it ends is worth a moment.
  const std::int64_t until = deadline_after(grace ? 2 : 0);
  siginfo_t ended{};
  while (::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         ended.si_pid == 0 && SystemClock().monotonic_ns() < until) {
    ::poll(nullptr, 0, 5);
  }
  // Its number is its group's and can't be another's until it is waited for. What it started goes with it.
  ::kill(-pid_, SIGKILL);
  if (ended.si_pid == 0) ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  channel_.reset();
  return status;
}

void WorkerProcess::drain_output() {
  std::array<char, 4096> buffer{};
  ssize_t got = 0;
  // What a flood of output says is in its end; its middle may be lost.
  for (int i = 0; i < 64 && (got = ::read(output_.get(), buffer.data(), buffer.size())) > 0; ++i) {
    printed_.append(buffer.data(), static_cast<std::size_t>(got));
    if (printed_.size() > 2 * kKeptOutput) printed_.erase(0, printed_.size() - kKeptOutput);
  }
  // Nobody writes any more: without this, waiting for it would never wait.
  if (got == 0) output_.reset();
}

/// Waits until the channel can be read from or written to, and takes in what the worker prints meanwhile.
bool WorkerProcess::wait_for_channel(short event, std::int64_t deadline_ns, bool& timed_out) {
  for (;;) {
    const std::int64_t left = deadline_ns - SystemClock().monotonic_ns();
    if (left <= 0) {
      timed_out = true;
      return false;
    }
    std::array<pollfd, 2> waited{pollfd{channel_.get(), event, 0}, pollfd{output_.get(), POLLIN, 0}};
    const int milliseconds = static_cast<int>(std::min<std::int64_t>(left / 1'000'000 + 1, 60'000));
    if (::poll(waited.data(), waited.size(), milliseconds) < 0 && errno != EINTR) return false;
    if (output_.valid() && waited[1].revents != 0) drain_output();
    if (waited[0].revents != 0) return true;
  }
}

bool WorkerProcess::send_all(std::string_view bytes, std::int64_t deadline_ns, bool& timed_out) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(channel_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) bytes.remove_prefix(static_cast<std::size_t>(sent));
    if (sent >= 0 || errno == EINTR) continue;
    if (errno != EAGAIN || !wait_for_channel(POLLOUT, deadline_ns, timed_out)) return false;
  }
  return true;
}

bool WorkerProcess::read_exactly(char* to, std::size_t size, std::int64_t deadline_ns, bool& timed_out) {
  while (size > 0) {
    if (!wait_for_channel(POLLIN, deadline_ns, timed_out)) return false;
    const ssize_t got = ::recv(channel_.get(), to, size, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return false;
    if (got < 0) continue;
    to += got;
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

bool WorkerProcess::receive(std::int64_t deadline_ns, MessageHead& head, std::string& payload,
                            bool& timed_out) {
  std::array<char, sizeof(MessageHead)> bytes{};
  if (!read_exactly(bytes.data(), bytes.size(), deadline_ns, timed_out)) return false;
  std::memcpy(&head, bytes.data(), sizeof(head));
  if (head.length > kLongestMessage) return true;
  payload.resize(head.length);
  return read_exactly(payload.data(), payload.size(), deadline_ns, timed_out);
}

Error WorkerProcess::with_last_words(std::string message, std::string hint) {
  if (output_.valid()) drain_output();
  const std::string words = last_lines(printed_);
  if (!words.empty()) message += fmt::format("; it printed last: {}", words);
  return {.kind = Error::Kind::environment, .message = std::move(message), .hint = std::move(hint)};
}

Error WorkerProcess::ended(const char* doing) {
  const int status = reap(true);
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU) {
    return with_last_words(
        fmt::format("the engine used more than {:.0f} s of CPU time while {}", limits_.cpu_seconds, doing),
        "the model may be made to cost much: look at it with care");
  }
  if (WIFSIGNALED(status)) {
    return with_last_words(
        fmt::format("the engine crashed ({}) while {}", signal_text(WTERMSIG(status)), doing),
        "nothing of yours was harmed; try another engine, or another release of this one");
  }
  const int code = WEXITSTATUS(status);
  if (code == 126) return with_last_words("can't execute joulery's own program for the engine", {});
  return with_last_words(fmt::format("the engine ended its process (code {}) while {}", code, doing),
                         "try another engine, or another release of this one");
}

Error WorkerProcess::distrust(const char* doing) {
  reap(false);
  return with_last_words(
      fmt::format("the engine's process answered with what makes no sense while {}", doing),
      "the model may have taken it over: look at it with care");
}

Result<std::string> WorkerProcess::request(MessageKind kind, const std::string& payload,
                                           double timeout_seconds, const char* doing) {
  if (pid_ < 0) return environment_error(fmt::format("the engine's process is gone: no {} any more", doing));
  const std::int64_t deadline = deadline_after(timeout_seconds);
  const MessageHead head{.length = static_cast<std::uint32_t>(payload.size()),
                         .kind = static_cast<std::uint32_t>(kind)};
  std::string bytes(reinterpret_cast<const char*>(&head), sizeof(head));
  bytes += payload;
  bool timed_out = false;
  MessageHead answer;
  std::string content;
  const bool whole = send_all(bytes, deadline, timed_out) && receive(deadline, answer, content, timed_out);
  if (timed_out) {
    reap(false);
    return std::unexpected(
        with_last_words(fmt::format("the engine did not answer within {:.4g} s while {}, and was stopped",
                                    timeout_seconds, doing),
                        "a larger limit may help, another engine more"));
  }
  if (!whole) return std::unexpected(ended(doing));
  Error error;
  if (answer.length <= kLongestMessage) {
    if (answer.kind == static_cast<std::uint32_t>(MessageKind::ok)) return content;
    if (answer.kind == static_cast<std::uint32_t>(MessageKind::error) && decode(content, error)) {
      return std::unexpected(std::move(error));
    }
  }
  return std::unexpected(distrust(doing));
}

}  // namespace joulery::engine
