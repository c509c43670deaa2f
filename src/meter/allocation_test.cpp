#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "base/allocation_count.hpp"
#include "base/clock.hpp"
#include "meter/accounting.hpp"
#include "meter/metered_command.hpp"

// Nothing that is done per sample may allocate once it is warm.
namespace joulery::meter {
namespace {

/// Reads at each tick as a session does, and notes how many allocations there were at each.
class Counter final : public SupervisorObserver {
 public:
  explicit Counter(Attribution& attribution) : attribution_(attribution) {
    at_tick_.reserve(10'000);
    pids_.reserve(1'000);
  }
  void on_tick(std::uint64_t) override {
    const WorkloadUsage usage = attribution_.read();
    pids_.clear();
    attribution_.list_processes(pids_);
    most_listed_ = std::max(most_listed_, pids_.size());
    // Whoever it is that has this number.
    static_cast<void>(attribution_.contains(1));
    account_.add({.seconds = 0.01,
                  .end_seconds = 0,
                  .machine_joules = 1,
                  .busy_seconds = usage.cpu_seconds,
                  .workload_seconds = usage.cpu_seconds / 2});
    at_tick_.push_back(allocation_count.load());
  }
  void on_child_exit(const ChildResult&) override {}
  const std::vector<std::uint64_t>& at_tick() const { return at_tick_; }
  std::size_t most_listed() const { return most_listed_; }

 private:
  Attribution& attribution_;
  EnergyAccount account_;
  std::vector<std::uint64_t> at_tick_;
  std::vector<int> pids_;
  std::size_t most_listed_ = 0;
};

class AllocationTest : public testing::TestWithParam<Tier> {};

TEST_P(AllocationTest, TicksAllocateNothing) {
  if (!kAllocationsAreCounted) GTEST_SKIP() << "allocations are the sanitizer's here";
  const SystemRoot root("/");
  const SystemClock clock;
  const AttributionOptions options{.root = root,
                                   .clock = clock,
                                   .system_calls = kernel_calls(),
                                   .short_id = "allocation",
                                   .library_directory = {},
                                   .only = GetParam(),
                                   .systemd_bus = SystemdBus::automatic,
                                   .systemd_bus_address = {},
                                   .systemd_timeout_seconds = 2};
  auto choice = make_attribution(options);
  if (!choice.has_value()) GTEST_SKIP() << choice.error().message;
  const auto supervisor = Supervisor::create({.hz = 100});
  ASSERT_TRUE(supervisor.has_value());
  const Command command{.arguments = {"sh", "-c", "sleep 0.2 & sleep 0.2 & sleep 0.6"},
                        .environment = own_environment(),
                        .working_directory = {}};
  auto child =
      HeldChild::create(command, InheritedSignals::capture(), choice->attribution->cgroup_descriptor());
  ASSERT_TRUE(child.has_value());
  ASSERT_TRUE(adopt(*choice, options, child->pid()).has_value());
  ASSERT_TRUE(child->release().has_value());
  Counter counter(*choice->attribution);
  ASSERT_TRUE((*supervisor)->run(*child, *choice->attribution, counter).has_value());
  const auto& at_tick = counter.at_tick();
  ASSERT_GT(at_tick.size(), 5u);
  EXPECT_EQ(at_tick.back() - at_tick[2], 0u);
  // The shell and its three.
  EXPECT_GE(counter.most_listed(), 3u);
  EXPECT_LE(counter.most_listed(), 4u);
}

INSTANTIATE_TEST_SUITE_P(Tiers, AllocationTest,
                         testing::Values(Tier::cgroup, Tier::perf_task_clock, Tier::process_tree),
                         [](const testing::TestParamInfo<Tier>& info) {
                           return "tier_" + std::to_string(static_cast<int>(info.param));
                         });

TEST(AllocationCountTest, CountsWhatTheCoreAllocates) {
  if (!kAllocationsAreCounted) GTEST_SKIP() << "allocations are the sanitizer's here";
  const std::uint64_t before = allocation_count.load();
  const auto candidates =
      executable_candidates("a-name-that-is-too-long-for-the-small-string", {"PATH=/usr/bin:/bin"});
  EXPECT_GT(allocation_count.load(), before);
  EXPECT_EQ(candidates.size(), 2u);
}

}  // namespace
}  // namespace joulery::meter
