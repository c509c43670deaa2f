#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

#include "record/spool_fixture.hpp"

namespace joulery::record {
namespace {

class SpoolDamageTest : public SpoolTest {};

TEST_F(SpoolDamageTest, ManyWhoMeetTheSameDamagedFilesTellOfEachOnce) {
  constexpr int kProcesses = 12;
  constexpr int kFiles = 60;
  const std::string good = abandoned(spooled_run("damaged"), 2, true);
  const std::string bytes = file_bytes(good);
  for (int i = 0; i < kFiles; ++i) {
    std::string damaged = bytes;
    damaged[kSpoolHeaderBytes + 20] ^= 0x20;
    write_bytes(spools() + "/damaged" + std::to_string(i) + ".spool", damaged);
  }
  std::filesystem::remove(good);
  struct Told {
    std::atomic<int> ready, refused, kept, failed;
  };
  auto* told = static_cast<Told*>(
      ::mmap(nullptr, sizeof(Told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(static_cast<void*>(told), MAP_FAILED);
  std::vector<pid_t> children;
  for (int i = 0; i < kProcesses; ++i) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto store = open_sqlite_store(folder_ + "/shared.db");
      ++told->ready;
      while (told->ready < kProcesses) ::usleep(100);
      const auto report = store ? ingest_all_spools(spools(), **store) : Result<IngestReport>(user_error(""));
      if (!report) ++told->failed;
      if (report) told->refused += static_cast<int>(report->refused.size());
      if (report) told->kept += static_cast<int>(report->kept.size());
      ::_exit(0);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) ::waitpid(child, nullptr, 0);
  EXPECT_EQ(told->failed, 0);
  EXPECT_EQ(told->refused, kFiles);
  EXPECT_EQ(told->kept, 0) << "told that a file is still there which somebody else had moved";
  const std::filesystem::directory_iterator moved(spools() + "/refused");
  EXPECT_EQ(std::distance(begin(moved), end(moved)), kFiles);
  EXPECT_FALSE(has_spools(spools()));
  ::munmap(told, sizeof(Told));
}

}  // namespace
}  // namespace joulery::record
