#include <gtest/gtest.h>

#include <fstream>

#include "base/test_folder.hpp"
#include "meter/metered_command.hpp"

// Real workloads that say what they used, against what each tier sees of them.
namespace joulery::meter {
namespace {

struct Workload {
  const char* name;
  std::vector<std::string> parameters;
  /// Processes whose exec and exit are not in what they say.
  int processes;
  /// The process tree can see (nearly) all of it.
  bool tree_sees_it;
};

void PrintTo(const Workload& workload, std::ostream* out) {
  *out << workload.name;
}

const Workload kWorkloads[] = {
    {"forking_tree", {"0.03", "3", "2"}, 15, true},
    {"daemon", {"0.4"}, 3, true},
    {"stubborn", {"0.3"}, 2, true},
    {"child_ignorer", {"0.02", "20"}, 21, false},
    {"threads", {"0.2", "4"}, 1, true},
    {"pausing", {"0.4"}, 2, true},
};

class WorkloadTest : public testing::TestWithParam<std::tuple<Workload, Tier>> {
 protected:
  double truth_seconds(int* processes) const {
    std::ifstream file(truth_);
    double sum = 0;
    double nanoseconds = 0;
    for (*processes = 0; file >> nanoseconds; ++*processes) sum += nanoseconds * 1e-9;
    return sum;
  }
  static std::string program(const char* name) {
    return std::string(JOULERY_WORKLOADS) + "/workload_" + name;
  }

  TestFolder folder_;
  const std::string truth_ = folder_.path("truth");
};

bool tier_is_missing(Tier tier, const MeteredFailure& failure) {
  return (tier == Tier::cgroup || tier == Tier::perf_task_clock) && failure.exit_code == 3;
}

TEST_P(WorkloadTest, MatchesWhatTheWorkloadSays) {
  const auto& [workload, tier] = GetParam();
  MeteredCommand command;
  command.arguments = {program(workload.name), truth_};
  command.arguments.insert(command.arguments.end(), workload.parameters.begin(), workload.parameters.end());
  command.tier = tier;
  const auto metered = run_metered(command);
  if (!metered.has_value() && tier_is_missing(tier, metered.error())) GTEST_SKIP() << metered.error().message;
  ASSERT_TRUE(metered.has_value()) << metered.error().message;

  int told = 0;
  const double truth = truth_seconds(&told);
  ASSERT_EQ(told, workload.processes);
  EXPECT_TRUE(metered->supervision.child.exited);
  EXPECT_EQ(metered->supervision.child.shell_code(), 0);
  EXPECT_EQ(metered->supervision.left_running, 0);
  EXPECT_TRUE(metered->never_decreased);
  const double measured = metered->usage.cpu_seconds;
  RecordProperty("measured_over_truth", std::to_string(measured / truth));
  const double exec_and_exit = 0.005 * workload.processes;
  EXPECT_LE(measured, truth * 1.05 + exec_and_exit);
  if (tier != Tier::process_tree || workload.tree_sees_it) {
    // /proc counts ticks for a process of several threads that still runs; here all have ended.
    EXPECT_GE(measured, truth * 0.98);
  } else {
    EXPECT_GE(measured, 0);
  }
  EXPECT_GT(metered->usage.peak_memory_bytes, 100e3);
}

std::string test_name(const testing::TestParamInfo<std::tuple<Workload, Tier>>& info) {
  std::string name = std::string(std::get<0>(info.param).name) + "_" + tier_name(std::get<1>(info.param));
  for (char& c : name) {
    if (c == ' ' || c == '-') c = '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Tiers, WorkloadTest,
                         testing::Combine(testing::ValuesIn(kWorkloads),
                                          testing::Values(Tier::cgroup, Tier::perf_task_clock,
                                                          Tier::process_tree)),
                         test_name);

class SwarmTest : public WorkloadTest {};

TEST_P(SwarmTest, TenThousandShortChildrenAreNotLost) {
  const Tier tier = std::get<1>(GetParam());
  MeteredCommand command;
  constexpr int kChildren = 10'000;
  command.arguments = {program("swarm"), truth_, std::to_string(kChildren), program("brief")};
  command.tier = tier;
  const auto metered = run_metered(command);
  if (!metered.has_value() && tier_is_missing(tier, metered.error())) GTEST_SKIP() << metered.error().message;
  ASSERT_TRUE(metered.has_value()) << metered.error().message;
  int told = 0;
  const double truth = truth_seconds(&told);
  ASSERT_EQ(told, kChildren + 1);
  const double measured = metered->usage.cpu_seconds;
  RecordProperty("measured_over_truth", std::to_string(measured / truth));
  EXPECT_TRUE(metered->never_decreased);
  EXPECT_GE(measured, truth * 0.98);
  // What a child can't tell is its own exit.
  EXPECT_LE(measured, truth * 2 + 0.001 * kChildren);
}

INSTANTIATE_TEST_SUITE_P(Tiers, SwarmTest,
                         testing::Combine(testing::Values(Workload{"swarm", {}, 10'001, true}),
                                          testing::Values(Tier::cgroup, Tier::perf_task_clock,
                                                          Tier::process_tree)),
                         test_name);

}  // namespace
}  // namespace joulery::meter
