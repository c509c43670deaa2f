#include "meter/cgroup.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/test_folder.hpp"

namespace joulery::meter {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPure =
    "35 24 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
constexpr const char* kHybrid =
    "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

TEST(CgroupMountTest, FindsTheUnifiedHierarchy) {
  const auto pure = parse_cgroup_mounts(kPure);
  ASSERT_EQ(pure.size(), 1u);
  EXPECT_EQ(pure[0].mount_point, "/sys/fs/cgroup");
  EXPECT_EQ(pure[0].root, "/");
  const auto hybrid = parse_cgroup_mounts(kHybrid);
  ASSERT_EQ(hybrid.size(), 1u);
  EXPECT_EQ(hybrid[0].mount_point, "/sys/fs/cgroup/unified");
  EXPECT_EQ(parse_cgroup_mounts("1 2 0:1 / /my\\040cgroups rw - cgroup2 none rw\n")[0].mount_point,
            "/my cgroups");
}

TEST(CgroupMountTest, GarbageHasNoMounts) {
  for (const char* text :
       {"", "\n\n", "- cgroup2", "1 2 3 - cgroup2 x", "1 2 0:1 / /x rw - cgroup2", "1 2 0:1 / /x rw -"}) {
    for (const auto& mount : parse_cgroup_mounts(text)) EXPECT_EQ(mount.mount_point, "/x") << text;
  }
  EXPECT_TRUE(parse_cgroup_mounts("1 2 0:1 / /x rw - cgroup none rw\n").empty());
}

TEST(CgroupMountTest, ReadsOurPath) {
  EXPECT_EQ(parse_unified_path("9:name=systemd:/a\n1:cpu:/b\n0::/user.slice/x\n"), "/user.slice/x");
  EXPECT_EQ(parse_unified_path("0::/\n"), "/");
  EXPECT_FALSE(parse_unified_path("1:cpu:/b\n").has_value());
  EXPECT_FALSE(parse_unified_path("").has_value());
}

TEST(CgroupNameTest, IsReadBack) {
  const CgroupName name{12, 3456, "ab12"};
  EXPECT_EQ(name.text(), "joulery-12-3456-ab12");
  const auto parsed = CgroupName::parse(name.text());
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->pid, 12);
  EXPECT_EQ(parsed->start_ticks, 3456u);
  for (const char* other : {"", "joulery-", "joulery-1-2", "joulery-1-2-", "joulery-0-2-a", "joulery--1-2-a",
                            "joulery-1-x-a", "joulery-1-2-a-b", "user.slice", "joulery-99999999999-1-a"}) {
    EXPECT_FALSE(CgroupName::parse(other).has_value()) << other;
  }
}

class FakeCgroups : public testing::Test {
 protected:
  void write(const std::string& path, const std::string& text) const { folder_.write(path, text); }
  void own(const std::string& mountinfo, const std::string& cgroup) const {
    write("/proc/self/mountinfo", mountinfo);
    write("/proc/self/cgroup", cgroup);
  }
  std::string reason() const {
    const auto folder = own_cgroup_folder(root_);
    return folder.has_value() ? "found " + *folder : folder.error().message;
  }
  TestFolder folder_;
  SystemRoot root_{folder_.path()};
};

TEST_F(FakeCgroups, FindsOurFolderInPureAndHybridSetUps) {
  own(kPure, "0::/user.slice/a\n");
  write("/sys/fs/cgroup/user.slice/a/cgroup.procs", "");
  EXPECT_EQ(reason(), "found /sys/fs/cgroup/user.slice/a");
  own(kHybrid, "1:cpu:/elsewhere\n0::/\n");
  write("/sys/fs/cgroup/unified/cgroup.procs", "");
  EXPECT_EQ(reason(), "found /sys/fs/cgroup/unified");
}

TEST_F(FakeCgroups, FindsOurFolderInAContainerThatSeesHostPaths) {
  own("35 24 0:30 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n", "0::/docker/abc\n");
  write("/sys/fs/cgroup/cgroup.procs", "");
  EXPECT_EQ(reason(), "found /sys/fs/cgroup");
  own("35 24 0:30 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n", "0::/docker/abc/inner\n");
  write("/sys/fs/cgroup/inner/cgroup.procs", "");
  EXPECT_EQ(reason(), "found /sys/fs/cgroup/inner");
}

TEST_F(FakeCgroups, SaysWhatIsInTheWay) {
  EXPECT_NE(reason().find("/proc/self/cgroup"), std::string::npos);
  own(kPure, "1:cpu:/\n");
  EXPECT_NE(reason().find("no cgroup v2"), std::string::npos);
  own("32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n", "0::/\n");
  EXPECT_NE(reason().find("no cgroup v2 hierarchy is mounted"), std::string::npos);
  own(kPure, "0::/../../outside\n");
  EXPECT_NE(reason().find("outside our cgroup namespace"), std::string::npos);
  own("35 24 0:30 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n", "0::/docker/abcd\n");
  EXPECT_NE(reason().find("not below what is mounted"), std::string::npos);
  own(kPure, "0::/vanished\n");
  EXPECT_NE(reason().find("not there"), std::string::npos);
}

TEST_F(FakeCgroups, ReadsUsageAndMemory) {
  write("/proc/x", "");
  write("/c/cpu.stat", "usage_usec 1500000\nuser_usec 1\n");
  write("/c/memory.current", "1000\n");
  write("/c/memory.peak", "5000\n");
  write("/c/cgroup.events", "populated 1\nfrozen 0\n");
  write("/c/cgroup.procs", "11\n12\n");
  ManualClock clock;
  auto reader = CgroupReader::open(root_, "/c", clock);
  ASSERT_TRUE(reader.has_value()) << reader.error().message;
  const WorkloadUsage usage = reader->read();
  EXPECT_TRUE(usage.valid);
  EXPECT_DOUBLE_EQ(usage.cpu_seconds, 1.5);
  EXPECT_DOUBLE_EQ(usage.memory_bytes, 1000);
  EXPECT_DOUBLE_EQ(usage.peak_memory_bytes, 5000);
  EXPECT_EQ(usage.processes, 2);
  EXPECT_TRUE(reader->populated());
  write("/c/cgroup.events", "populated 0\nfrozen 0\n");
  EXPECT_FALSE(reader->populated());
}

TEST_F(FakeCgroups, ACounterThatGoesBackOrBreaksIsNotBelieved) {
  write("/proc/x", "");
  write("/c/cpu.stat", "usage_usec 1500000\n");
  ManualClock clock;
  auto reader = CgroupReader::open(root_, "/c", clock);
  ASSERT_TRUE(reader.has_value());
  static_cast<void>(reader->read());
  write("/c/cpu.stat", "usage_usec 1000000\n");
  EXPECT_DOUBLE_EQ(reader->read().cpu_seconds, 1.5);
  write("/c/cpu.stat", "usage_usec many\n");
  const WorkloadUsage broken = reader->read();
  EXPECT_FALSE(broken.valid);
  EXPECT_DOUBLE_EQ(broken.cpu_seconds, 1.5);
  write("/c/cpu.stat", "usage_usec 2000000\n");
  EXPECT_TRUE(reader->read().valid);
}

TEST_F(FakeCgroups, WithoutCpuTimeThereIsNoReader) {
  write("/proc/x", "");
  const ManualClock clock;
  EXPECT_FALSE(CgroupReader::open(root_, "/c", clock).has_value());
  write("/c/cpu.stat", "nr_periods 0\n");
  EXPECT_FALSE(CgroupReader::open(root_, "/c", clock).has_value());
}

/// Real cgroups of this machine, if we may make some.
class RealCgroups : public testing::Test {
 protected:
  void SetUp() override {
    const auto folder = own_cgroup_folder(root_);
    if (!folder.has_value()) GTEST_SKIP() << folder.error().message;
    parent_ = *folder + "/joulery_cgroup_test_" + std::to_string(::getpid());
    if (::mkdir(parent_.c_str(), 0755) != 0) GTEST_SKIP() << "no right to make cgroups";
    made_ = true;
  }
  void TearDown() override {
    if (made_) remove_cgroup(root_, parent_);
  }
  std::string make(const std::string& name) const {
    const std::string folder = parent_ + "/" + name;
    EXPECT_EQ(::mkdir(folder.c_str(), 0755), 0);
    return folder;
  }
  SystemRoot root_{"/"};
  std::string parent_;
  bool made_ = false;
};

TEST_F(RealCgroups, RemovesOnlyEmptyCgroupsOfDeadOwners) {
  auto scanner = ProcessScanner::open(root_);
  ASSERT_TRUE(scanner.has_value());
  const auto self = scanner->stat(::getpid());
  ASSERT_TRUE(self.has_value());
  const std::string mine = make(CgroupName{self->pid, self->start_ticks, "a"}.text());
  const std::string reused_pid = make(CgroupName{self->pid, self->start_ticks + 1, "b"}.text());
  const std::string dead = make(CgroupName{(1 << 30) - 1, 5, "c"}.text());
  ASSERT_EQ(::mkdir((dead + "/inner").c_str(), 0755), 0);
  const std::string foreign = make("someone-else");
  EXPECT_EQ(remove_orphaned_cgroups(root_, parent_), 2);
  EXPECT_TRUE(fs::exists(mine));
  EXPECT_FALSE(fs::exists(reused_pid));
  EXPECT_FALSE(fs::exists(dead));
  EXPECT_TRUE(fs::exists(foreign));
}

TEST_F(RealCgroups, KeepsAnOrphanThatStillHasProcesses) {
  const std::string orphan = make(CgroupName{(1 << 30) - 1, 5, "d"}.text());
  const int child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  std::ofstream(orphan + "/cgroup.procs") << child << std::flush;
  EXPECT_EQ(remove_orphaned_cgroups(root_, parent_), 0);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(remove_orphaned_cgroups(root_, parent_), 1);
}

}  // namespace
}  // namespace joulery::meter
