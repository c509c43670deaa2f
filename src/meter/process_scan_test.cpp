#include "meter/process_scan.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "base/test_folder.hpp"

namespace joulery::meter {
namespace {

namespace fs = std::filesystem;

std::string stat_text(int pid, const std::string& name, char state, int parent, long user, long system,
                      long waited_user, long waited_system, int threads, long pages) {
  return std::to_string(pid) + " (" + name + ") " + state + " " + std::to_string(parent) +
         " 1 1 0 -1 4194304 10 20 0 0 " + std::to_string(user) + " " + std::to_string(system) + " " +
         std::to_string(waited_user) + " " + std::to_string(waited_system) + " 20 0 " +
         std::to_string(threads) + " 0 4242 1000000 " + std::to_string(pages) +
         " 18446744073709551615 1 1 0 0 0 0\n";
}

TEST(ProcessStatTest, ReadsTheFields) {
  const auto stat = parse_process_stat(stat_text(77, "bash", 'S', 5, 100, 20, 7, 3, 1, 800));
  ASSERT_TRUE(stat.has_value());
  EXPECT_EQ(stat->pid, 77);
  EXPECT_EQ(stat->state, 'S');
  EXPECT_EQ(stat->parent, 5);
  EXPECT_EQ(stat->own_ticks, 120u);
  EXPECT_EQ(stat->waited_ticks, 10u);
  EXPECT_EQ(stat->threads, 1);
  EXPECT_EQ(stat->start_ticks, 4242u);
  EXPECT_EQ(stat->resident_pages, 800u);
  EXPECT_TRUE(stat->alive());
}

TEST(ProcessStatTest, NamesMayHoldAnything) {
  for (const std::string name : {"a b", "x) R 1 (y", "((", "", ") ", "new\nline"}) {
    const auto stat = parse_process_stat(stat_text(77, name, 'R', 5, 1, 2, 3, 4, 2, 9));
    ASSERT_TRUE(stat.has_value()) << name;
    EXPECT_EQ(stat->parent, 5) << name;
    EXPECT_EQ(stat->own_ticks, 3u) << name;
  }
}

TEST(ProcessStatTest, RefusesWhatIsNoStatFile) {
  const std::string whole = stat_text(77, "bash", 'S', 5, 100, 20, 7, 3, 1, 800);
  for (const std::string& text :
       {std::string(), std::string("77"), std::string("77 (bash"), std::string("x (bash) S 1 2"),
        std::string("-7 (bash) S 1"), whole.substr(0, 40),
        std::string("77 (bash) S 5 1 1 0 -1 0 0 0 0 0 x y z")}) {
    EXPECT_FALSE(parse_process_stat(text).has_value()) << text;
  }
}

TEST(ProcessStatTest, NegativeTimesCountAsNothing) {
  // Kernels have shown a cutime of -1 in a race.
  const auto stat = parse_process_stat(stat_text(77, "bash", 'S', 5, 100, 20, -1, 3, 1, -5));
  ASSERT_TRUE(stat.has_value());
  EXPECT_EQ(stat->waited_ticks, 3u);
  EXPECT_EQ(stat->resident_pages, 0u);
}

TEST(ProcessStatTest, ZombieLeaderWithThreadsIsAlive) {
  EXPECT_FALSE(parse_process_stat(stat_text(7, "z", 'Z', 5, 1, 1, 0, 0, 1, 0))->alive());
  EXPECT_TRUE(parse_process_stat(stat_text(7, "z", 'Z', 5, 1, 1, 0, 0, 3, 0))->alive());
}

/// A made-up /proc. Ticks are 10 ms and pages 4 KiB on every machine that this is built for.
class FakeProc : public testing::Test {
 protected:
  FakeProc() { fs::create_directories(folder_.path("/proc")); }
  void write(int pid, const std::string& name, const std::string& text) const {
    folder_.write("/proc/" + std::to_string(pid) + "/" + name, text);
  }
  void process(int pid, int parent, char state, long own, long waited, int threads = 1) {
    write(pid, "stat", stat_text(pid, "p", state, parent, own, 0, waited, 0, threads, 10));
  }
  void schedstat(int pid, const std::string& text) { write(pid, "schedstat", text); }
  void memory(int pid, const std::string& statm, const std::string& rollup) {
    write(pid, "statm", statm);
    if (!rollup.empty()) write(pid, "smaps_rollup", rollup);
  }
  void children(int pid, int task, const std::string& text) {
    write(pid, "task/" + std::to_string(task) + "/children", text);
  }
  TreeScan scan(int ancestor, const std::vector<int>& excluded = {}) {
    auto scanner = ProcessScanner::open(SystemRoot(folder_.path()));
    EXPECT_TRUE(scanner.has_value());
    return scanner->scan_descendants(ancestor, excluded, true);
  }
  TestFolder folder_;
};

TEST_F(FakeProc, SumsDescendantsWithoutChildrenFiles) {
  process(1, 0, 'S', 1'000, 0);
  process(10, 1, 'S', 500, 0);  // us
  process(40, 10, 'S', 100, 50);
  memory(40, "9 7 1 1 0 1 0\n", "");
  process(20, 40, 'R', 10, 0);  // a child with a lower number
  memory(20, "9 8 1 1 0 1 0\n", "00400000-7ffc 00:00 0 [rollup]\nRss:  32 kB\nPss:  12 kB\nPss_Anon: 4 kB\n");
  process(30, 1, 'R', 7'000, 0);  // a neighbour
  process(41, 10, 'Z', 3, 0);
  const TreeScan sum = scan(10);
  EXPECT_NEAR(sum.cpu_seconds, 1.63, 1e-9);
  EXPECT_EQ(sum.processes, 2);
  // Of one the kernel tells what it shares with others, of the other only what is resident.
  EXPECT_DOUBLE_EQ(sum.memory_bytes, 7 * static_cast<double>(::sysconf(_SC_PAGESIZE)) + 12 * 1024);
}

TEST_F(FakeProc, FollowsChildrenFilesOfAllThreads) {
  folder_.write("/proc/thread-self/children", "");
  process(10, 1, 'S', 0, 0);
  children(10, 10, "40 41 ");
  process(40, 10, 'S', 100, 0, 2);
  children(40, 40, "");
  children(40, 44, "50 ");
  process(41, 10, 'S', 200, 0);
  children(41, 41, "");
  process(50, 40, 'S', 300, 0);
  children(50, 50, "");
  process(60, 10, 'S', 5'000, 0);  // not in any list: its parent is not who its stat says by now
  EXPECT_NEAR(scan(10).cpu_seconds, 6.0, 1e-9);
  EXPECT_NEAR(scan(10, {41}).cpu_seconds, 4.0, 1e-9);
}

TEST_F(FakeProc, PrefersNanosecondsForOneThread) {
  process(10, 1, 'S', 0, 0);
  process(40, 10, 'S', 12, 0);
  schedstat(40, "127500000 5 6\n");
  EXPECT_NEAR(scan(10).cpu_seconds, 0.1275, 1e-12);
  // Threads that have ended are in the ticks only.
  schedstat(40, "1000 5 6\n");
  EXPECT_NEAR(scan(10).cpu_seconds, 0.12, 1e-12);
  schedstat(40, "nonsense");
  EXPECT_NEAR(scan(10).cpu_seconds, 0.12, 1e-12);
}

TEST_F(FakeProc, TellsWhichCgroupAProcessIsIn) {
  const auto cgroup = [&](int pid, const std::string& text) {
    process(pid, 1, 'S', 0, 0);
    write(pid, "cgroup", text);
  };
  cgroup(10, "0::/user.slice/joulery-1-2-abc\n");
  cgroup(11, "4:cpu:/joulery-1-2-abc/x\n0::/user.slice/joulery-1-2-abc/inner\n");
  cgroup(12, "0::/user.slice/joulery-1-2-abcd\n");
  cgroup(13, "4:cpu:/joulery-1-2-abc\n0::/\n");
  cgroup(14, "joulery-1-2-abc");
  auto scanner = ProcessScanner::open(SystemRoot(folder_.path()));
  ASSERT_TRUE(scanner.has_value());
  EXPECT_TRUE(scanner->in_cgroup(10, "joulery-1-2-abc"));
  EXPECT_TRUE(scanner->in_cgroup(11, "joulery-1-2-abc"));
  for (const int other : {12, 13, 14, 15})
    EXPECT_FALSE(scanner->in_cgroup(other, "joulery-1-2-abc")) << other;
  EXPECT_FALSE(scanner->in_cgroup(10, ""));
}

TEST_F(FakeProc, GarbageIsSkipped) {
  process(10, 1, 'S', 0, 0);
  process(40, 10, 'S', 100, 0);
  write(99, "stat", "99 (broken");
  fs::create_directories(folder_.path("/proc/0"));
  fs::create_directories(folder_.path("/proc/99999999999999999999"));
  fs::create_directories(folder_.path("/proc/12x"));
  EXPECT_NEAR(scan(10).cpu_seconds, 1.0, 1e-9);
}

TEST(ProcessScannerTest, NoProcIsAnError) {
  EXPECT_FALSE(ProcessScanner::open(SystemRoot("/nowhere")).has_value());
}

TEST(ProcessScannerTest, SeesARealChild) {
  auto scanner = ProcessScanner::open(SystemRoot("/"));
  ASSERT_TRUE(scanner.has_value());
  const int child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  const TreeScan sum = scanner->scan_descendants(::getpid(), {}, true);
  EXPECT_EQ(sum.processes, 1);
  EXPECT_GT(sum.memory_bytes, 0);
  EXPECT_GT(scanner->resident_bytes(child), 0);
  EXPECT_EQ(scanner->stat(child)->parent, ::getpid());
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_FALSE(scanner->stat(child).has_value());
  EXPECT_EQ(scanner->resident_bytes(child), 0);
}

}  // namespace
}  // namespace joulery::meter
