#include "meter/window_meter.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>

#include "base/files.hpp"
#include "meter/metered_command.hpp"

namespace joulery::meter {
namespace {

double cpu_seconds_of(int pid) {
  clockid_t clock{};
  timespec time{};
  if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &time) != 0) return 0;
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

/// A process that keeps one CPU busy until it is killed.
class Burner {
 public:
  Burner() : pid_(::fork()) {
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (volatile unsigned turn = 0;; turn = turn + 1) {
    }
  }
  ~Burner() { end(); }
  void end() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  int pid() const { return pid_; }
  void burn(double seconds) const {
    const double until = cpu_seconds_of(pid_) + seconds;
    while (cpu_seconds_of(pid_) < until) ::usleep(5000);
  }

 private:
  int pid_;
};

class WindowMeterTest : public testing::Test {
 protected:
  Machine machine() {
    return {.root = root_,
            .sensors = root_,
            .clock = clock_,
            .system_calls = kernel_calls(),
            .library_directory = {}};
  }
  SystemRoot root_;
  SystemClock clock_;
};

TEST_F(WindowMeterTest, MetersAProcessFromStartToStop) {
  const Burner burner;
  burner.burn(0.3);
  const double before = cpu_seconds_of(burner.pid());
  auto meter = WindowMeter::start(machine(), {.followed = {.pid = burner.pid()}});
  ASSERT_TRUE(meter) << meter.error().message;
  const double after_start = cpu_seconds_of(burner.pid());
  burner.burn(0.7);
  const double before_stop = cpu_seconds_of(burner.pid());
  const MeteredWindow window = (*meter)->stop();
  const double after = cpu_seconds_of(burner.pid());
  // The kernel tells the time of a process in ticks of 10 ms.
  EXPECT_GE(window.cpu_seconds, before_stop - after_start - 0.02);
  EXPECT_LE(window.cpu_seconds, after - before + 0.02);
  EXPECT_GE(window.duration_seconds, window.cpu_seconds - 0.02);
  ASSERT_TRUE(window.energy_known());
  EXPECT_GT(window.energy_active.value(), 0);
  EXPECT_LE(window.energy.value(), window.energy_machine.value() * 1.0001);
  EXPECT_NE(window.energy.provenance(), Provenance::measured);
  EXPECT_TRUE(window.footprint.has_value());
}

TEST_F(WindowMeterTest, ASecondWindowDoesNotHoldTheFirst) {
  const Burner burner;
  auto first = WindowMeter::start(machine(), {.followed = {.pid = burner.pid()}});
  ASSERT_TRUE(first);
  burner.burn(0.6);
  const MeteredWindow long_window = (*first)->stop();
  auto second = WindowMeter::start(machine(), {.followed = {.pid = burner.pid()}});
  ASSERT_TRUE(second);
  burner.burn(0.2);
  const MeteredWindow short_window = (*second)->stop();
  EXPECT_LT(short_window.cpu_seconds, long_window.cpu_seconds);
  EXPECT_LT(short_window.energy_active.value(), long_window.energy_active.value());
}

TEST_F(WindowMeterTest, KeepsWhatAProcessUsedThatEnded) {
  Burner burner;
  auto meter = WindowMeter::start(machine(), {.followed = {.pid = burner.pid()}});
  ASSERT_TRUE(meter);
  burner.burn(0.7);
  burner.end();
  const MeteredWindow window = (*meter)->stop();
  // Of what it used after the last look nothing is known.
  EXPECT_GT(window.cpu_seconds, 0.3);
}

TEST_F(WindowMeterTest, MetersACgroup) {
  const auto own = root_.read_text("/proc/self/cgroup");
  ASSERT_TRUE(own);
  std::string path;
  for (std::size_t at = 0; at < own->size();) {
    const std::size_t end = own->find('\n', at);
    if (own->compare(at, 3, "0::") == 0) path = own->substr(at + 3, end - at - 3);
    if (end == std::string::npos) break;
    at = end + 1;
  }
  auto meter = WindowMeter::start(machine(), {.followed = {.cgroup = path}});
  if (!meter) GTEST_SKIP() << meter.error().message;
  const Burner burner;
  burner.burn(0.4);
  const MeteredWindow window = (*meter)->stop();
  EXPECT_EQ(window.tier, Tier::cgroup);
  EXPECT_GT(window.cpu_seconds, 0.35);
}

TEST_F(WindowMeterTest, SaysThatThereIsNoSuchProcessOrCgroup) {
  const auto process = WindowMeter::start(machine(), {.followed = {.pid = 0x3fffff}});
  ASSERT_FALSE(process);
  EXPECT_EQ(process.error().kind, Error::Kind::user);
  EXPECT_NE(process.error().message.find("4194303"), std::string::npos);
  const auto cgroup = WindowMeter::start(machine(), {.followed = {.cgroup = "/no/such.slice"}});
  ASSERT_FALSE(cgroup);
  EXPECT_FALSE(cgroup.error().message.empty());
}

}  // namespace
}  // namespace joulery::meter
