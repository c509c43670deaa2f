#include "meter/attribution.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/perf_event.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/test_folder.hpp"
#include "meter/cgroup.hpp"
#include "meter/metered_command.hpp"

namespace joulery::meter {
namespace {

namespace fs = std::filesystem;

/// Refuses perf, or counts what a test says.
class FakeCalls final : public power::SystemCalls {
 public:
  int perf_event_open(perf_event_attr& attributes, int, int, int, unsigned long) override {
    if (error != 0) return -error;
    inherit = attributes.inherit != 0;
    ++open_counters;
    return 1'000;
  }
  long read(int, void* buffer, std::size_t size) override {
    if (read_error != 0) return -read_error;
    if (size != sizeof(count)) return -EINVAL;
    *static_cast<std::uint64_t*>(buffer) = count;
    return sizeof(count);
  }
  void close(int) override { --open_counters; }
  int error = 0;
  int read_error = 0;
  bool inherit = false;
  int open_counters = 0;
  std::uint64_t count = 0;
};

class AttributionTest : public testing::Test {
 protected:
  AttributionTest() {
    for (const char* file : {"/proc/self/stat", "/proc/55/stat"})
      folder_.write(file, "55 (joulery) R 1 1 1 0 -1 0 0 0 0 0 5 5 0 0 20 0 1 0 4242 1000 10 1 1\n");
  }
  AttributionOptions options() {
    return {.root = root_,
            .clock = clock_,
            .system_calls = calls_,
            .short_id = "ab",
            .library_directory = {},
            .only = {},
            .systemd_bus = SystemdBus::automatic,
            .systemd_bus_address = {},
            .systemd_timeout_seconds = 2};
  }
  /// A tree that looks like cgroup v2, but whose new folders have no files in them.
  void fake_cgroups() const {
    folder_.write("/proc/self/mountinfo", "35 24 0:30 / /cg rw - cgroup2 cgroup2 rw\n");
    folder_.write("/proc/self/cgroup", "0::/\n");
    folder_.write("/cg/cgroup.procs", "");
  }
  TestFolder folder_;
  SystemRoot root_{folder_.path()};
  ManualClock clock_;
  FakeCalls calls_;
};

TEST_F(AttributionTest, TakesTheBestTierThatWorksAndSaysWhyNotTheBetterOnes) {
  const auto choice = make_attribution(options());
  ASSERT_TRUE(choice.has_value()) << choice.error().message;
  EXPECT_EQ(choice->attribution->tier(), Tier::perf_task_clock);
  ASSERT_EQ(choice->skipped.size(), 2u);
  EXPECT_EQ(choice->skipped[0].tier, Tier::cgroup);
  EXPECT_EQ(choice->skipped[1].tier, Tier::systemd_scope);
  for (const auto& skipped : choice->skipped) EXPECT_FALSE(skipped.reason.empty());
}

TEST_F(AttributionTest, WithoutPerfTheProcessTreeIsLeft) {
  calls_.error = EACCES;
  const auto choice = make_attribution(options());
  ASSERT_TRUE(choice.has_value());
  EXPECT_EQ(choice->attribution->tier(), Tier::process_tree);
  ASSERT_EQ(choice->skipped.size(), 3u);
  EXPECT_NE(choice->skipped[2].hint.find("perf_event_paranoid"), std::string::npos);
}

TEST_F(AttributionTest, AForcedTierIsThatTierOrAnError) {
  calls_.error = EPERM;
  auto forced = options();
  forced.only = Tier::perf_task_clock;
  const auto choice = make_attribution(forced);
  ASSERT_FALSE(choice.has_value());
  EXPECT_NE(choice.error().message.find("perf task-clock"), std::string::npos);
  EXPECT_EQ(choice.error().kind, Error::Kind::environment);
  forced.only = Tier::process_tree;
  EXPECT_TRUE(make_attribution(forced).has_value());
}

TEST_F(AttributionTest, AnIdThatIsNoPartOfANameIsRefused) {
  for (const char* id : {"", "a/b", "../x", "a-b", "a b"}) {
    auto bad = options();
    bad.short_id = id;
    EXPECT_FALSE(make_attribution(bad).has_value()) << id;
  }
}

TEST_F(AttributionTest, AFolderThatIsNoCgroupLeavesNothingBehind) {
  fake_cgroups();
  const auto choice = make_attribution(options());
  ASSERT_TRUE(choice.has_value());
  EXPECT_NE(choice->skipped[0].reason.find("cpu.stat"), std::string::npos) << choice->skipped[0].reason;
  for (const auto& entry : fs::directory_iterator(folder_.path("/cg"))) EXPECT_FALSE(entry.is_directory());
}

TEST_F(AttributionTest, UnwritableCgroupsAreAReasonWithAHint) {
  fake_cgroups();
  // Nobody, root included, makes a folder where a file is in the way of its parent.
  folder_.write("/proc/self/cgroup", "0::/cgroup.procs\n");
  auto forced = options();
  forced.only = Tier::cgroup;
  EXPECT_FALSE(make_attribution(forced).has_value());
}

TEST_F(AttributionTest, PerfCounterIsInheritedReadAndClosed) {
  auto forced = options();
  forced.only = Tier::perf_task_clock;
  {
    auto choice = make_attribution(forced);
    ASSERT_TRUE(choice.has_value());
    EXPECT_EQ(calls_.open_counters, 0);
    EXPECT_FALSE(choice->attribution->read().valid);
    ASSERT_TRUE(adopt(*choice, forced, 4711).has_value());
    EXPECT_TRUE(calls_.inherit);
    calls_.count = 2'500'000'000;
    EXPECT_DOUBLE_EQ(choice->attribution->read().cpu_seconds, 2.5);
    calls_.count = 2'400'000'000;
    EXPECT_DOUBLE_EQ(choice->attribution->read().cpu_seconds, 2.5);
    calls_.read_error = EIO;
    const WorkloadUsage lost = choice->attribution->read();
    EXPECT_FALSE(lost.valid);
    EXPECT_DOUBLE_EQ(lost.cpu_seconds, 2.5);
  }
  EXPECT_EQ(calls_.open_counters, 0);
}

TEST_F(AttributionTest, ACounterThatCannotBeOpenedOnTheChildGoesOnToTheTree) {
  auto choice = make_attribution(options());
  ASSERT_TRUE(choice.has_value());
  ASSERT_EQ(choice->attribution->tier(), Tier::perf_task_clock);
  calls_.error = EMFILE;
  ASSERT_TRUE(adopt(*choice, options(), 4711).has_value());
  EXPECT_EQ(choice->attribution->tier(), Tier::process_tree);
  EXPECT_EQ(choice->skipped.back().tier, Tier::perf_task_clock);
  EXPECT_EQ(choice->skipped.size(), 3u);
}

TEST_F(AttributionTest, TreeAddsReapedAndLive) {
  auto forced = options();
  forced.only = Tier::process_tree;
  const auto child = [this](int pid, int own_ticks) {
    folder_.write(
        "/proc/" + std::to_string(pid) + "/stat",
        fmt::format("{} (w) S 55 1 1 0 -1 0 0 0 0 0 {} 0 0 0 20 0 1 0 5000 1000 10 1 1\n", pid, own_ticks));
  };
  child(60, 9'000);  // there before: not ours to count
  auto choice = make_attribution(forced);
  ASSERT_TRUE(choice.has_value());
  Attribution& tree = *choice->attribution;
  child(70, 100);
  EXPECT_NEAR(tree.read().cpu_seconds, 1.0, 1e-9);
  child(71, 50);
  EXPECT_NEAR(tree.read().cpu_seconds, 1.5, 1e-9);
  EXPECT_EQ(tree.read().processes, 2);
  fs::remove_all(folder_.path("/proc/71"));
  tree.reaped(71, 0.52, 5e6);
  tree.reaped(60, 99, 9e9);
  const WorkloadUsage usage = tree.read();
  EXPECT_NEAR(usage.cpu_seconds, 1.52, 1e-9);
  EXPECT_DOUBLE_EQ(usage.peak_memory_bytes, 5e6);
  // One that vanishes without being reaped: what was seen stays seen.
  fs::remove_all(folder_.path("/proc/70"));
  EXPECT_NEAR(tree.read().cpu_seconds, 1.52, 1e-9);
}

TEST_F(AttributionTest, ProbeReportsEveryTierAndKeepsNothing) {
  const auto reports = probe_tiers(options());
  ASSERT_EQ(reports.size(), 4u);
  for (const auto& report : reports) {
    EXPECT_EQ(report.usable, !report.can_miss.empty()) << tier_name(report.tier);
    EXPECT_EQ(report.usable, report.reason.empty());
  }
  EXPECT_EQ(calls_.open_counters, 0);
  int reaper = -1;
  ::prctl(PR_GET_CHILD_SUBREAPER, &reaper, 0, 0, 0);
  EXPECT_EQ(reaper, 0);
}

TEST(RealAttributionTest, CgroupIsRemovedAtTheEnd) {
  const SystemRoot root("/");
  const auto parent = own_cgroup_folder(root);
  if (!parent.has_value()) GTEST_SKIP() << parent.error().message;
  const SystemClock clock;
  const AttributionOptions options{.root = root,
                                   .clock = clock,
                                   .system_calls = kernel_calls(),
                                   .short_id = "same",
                                   .library_directory = {},
                                   .only = Tier::cgroup,
                                   .systemd_bus = SystemdBus::automatic,
                                   .systemd_bus_address = {},
                                   .systemd_timeout_seconds = 2};
  const auto ours = [&] {
    int count = 0;
    for (const auto& name : root.list(*parent)) {
      const auto parsed = CgroupName::parse(name);
      if (parsed && parsed->pid == ::getpid()) ++count;
    }
    return count;
  };
  {
    const auto first = make_attribution(options);
    if (!first.has_value()) GTEST_SKIP() << first.error().message;
    // The name is taken, as when a daemon of an earlier run keeps it.
    const auto second = make_attribution(options);
    ASSERT_TRUE(second.has_value()) << second.error().message;
    EXPECT_EQ(ours(), 2);
    EXPECT_FALSE((*second).attribution->has_processes());
  }
  EXPECT_EQ(ours(), 0);
}

TEST(RealAttributionTest, ARunningProcessIsMovedIfItWasNotStartedInTheCgroup) {
  const SystemRoot root("/");
  const SystemClock clock;
  const AttributionOptions options{.root = root,
                                   .clock = clock,
                                   .system_calls = kernel_calls(),
                                   .short_id = "move",
                                   .library_directory = {},
                                   .only = Tier::cgroup,
                                   .systemd_bus = SystemdBus::automatic,
                                   .systemd_bus_address = {},
                                   .systemd_timeout_seconds = 2};
  auto choice = make_attribution(options);
  if (!choice.has_value()) GTEST_SKIP() << choice.error().message;
  const Command command{.arguments = {"true"}, .environment = own_environment(), .working_directory = {}};
  auto child = HeldChild::create(command, InheritedSignals::capture());
  ASSERT_TRUE(child.has_value());
  EXPECT_FALSE(choice->attribution->has_processes());
  ASSERT_TRUE(adopt(*choice, options, child->pid()).has_value());
  EXPECT_TRUE(choice->attribution->has_processes());
  EXPECT_EQ(choice->attribution->read().processes, 1);
  ASSERT_TRUE(child->release().has_value());
  ::waitpid(child->pid(), nullptr, 0);
  EXPECT_FALSE(choice->attribution->has_processes());
  EXPECT_GT(choice->attribution->read().cpu_seconds, 0);
}

}  // namespace
}  // namespace joulery::meter
