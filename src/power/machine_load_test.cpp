#include "power/machine_load.hpp"

#include <gtest/gtest.h>

#include "power/cpu_slice.hpp"
#include "power/fake_tree.hpp"

namespace joulery::power {
namespace {

void write_proc_stat(FakeTree& tree, int user_ticks, int steal_ticks = 0) {
  tree.write("/proc/stat", "cpu  " + std::to_string(user_ticks) + " 0 0 900 0 0 0 " +
                               std::to_string(steal_ticks) + " 0 0\ncpu0 1 0 0 9\ncpu1 1 0 0 9\nintr 5\n");
}

TEST(MachineLoad, ProcStatIsTheLastResort) {
  FakeTree tree;
  write_proc_stat(tree, 250, 40);
  auto reader = MachineLoadReader::open(tree.root());
  ASSERT_TRUE(reader.has_value()) << reader.error().message;
  const MachineLoad load = (*reader)->read();
  EXPECT_TRUE(load.valid);
  EXPECT_DOUBLE_EQ(load.busy_seconds, 2.5);
  EXPECT_DOUBLE_EQ(load.steal_seconds, 0.4);
  EXPECT_EQ((*reader)->cpu_count(), 2);
  EXPECT_EQ((*reader)->via(), "/proc/stat (10 ms)");
}

TEST(MachineLoad, RootCpuacctIsFiner) {
  FakeTree tree;
  write_proc_stat(tree, 250);
  tree.write("/sys/fs/cgroup/cpuacct/cpuacct.usage", "2512345678\n");
  tree.write("/sys/fs/cgroup/cpuacct/release_agent", "\n");
  auto reader = MachineLoadReader::open(tree.root());
  ASSERT_TRUE(reader.has_value());
  EXPECT_EQ((*reader)->via(), "cpuacct.usage (1 ns)");
  EXPECT_DOUBLE_EQ((*reader)->read().busy_seconds, 2.512345678);
}

TEST(MachineLoad, CpuacctOfAContainerIsNotTheMachine) {
  FakeTree tree;
  write_proc_stat(tree, 250'000);
  tree.write("/sys/fs/cgroup/cpuacct/cpuacct.usage", "2512345678\n");
  // A container's own cgroup, mounted where the root should be: no release_agent.
  EXPECT_EQ((*MachineLoadReader::open(tree.root()))->via(), "/proc/stat (10 ms)");
  // And one that looks like a root but has 1000 times less time than the machine.
  tree.write("/sys/fs/cgroup/cpuacct/release_agent", "\n");
  EXPECT_EQ((*MachineLoadReader::open(tree.root()))->via(), "/proc/stat (10 ms)");
}

TEST(MachineLoad, CpuacctWithNothingToCheckItAgainstIsNotBelieved) {
  FakeTree tree;
  tree.write("/sys/fs/cgroup/cpuacct/cpuacct.usage", "2512345678\n");
  tree.write("/sys/fs/cgroup/cpuacct/release_agent", "\n");
  EXPECT_FALSE(MachineLoadReader::open(tree.root()).has_value());
}

TEST(MachineLoad, RootOfV2WithoutSteal) {
  FakeTree tree;
  write_proc_stat(tree, 250);
  tree.write("/sys/fs/cgroup/cgroup.controllers", "cpu\n");
  tree.write("/sys/fs/cgroup/cpu.stat", "usage_usec 9900000\nuser_usec 2000000\nsystem_usec 500000\n");
  auto reader = MachineLoadReader::open(tree.root());
  ASSERT_TRUE(reader.has_value());
  EXPECT_EQ((*reader)->via(), "root cpu.stat (1 tick)");
  EXPECT_DOUBLE_EQ((*reader)->read().busy_seconds, 2.5);
  // A cgroup namespace shows a cgroup that is not the root at the same place.
  tree.write("/sys/fs/cgroup/cgroup.type", "domain\n");
  EXPECT_EQ((*MachineLoadReader::open(tree.root()))->via(), "/proc/stat (10 ms)");
}

TEST(MachineLoad, AQuotaMakesTheSliceTheMachine) {
  FakeTree tree;
  write_proc_stat(tree, 250);
  tree.write("/sys/fs/cgroup/cgroup.controllers", "cpu\n");
  tree.write("/sys/fs/cgroup/cgroup.type", "domain\n");
  tree.write("/sys/fs/cgroup/cpu.max", "50000 100000\n");
  tree.write("/sys/fs/cgroup/cpu.stat", "usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000\n");
  tree.write("/proc/self/cgroup", "0::/\n");
  EXPECT_DOUBLE_EQ((*MachineLoadReader::open(tree.root()))->read().busy_seconds, 1.5);
  // What shares out a measured package is the whole machine's load.
  EXPECT_DOUBLE_EQ((*MachineLoadReader::open(tree.root(), LoadExtent::machine))->read().busy_seconds, 2.5);
  // A quota beyond what there is binds nobody.
  tree.write("/sys/fs/cgroup/cpu.max", "800000 100000\n");
  EXPECT_DOUBLE_EQ((*MachineLoadReader::open(tree.root()))->read().busy_seconds, 2.5);
}

TEST(MachineLoad, NothingToReadIsAnErrorWithAHint) {
  FakeTree tree;
  auto reader = MachineLoadReader::open(tree.root());
  ASSERT_FALSE(reader.has_value());
  EXPECT_EQ(reader.error().kind, Error::Kind::environment);
  EXPECT_FALSE(reader.error().hint.empty());
  tree.write("/proc/stat", "garbage");
  EXPECT_FALSE(MachineLoadReader::open(tree.root()).has_value());
}

TEST(MachineLoad, AReadThatFailsIsNotValid) {
  FakeTree tree;
  write_proc_stat(tree, 250);
  auto reader = MachineLoadReader::open(tree.root());
  ASSERT_TRUE(reader.has_value());
  tree.write("/proc/stat", "");
  EXPECT_FALSE((*reader)->read().valid);
}

TEST(CpuSlice, TightestQuotaOnTheWayUp) {
  FakeTree tree;
  tree.write("/proc/self/cgroup", "0::/a/b\n");
  tree.write("/sys/fs/cgroup/cgroup.controllers", "cpu\n");
  tree.write("/sys/fs/cgroup/a/cpu.max", "100000 100000\n");
  tree.write("/sys/fs/cgroup/a/b/cpu.max", "400000 100000\n");
  tree.write("/sys/fs/cgroup/a/memory.max", "1073741824\n");
  tree.write("/sys/fs/cgroup/a/b/memory.max", "max\n");
  const CpuSlice slice = find_cpu_slice(tree.root());
  EXPECT_DOUBLE_EQ(slice.quota_cpus, 1.0);
  EXPECT_EQ(slice.usage_path, "/sys/fs/cgroup/a/cpu.stat");
  EXPECT_DOUBLE_EQ(slice.memory_limit_bytes, 1073741824.0);
}

TEST(CpuSlice, V1InsideAContainerThatShowsHostPaths) {
  FakeTree tree;
  tree.write("/proc/self/cgroup", "4:cpu,cpuacct:/docker/0123\n3:memory:/docker/0123\n0::/docker/0123\n");
  tree.write("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "150000\n");
  tree.write("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  tree.write("/sys/fs/cgroup/cpu,cpuacct/cpuacct.usage", "1\n");
  tree.write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  const CpuSlice slice = find_cpu_slice(tree.root());
  EXPECT_DOUBLE_EQ(slice.quota_cpus, 1.5);
  EXPECT_TRUE(slice.usage_is_cpuacct);
  EXPECT_EQ(slice.usage_path, "/sys/fs/cgroup/cpu,cpuacct/cpuacct.usage");
  EXPECT_EQ(slice.memory_limit_bytes, 0);
}

TEST(CpuSlice, UnlimitedAndHostilePaths) {
  FakeTree tree;
  tree.write("/proc/self/cgroup", "0::/../../etc\n:::\n4:cpu\n");
  tree.write("/sys/fs/cgroup/cgroup.controllers", "cpu\n");
  tree.write("/sys/fs/cgroup/cpu.max", "max 100000\n");
  EXPECT_EQ(find_cpu_slice(tree.root()).quota_cpus, 0);
  EXPECT_EQ(cgroup_path("4:cpu,cpuacct:/a:b\n0::/c\n", "cpu"), "/a:b");
  EXPECT_EQ(cgroup_path("4:cpu,cpuacct:/a\n0::/c\n", ""), "/c");
  EXPECT_EQ(cgroup_path("4:cpuset:/a\n", "cpu"), "");
}

}  // namespace
}  // namespace joulery::power
