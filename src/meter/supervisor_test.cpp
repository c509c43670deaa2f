#include "meter/supervisor.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>

#include "base/test_folder.hpp"
#include "meter/metered_command.hpp"

namespace joulery::meter {
namespace {

namespace fs = std::filesystem;

class SupervisorTest : public testing::Test {
 protected:
  void TearDown() override {
    // A command that was hung up on may still be writing.
    std::error_code error;
    const bool removed = eventually([&] {
      fs::remove_all(folder_.path(), error);
      return !fs::exists(folder_.path(), error);
    });
    EXPECT_TRUE(removed) << error.message();
  }

  std::string path(const std::string& name) const { return folder_.path(name); }
  std::string content(const std::string& name) const { return folder_.read(name); }
  MeteredCommand shell(const std::string& line) const {
    MeteredCommand command;
    command.arguments = {"/bin/sh", "-c", "cd '" + folder_.path() + "'; " + line};
    command.tier = Tier::process_tree;
    return command;
  }
  /// Waits for a condition that another process brings about.
  static bool eventually(const std::function<bool()>& condition) {
    for (int i = 0; i < 2000; ++i) {
      if (condition()) return true;
      ::usleep(10'000);
    }
    return false;
  }
  bool appears(const std::string& name) const {
    return eventually([&] { return fs::exists(path(name)) && fs::file_size(path(name)) > 0; });
  }
  /// Runs it in a process of its own, which exits with the shell code, so that signals can be sent to it. A
  /// failure to run is 3; how it was interrupted is in "interrupted", how often stopped in "stops".
  int start(const MeteredCommand& command) const {
    const int pid = ::fork();
    if (pid != 0) return pid;
    run_and_exit(command);
  }
  [[noreturn]] void run_and_exit(const MeteredCommand& command) const {
    const auto metered = run_metered(command);
    if (!metered.has_value()) ::_exit(3);
    std::ofstream(path("interrupted")) << metered->supervision.interrupted_by;
    std::ofstream(path("stops")) << metered->stops;
    ::_exit(metered->supervision.child.shell_code());
  }
  static int wait_status(int pid, int options = 0) {
    int status = 0;
    while (::waitpid(pid, &status, options) < 0) {
      if (errno != EINTR) return -1;
    }
    return status;
  }
  static int exit_code(int pid) {
    const int status = wait_status(pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }

  TestFolder folder_;
};

TEST_F(SupervisorTest, ReportsExitCodesAndSignals) {
  const auto exited = run_metered(shell("exit 9"));
  ASSERT_TRUE(exited.has_value()) << exited.error().message;
  EXPECT_EQ(exited->supervision.child.shell_code(), 9);
  const auto killed = run_metered(shell("kill -KILL $$"));
  ASSERT_TRUE(killed.has_value());
  EXPECT_EQ(killed->supervision.child.signal, SIGKILL);
  EXPECT_EQ(killed->supervision.child.shell_code(), 137);
  EXPECT_EQ(killed->supervision.interrupted_by, 0);
}

TEST_F(SupervisorTest, TicksAtItsRate) {
  auto command = shell("sleep 0.5");
  command.supervision.hz = 100;
  const auto metered = run_metered(command);
  ASSERT_TRUE(metered.has_value());
  // No upper bound in time: the machine may be busy, but then more ticks come, never fewer.
  EXPECT_GE(metered->ticks, 45u);
}

TEST_F(SupervisorTest, RefusesImpossibleOptions) {
  for (const double hz : {0.0, -1.0, 1e9, std::nan("")}) {
    EXPECT_FALSE(Supervisor::create({.hz = hz}).has_value()) << hz;
  }
  EXPECT_FALSE(Supervisor::create({.hz = 10, .wait = WaitMode::tree, .grace_seconds = -1}).has_value());
}

TEST_F(SupervisorTest, RestoresTheSignalMask) {
  sigset_t before;
  sigset_t after;
  ::sigprocmask(SIG_SETMASK, nullptr, &before);
  {
    const auto supervisor = Supervisor::create({});
  }
  ::sigprocmask(SIG_SETMASK, nullptr, &after);
  for (int signal = 1; signal <= SIGRTMAX; ++signal)
    EXPECT_EQ(sigismember(&before, signal), sigismember(&after, signal));
}

TEST_F(SupervisorTest, WorksWhenOurParentIgnoresSigchld) {
  const int pid = ::fork();
  if (pid == 0) {
    ::signal(SIGCHLD, SIG_IGN);
    run_and_exit(shell("exit 6"));
  }
  EXPECT_EQ(exit_code(pid), 6);
}

TEST_F(SupervisorTest, ChildModeLeavesDaemonsBehindAndCountsThem) {
  auto command = shell(
      "for i in 1 2; do setsid sh -c \"echo \\$\\$ > daemon$i; exec sleep 1000\" & done;"
      "while ! [ -s daemon1 ] || ! [ -s daemon2 ]; do sleep 0.01; done");
  command.supervision.wait = WaitMode::child;
  for (const Tier tier : {Tier::cgroup, Tier::perf_task_clock, Tier::process_tree}) {
    command.tier = tier;
    fs::remove(path("daemon1"));
    fs::remove(path("daemon2"));
    const auto metered = run_metered(command);
    if (!metered.has_value() && tier != Tier::process_tree) continue;
    ASSERT_TRUE(metered.has_value());
    EXPECT_EQ(metered->supervision.left_running, 2) << tier_name(tier);
    for (const char* name : {"daemon1", "daemon2"}) {
      const int daemon = std::stoi(content(name));
      EXPECT_EQ(::kill(daemon, 0), 0);
      ::kill(daemon, SIGKILL);
    }
  }
}

TEST_F(SupervisorTest, GraceEndsAndSaysHowManyAreLeft) {
  auto command = shell(
      "for i in 1 2; do setsid sh -c \"echo \\$\\$ > daemon$i; exec sleep 1000\" & done;"
      "while ! [ -s daemon1 ] || ! [ -s daemon2 ]; do sleep 0.01; done");
  command.supervision.grace_seconds = 0.3;
  for (const Tier tier : {Tier::cgroup, Tier::perf_task_clock, Tier::process_tree}) {
    command.tier = tier;
    fs::remove(path("daemon1"));
    fs::remove(path("daemon2"));
    const auto metered = run_metered(command);
    if (!metered.has_value() && tier != Tier::process_tree) continue;
    ASSERT_TRUE(metered.has_value());
    EXPECT_EQ(metered->supervision.left_running, 2) << tier_name(tier);
    for (const char* name : {"daemon1", "daemon2"}) ::kill(std::stoi(content(name)), SIGKILL);
  }
}

TEST_F(SupervisorTest, WaitsForADaemonWithinTheGrace) {
  const auto metered = run_metered(shell("setsid sh -c 'sleep 0.3; echo done > daemon' &"));
  ASSERT_TRUE(metered.has_value());
  EXPECT_EQ(metered->supervision.left_running, 0);
  EXPECT_EQ(content("daemon"), "done\n");
}

TEST_F(SupervisorTest, PassesOnSignalsSentToUs) {
  const int pid =
      start(shell("trap 'echo got >> usr1' USR1; trap 'exit 21' TERM; echo > ready; "
                  "while :; do sleep 0.05; done"));
  ASSERT_TRUE(appears("ready"));
  ::kill(pid, SIGUSR1);
  ASSERT_TRUE(appears("usr1"));
  EXPECT_EQ(content("usr1"), "got\n");
  ::kill(pid, SIGTERM);
  EXPECT_EQ(exit_code(pid), 21);
  EXPECT_EQ(content("interrupted"), "0");
}

TEST_F(SupervisorTest, CommandKilledByAPassedSignalCountsAsInterrupted) {
  const int pid = start(shell("echo > ready; exec sleep 1000"));
  ASSERT_TRUE(appears("ready"));
  ::kill(pid, SIGTERM);
  EXPECT_EQ(exit_code(pid), 128 + SIGTERM);
  EXPECT_EQ(content("interrupted"), std::to_string(SIGTERM));
}

TEST_F(SupervisorTest, DoesNotPassOnWhatTheWorkloadSends) {
  // The workload signals its parent, as some supervisors of their own do; it must not get that back.
  const auto metered =
      run_metered(shell("trap 'echo got >> usr1' USR1; kill -USR1 $PPID; sleep 0.3; exit 4"));
  ASSERT_TRUE(metered.has_value());
  EXPECT_EQ(metered->supervision.child.shell_code(), 4);
  EXPECT_EQ(content("usr1"), "");
}

TEST_F(SupervisorTest, ANeighbourThatWasOurChildBeforeIsNotTheWorkload) {
  // As after `(sleep 1; kill $$) & exec joulery run …` in a shell.
  const int pid = ::fork();
  if (pid == 0) {
    const int supervising = ::getpid();
    if (::fork() == 0) {
      eventually([&] { return fs::exists(path("ready")); });
      ::kill(supervising, SIGTERM);
      // The sender is still there when it is looked for.
      eventually([&] { return ::getppid() != supervising; });
      ::_exit(0);
    }
    auto command = shell("trap 'exit 22' TERM; echo > ready; while :; do sleep 0.05; done");
    command.supervision.grace_seconds = 0;
    run_and_exit(command);
  }
  EXPECT_EQ(exit_code(pid), 22);
}

TEST_F(SupervisorTest, SignalBeforeTheStartStopsTheStart) {
  const auto signals = InheritedSignals::capture();
  const Command command{.arguments = {"true"}, .environment = own_environment(), .working_directory = {}};
  {
    const auto supervisor = Supervisor::create({});
    ::raise(SIGINT);
    const auto child = HeldChild::create(command, signals);
    ASSERT_FALSE(child.has_value());
    EXPECT_EQ(child.error().exit_code, 128 + SIGINT);
  }
  // The supervisor's end has taken the signal away: we are alive, and a new start works.
  EXPECT_TRUE(HeldChild::create(command, signals).has_value());
}

TEST_F(SupervisorTest, IgnoredHangUpDoesNotEndTheGrace) {
  const int pid = ::fork();
  if (pid == 0) {
    ::signal(SIGHUP, SIG_IGN);
    run_and_exit(
        shell("setsid sh -c 'echo > daemon; while ! [ -s go ]; do sleep 0.02; done; echo done > daemon' & "
              "while ! [ -s daemon ]; do sleep 0.01; done; echo $$ > last"));
  }
  ASSERT_TRUE(appears("last"));
  const int child = std::stoi(content("last"));
  ASSERT_TRUE(eventually([&] { return ::kill(child, 0) != 0; }));
  ::kill(pid, SIGHUP);
  std::ofstream(path("go")) << "go";
  EXPECT_EQ(exit_code(pid), 0);
  EXPECT_EQ(content("interrupted"), "0");
  EXPECT_EQ(content("daemon"), "done\n");
}

TEST_F(SupervisorTest, SignalDuringTheGraceEndsTheWait) {
  auto command = shell(
      "setsid sh -c 'echo $$ > daemon; exec sleep 1000' & while ! [ -s daemon ]; do sleep 0.01; done; "
      "echo $$ > last");
  command.supervision.grace_seconds = 1000;
  const int pid = start(command);
  ASSERT_TRUE(appears("last"));
  const int child = std::stoi(content("last"));
  ASSERT_TRUE(eventually([&] { return ::kill(child, 0) != 0; }));
  ::kill(pid, SIGTERM);
  EXPECT_EQ(exit_code(pid), 0);
  EXPECT_EQ(content("interrupted"), std::to_string(SIGTERM));
  ::kill(std::stoi(content("daemon")), SIGKILL);
}

TEST_F(SupervisorTest, ChildStoppedWithoutTerminalDoesNotStopUs) {
  const int pid = ::fork();
  if (pid == 0) {
    ::setsid();
    run_and_exit(shell("echo $$ > ready; sleep 0.5; exit 8"));
  }
  ASSERT_TRUE(appears("ready"));
  const int child = std::stoi(content("ready"));
  ::kill(child, SIGSTOP);
  ::usleep(100'000);
  ::kill(child, SIGCONT);
  EXPECT_EQ(exit_code(pid), 8);
  EXPECT_EQ(content("stops"), "1");
}

/// A terminal with a "shell" (the test) on one side and a supervised command in the foreground on the other.
class TerminalTest : public SupervisorTest {
 protected:
  /// Starts a session leader on a new terminal, which makes the supervising process its foreground job,
  /// writes that process's id to "job", and each time it stops or ends a line to "events"; "go" continues it.
  void open(const MeteredCommand& command) {
    leader_ = ::forkpty(&terminal_, nullptr, nullptr, nullptr);
    ASSERT_GE(leader_, 0);
    if (leader_ == 0) lead(command);
  }
  [[noreturn]] void lead(const MeteredCommand& command) const {
    ::signal(SIGTTOU, SIG_IGN);
    const int job = ::fork();
    if (job == 0) {
      ::setpgid(0, 0);
      ::tcsetpgrp(0, ::getpid());
      ::signal(SIGTTOU, SIG_DFL);
      run_and_exit(command);
    }
    ::setpgid(job, job);
    ::tcsetpgrp(0, job);
    std::ofstream(path("job")) << job << "\n";
    for (;;) {
      const int status = wait_status(job, WUNTRACED);
      if (WIFSTOPPED(status)) {
        std::ofstream(path("events"), std::ios::app) << "stopped " << WSTOPSIG(status) << "\n";
        while (!fs::exists(path("go"))) ::usleep(10'000);
        fs::remove(path("go"));
        ::tcsetpgrp(0, job);
        ::kill(-job, SIGCONT);
        std::ofstream(path("events"), std::ios::app) << "continued\n";
        continue;
      }
      std::ofstream(path("events"), std::ios::app) << "exited " << WEXITSTATUS(status) << "\n";
      ::_exit(WEXITSTATUS(status));
    }
  }
  void type(char key) const { ASSERT_EQ(::write(terminal_, &key, 1), 1); }
  /// Whether the supervising process is past its stop. Where it stops it lets through the signal that stops
  /// it, and no other; where it waits for signals the kernel shows all of them as let through.
  bool is_back_at_work() const {
    std::ifstream file("/proc/" + std::to_string(std::stoi(content("job"))) + "/status");
    const std::string blocked = "SigBlk:";
    for (std::string line; std::getline(file, line);) {
      if (!line.starts_with(blocked)) continue;
      const auto mask = std::stoull(line.substr(blocked.size()), nullptr, 16);
      return (mask >> (SIGTSTP - 1) & 1) == (mask >> (SIGINT - 1) & 1);
    }
    return false;
  }
  void TearDown() override {
    if (terminal_ >= 0) ::close(terminal_);
    SupervisorTest::TearDown();
  }
  int leader_ = -1;
  int terminal_ = -1;
};

TEST_F(TerminalTest, ControlCReachesTheCommandOnce) {
  open(shell("trap 'echo int >> signals; exit 30' INT; echo > ready; while :; do sleep 0.05; done"));
  ASSERT_TRUE(appears("ready"));
  type('\x03');
  EXPECT_EQ(exit_code(leader_), 30);
  EXPECT_EQ(content("signals"), "int\n");
}

TEST_F(TerminalTest, CommandThatDiesOfControlCGives130) {
  open(shell("echo > ready; exec sleep 1000"));
  ASSERT_TRUE(appears("ready"));
  type('\x03');
  EXPECT_EQ(exit_code(leader_), 130);
  EXPECT_EQ(content("interrupted"), std::to_string(SIGINT));
}

TEST_F(TerminalTest, ACommandThatTakesControlCGoesOn) {
  open(
      shell("trap 'echo int >> signals' INT; echo > ready; while ! [ -s signals ]; do sleep 0.05; done; "
            "sleep 0.5; exit 12"));
  ASSERT_TRUE(appears("ready"));
  type('\x03');
  EXPECT_EQ(exit_code(leader_), 12);
  EXPECT_EQ(content("interrupted"), "0");
}

TEST_F(TerminalTest, ControlZStopsBothAndContinueGoesOn) {
  // The shell waits in itself. While it starts another program (by vfork) it could not be stopped, with us or
  // without.
  open(shell("mkfifo queue; echo > ready; read line < queue; exit 17"));
  ASSERT_TRUE(appears("ready"));
  std::string expected;
  for (int round = 1; round <= 2; ++round) {
    type('\x1a');
    // The shell sees the signal that the terminal sent.
    expected += "stopped " + std::to_string(SIGTSTP) + "\n";
    ASSERT_TRUE(eventually([&] { return content("events") == expected; })) << content("events");
    std::ofstream(path("go")) << "go";
    expected += "continued\n";
    ASSERT_TRUE(eventually([&] { return content("events") == expected; })) << content("events");
    // A second stop before that would be one with the first.
    ASSERT_TRUE(eventually([&] { return is_back_at_work(); }));
  }
  std::ofstream(path("queue")) << "go on\n";
  EXPECT_EQ(exit_code(leader_), 17);
  EXPECT_EQ(content("stops"), "2");
}

TEST_F(TerminalTest, CommandThatStopsItselfStopsUs) {
  open(shell("kill -STOP $$; exit 18"));
  ASSERT_TRUE(appears("events"));
  EXPECT_EQ(content("events"), "stopped " + std::to_string(SIGSTOP) + "\n");
  std::ofstream(path("go")) << "go";
  EXPECT_EQ(exit_code(leader_), 18);
}

TEST_F(TerminalTest, TheCommandHasTheTerminal) {
  open(shell(
      "read line; echo \"$line\" > line; [ -t 0 ] && [ -t 1 ] && [ -t 2 ] && tty > name; stty size; exit 0"));
  for (const char key : std::string("hello\n")) type(key);
  EXPECT_EQ(exit_code(leader_), 0);
  EXPECT_EQ(content("line"), "hello\n");
  EXPECT_NE(content("name").find("/dev/"), std::string::npos);
}

TEST_F(TerminalTest, HangUpEndsBoth) {
  open(shell("trap 'echo hup > signals; exit 1' HUP; echo > ready; while :; do sleep 0.05; done"));
  ASSERT_TRUE(appears("ready"));
  ::close(terminal_);
  terminal_ = -1;
  EXPECT_TRUE(appears("signals"));
  wait_status(leader_);
}

}  // namespace
}  // namespace joulery::meter
