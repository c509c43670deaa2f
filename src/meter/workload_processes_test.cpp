#include "meter/workload_processes.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <set>

namespace joulery::meter {
namespace {

/// An attribution that says what a test tells it.
class FakeAttribution final : public Attribution {
 public:
  Tier tier() const override { return Tier::process_tree; }
  const std::string& can_miss() const override {
    static const std::string nothing;
    return nothing;
  }
  Status adopt(int) override { return {}; }
  WorkloadUsage read() override { return {}; }
  bool has_processes() override { return !listed.empty(); }
  int count_processes() override { return static_cast<int>(listed.size()); }
  void reaped(int, double, double) override {}
  void list_processes(std::vector<int>& pids) override {
    pids.insert(pids.end(), listed.begin(), listed.end());
  }
  bool contains(int pid) override { return hidden.contains(pid); }
  void finish() override {}
  std::vector<int> listed;
  std::set<int> hidden;
};

/// A process number that nobody has: of a child that has ended.
int dead_pid() {
  const int pid = ::fork();
  if (pid == 0) ::_exit(0);
  ::waitpid(pid, nullptr, 0);
  return pid;
}

class WorkloadProcessesTest : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = WorkloadProcesses::open(root_, attribution_);
    ASSERT_TRUE(opened.has_value());
    processes_ = std::move(*opened);
  }
  const SystemRoot root_{"/"};
  FakeAttribution attribution_;
  std::unique_ptr<WorkloadProcesses> processes_;
};

TEST_F(WorkloadProcessesTest, WhatEndedIsRememberedAsWhatItWas) {
  const int dead = dead_pid();
  attribution_.listed = {dead};
  processes_->refresh();
  attribution_.listed = {};
  processes_->refresh();
  EXPECT_TRUE(processes_->is_workloads(dead));
  EXPECT_FALSE(processes_->is_workloads(dead_pid())) << "never seen";
}

TEST_F(WorkloadProcessesTest, ANumberThatSomebodyElseHasByNowIsTheirs) {
  attribution_.listed = {::getpid()};
  processes_->refresh();
  EXPECT_TRUE(processes_->is_workloads(::getpid()));
  // Ours still lives, but is no part of the workload any more: so it is another's.
  attribution_.listed = {};
  processes_->refresh();
  EXPECT_FALSE(processes_->is_workloads(::getpid()));
  EXPECT_FALSE(processes_->is_workloads(::getpid()));
}

TEST_F(WorkloadProcessesTest, ProcessesThatHideFromTheListAreAskedFor) {
  const int dead = dead_pid();
  attribution_.hidden = {dead};
  EXPECT_TRUE(processes_->is_workloads(dead));
  attribution_.hidden = {};
  EXPECT_TRUE(processes_->is_workloads(dead)) << "it has ended since";
}

TEST_F(WorkloadProcessesTest, NonsenseIsNobodys) {
  attribution_.listed = {-5, 0, 1 << 30};
  processes_->refresh();
  EXPECT_FALSE(processes_->is_workloads(-1));
  EXPECT_FALSE(processes_->is_workloads((1 << 22) + 7));
}

}  // namespace
}  // namespace joulery::meter
