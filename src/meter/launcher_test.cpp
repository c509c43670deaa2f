#include "meter/launcher.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/test_folder.hpp"
#include "meter/metered_command.hpp"

namespace joulery::meter {
namespace {

namespace fs = std::filesystem;

class LauncherTest : public testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& content, unsigned mode = 0755) const {
    std::string path = folder_.write(name, content);
    ::chmod(path.c_str(), mode);
    return path;
  }
  std::string output() const { return folder_.read("output"); }
  /// A shell line whose output goes to `output_`; the shell is gone when the last command runs.
  Command shell(const std::string& line) const {
    return {.arguments = {"/bin/sh", "-c", line, "sh", output_},
            .environment = own_environment(),
            .working_directory = {}};
  }
  static int wait_for(int pid) {
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0) {
      if (errno != EINTR) return -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  /// Runs it to its end.
  static std::expected<int, LaunchError> run(const Command& command,
                                             const InheritedSignals& signals = InheritedSignals::capture()) {
    auto child = HeldChild::create(command, signals);
    if (!child.has_value()) return std::unexpected(child.error());
    const auto released = child->release();
    if (!released.has_value()) return std::unexpected(released.error());
    return wait_for(child->pid());
  }
  static LaunchError failure_of(const Command& command) {
    const auto result = run(command);
    EXPECT_FALSE(result.has_value());
    return result.has_value() ? LaunchError{} : result.error();
  }
  Command plain(std::vector<std::string> arguments,
                std::vector<std::string> environment = own_environment()) const {
    return {
        .arguments = std::move(arguments), .environment = std::move(environment), .working_directory = {}};
  }

  TestFolder folder_;
  const std::string output_ = folder_.path("output");
};

TEST_F(LauncherTest, GivesTheExitCode) {
  EXPECT_EQ(run(plain({"sh", "-c", "exit 42"})).value(), 42);
  EXPECT_EQ(run(plain({"sh", "-c", "kill -TERM $$"})).value(), 128 + SIGTERM);
}

TEST_F(LauncherTest, PassesArgumentsAndEnvironmentUntouched) {
  const Command command{
      .arguments = {"/bin/sh", "-c", "{ printf '[%s]' \"$@\"; env; } > \"$OUT\"", "sh", "", "a b", "\n*"},
      .environment = {"OUT=" + output_, "PATH=/usr/bin:/bin", "ODD=x=y z"},
      .working_directory = {}};
  ASSERT_EQ(run(command).value(), 0);
  EXPECT_TRUE(output().starts_with("[][a b][\n*]")) << output();
  EXPECT_NE(output().find("ODD=x=y z\n"), std::string::npos);
  EXPECT_EQ(output().find("HOME="), std::string::npos);
}

TEST_F(LauncherTest, RestoresTheInheritedSignals) {
  InheritedSignals signals;
  sigemptyset(&signals.mask);
  sigaddset(&signals.mask, SIGUSR2);
  signals.ignored = 1ULL << (SIGPIPE - 1) | 1ULL << (SIGHUP - 1) | 1ULL << (SIGCHLD - 1);
  // What a supervisor does to itself must not show.
  const auto supervisor = Supervisor::create({});
  ASSERT_TRUE(supervisor.has_value());
  // cp reads its own status; a shell might change what it was given.
  ASSERT_EQ(run(plain({"cp", "/proc/self/status", output_}), signals).value(), 0);
  EXPECT_NE(output().find("SigBlk:\t0000000000000800\n"), std::string::npos) << output();
  EXPECT_NE(output().find("SigIgn:\t0000000000011001\n"), std::string::npos) << output();
}

TEST_F(LauncherTest, CapturesWhatIsIgnored) {
  struct sigaction ignore = {};
  ignore.sa_handler = SIG_IGN;
  struct sigaction old = {};
  ASSERT_EQ(::sigaction(SIGUSR1, &ignore, &old), 0);
  const auto signals = InheritedSignals::capture();
  ::sigaction(SIGUSR1, &old, nullptr);
  EXPECT_TRUE(signals.is_ignored(SIGUSR1));
  EXPECT_FALSE(signals.is_ignored(SIGTERM));
}

TEST_F(LauncherTest, LeaksNoDescriptor) {
  std::vector<std::string> inheritable;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
    const int descriptor = std::stoi(entry.path().filename().string());
    const int flags = ::fcntl(descriptor, F_GETFD);
    if (flags >= 0 && (flags & FD_CLOEXEC) == 0) inheritable.push_back(std::to_string(descriptor));
  }
  const auto supervisor = Supervisor::create({});
  ASSERT_TRUE(supervisor.has_value());
  ASSERT_EQ(run(shell("exec ls /proc/self/fd > $1")).value(), 0);
  std::istringstream lines(output());
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line);) ++count;
  // ls itself opens the folder.
  EXPECT_EQ(count, inheritable.size() + 1) << output();
}

TEST_F(LauncherTest, StaysInOurProcessGroupAndSession) {
  ASSERT_EQ(run(shell("exec cut -d ' ' -f 4-6 /proc/self/stat > $1")).value(), 0);
  EXPECT_EQ(output(), std::to_string(::getpid()) + " " + std::to_string(::getpgrp()) + " " +
                          std::to_string(::getsid(0)) + "\n");
}

TEST_F(LauncherTest, RunsNothingBeforeItIsReleased) {
  const std::string mark = folder_.path("mark");
  {
    auto child = HeldChild::create(plain({"touch", mark}), InheritedSignals::capture());
    ASSERT_TRUE(child.has_value());
    EXPECT_GT(child->pid(), 0);
  }
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
  EXPECT_FALSE(fs::exists(mark));
}

TEST_F(LauncherTest, ChildOfADeadParentExitsUnrun) {
  const std::string mark = folder_.path("mark");
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
  const int parent = ::fork();
  if (parent == 0) {
    auto child = HeldChild::create(plain({"touch", mark}), InheritedSignals::capture());
    ::_exit(child.has_value() ? 0 : 1);
  }
  EXPECT_EQ(wait_for(parent), 0);
  EXPECT_EQ(wait_for(-1), 125);
  ::prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
  EXPECT_FALSE(fs::exists(mark));
}

TEST_F(LauncherTest, PidfdTellsTheEnd) {
  auto child = HeldChild::create(plain({"true"}), InheritedSignals::capture());
  ASSERT_TRUE(child.has_value());
  if (child->pidfd() < 0) GTEST_SKIP() << "no pidfd here";
  pollfd end{child->pidfd(), POLLIN, 0};
  EXPECT_EQ(::poll(&end, 1, 0), 0);
  ASSERT_TRUE(child->release().has_value());
  EXPECT_EQ(::poll(&end, 1, 10'000), 1);
  EXPECT_EQ(wait_for(child->pid()), 0);
}

TEST_F(LauncherTest, RunsAScriptWithoutInterpreterLineByTheShell) {
  const std::string script = write("script", "echo \"$0 $1\" > \"$2\"\n");
  ASSERT_EQ(run(plain({script, "one", output_})).value(), 0);
  EXPECT_EQ(output(), script + " one\n");
}

TEST_F(LauncherTest, RefusesAProgramForAnotherMachine) {
  const auto error = failure_of(plain({write("foreign", std::string("\x7f"
                                                                    "ELF\0\1\2\3",
                                                                    8))}));
  EXPECT_EQ(error.exit_code, 126);
  EXPECT_EQ(error.error.kind, Error::Kind::user);
}

TEST_F(LauncherTest, MissingCommandIs127) {
  const auto error = failure_of(plain({"no-such-command-anywhere"}));
  EXPECT_EQ(error.exit_code, 127);
  EXPECT_NE(error.error.message.find("no-such-command-anywhere"), std::string::npos);
}

TEST_F(LauncherTest, MissingSlashIsRecognised) {
  write("tool", "#!/bin/sh\n");
  Command command = plain({"tool"});
  command.working_directory = folder_.path();
  EXPECT_NE(failure_of(command).error.hint.find("./tool"), std::string::npos);
}

TEST_F(LauncherTest, QuotedCommandLineIsRecognised) {
  EXPECT_NE(failure_of(plain({"sleep 1"})).error.hint.find("quotes"), std::string::npos);
}

TEST_F(LauncherTest, NotExecutableIs126AndSaysChmod) {
  const std::string path = write("data", "#!/bin/sh\n", 0644);
  const auto error = failure_of(plain({path}));
  EXPECT_EQ(error.exit_code, 126);
  EXPECT_EQ(error.error.hint, "chmod +x " + path);
}

TEST_F(LauncherTest, AFolderIs126) {
  EXPECT_EQ(failure_of(plain({folder_.path()})).exit_code, 126);
}

TEST_F(LauncherTest, MissingInterpreterIsNamed) {
  const auto error = failure_of(plain({write("script", "#!/no/such/interpreter -x\n")}));
  EXPECT_EQ(error.exit_code, 127);
  EXPECT_NE(error.error.message.find("/no/such/interpreter"), std::string::npos);
  const auto windows = failure_of(plain({write("windows", "#!/bin/sh\r\necho\r\n")}));
  EXPECT_NE(windows.error.hint.find("Windows"), std::string::npos) << windows.error.message;
}

TEST_F(LauncherTest, ControlCharactersOfANameStayOffTheTerminal) {
  EXPECT_EQ(failure_of(plain({"a\x1b[31mb"})).error.message.find('\x1b'), std::string::npos);
}

TEST_F(LauncherTest, TooManyArgumentsIs126) {
  std::vector<std::string> arguments = {"true"};
  for (int i = 0; i < 40; ++i) arguments.emplace_back(120'000, 'x');
  arguments.emplace_back(200'000, 'y');
  const auto error = failure_of(plain(arguments));
  EXPECT_EQ(error.exit_code, 126);
  EXPECT_FALSE(error.error.hint.empty());
}

TEST_F(LauncherTest, NoArgumentsAndEmptyNameAreErrors) {
  EXPECT_EQ(failure_of(plain({})).exit_code, 125);
  EXPECT_EQ(failure_of(plain({""})).exit_code, 127);
}

TEST_F(LauncherTest, LooksInThePathOfTheGivenEnvironment) {
  write("joulery_test_tool", "#!/bin/sh\nexit 7\n");
  EXPECT_EQ(run(plain({"joulery_test_tool"}, {"PATH=/nowhere:" + folder_.path()})).value(), 7);
  EXPECT_EQ(failure_of(plain({"joulery_test_tool"}, {"PATH=/nowhere"})).exit_code, 127);
  EXPECT_EQ(executable_candidates("x", {"PATH=/a::b"}), (std::vector<std::string>{"/a/x", "./x", "b/x"}));
  EXPECT_EQ(executable_candidates("x", {}), (std::vector<std::string>{"/bin/x", "/usr/bin/x"}));
  EXPECT_EQ(executable_candidates("./x", {"PATH=/a"}), (std::vector<std::string>{"./x"}));
}

TEST_F(LauncherTest, UnreadableCandidateDoesNotHideALaterOne) {
  fs::create_directory(folder_.path("first"));
  fs::create_directory(folder_.path("second"));
  write("first/tool", "#!/bin/sh\n", 0644);
  write("second/tool", "#!/bin/sh\nexit 5\n");
  EXPECT_EQ(run(plain({"tool"}, {"PATH=" + folder_.path("first") + ":" + folder_.path("second")})).value(),
            5);
}

TEST_F(LauncherTest, ChangesTheFolder) {
  write("tool", "#!/bin/sh\npwd > out\n");
  Command command = plain({"./tool"});
  command.working_directory = folder_.path();
  ASSERT_EQ(run(command).value(), 0);
  EXPECT_TRUE(fs::exists(folder_.path("out")));
  command.working_directory = folder_.path("none");
  const auto error = failure_of(command);
  EXPECT_EQ(error.exit_code, 125);
  EXPECT_NE(error.error.message.find("none"), std::string::npos);
}

TEST_F(LauncherTest, BadCgroupDescriptorFallsBackToOurs) {
  const FileDescriptor no_cgroup(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  auto child = HeldChild::create(plain({"sh", "-c", "exit 3"}), InheritedSignals::capture(), no_cgroup.get());
  ASSERT_TRUE(child.has_value());
  ASSERT_TRUE(child->release().has_value());
  EXPECT_EQ(wait_for(child->pid()), 3);
}

}  // namespace
}  // namespace joulery::meter
