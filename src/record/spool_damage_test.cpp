#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

#include "record/spool_fixture.hpp"

namespace joulery::record {
namespace {

class SpoolDamageTest : public SpoolTest {
 protected:
  std::string damaged_tag(const std::string& id) {
    const record::Run run = must(store_->run(id));
    const auto tag = run.tags.find("joulery.damaged");
    return tag == run.tags.end() ? "" : tag->second;
  }
  std::size_t runs() { return must(store_->search_runs({})).size(); }
  /// Where the frames of a spool begin; its size at the end.
  static std::vector<std::size_t> frame_starts(const std::string& bytes) {
    std::vector<std::size_t> starts;
    std::uint32_t size = 0;
    for (std::size_t at = kSpoolHeaderBytes; at < bytes.size(); at += kFrameHeaderBytes + size) {
      starts.push_back(at);
      std::memcpy(&size, bytes.data() + at, sizeof size);
    }
    starts.push_back(bytes.size());
    return starts;
  }
};

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

TEST_F(SpoolDamageTest, ADamagedByteStoresAllBeforeItsFrameAndMovesTheFileAside) {
  const std::string whole = abandoned(spooled_run("first"), 6, true);
  const std::string first = file_bytes(whole);
  std::filesystem::remove(whole);
  for (std::size_t at = 0; at < first.size(); at += 7) {
    const record::Run run = spooled_run("damaged " + std::to_string(at));
    const std::string path = abandoned(run, 6, true);
    std::string damaged = file_bytes(path);
    ASSERT_GE(damaged.size(), first.size());
    const auto starts = frame_starts(damaged);
    damaged[at] = static_cast<char>(damaged[at] ^ 0x20);
    write_bytes(path, damaged);
    const std::size_t runs_before = runs();
    const auto report = must(ingest_all_spools(spools(), *store_));
    if (at >= kSpoolMagic.size() && at < kSpoolHeaderBytes) {
      ASSERT_EQ(report.kept.size(), 1U) << "another version, says byte " << at;
      std::filesystem::remove(path);
      continue;
    }
    EXPECT_TRUE(report.kept.empty());
    ASSERT_EQ(report.refused.size(), 1U) << at;
    EXPECT_EQ(report.refused[0].path, path);
    EXPECT_FALSE(std::filesystem::exists(path));
    EXPECT_TRUE(file_bytes(report.refused[0].moved_to) == damaged);
    const auto again = must(ingest_all_spools(spools(), *store_));
    EXPECT_TRUE(again.refused.empty() && again.kept.empty());
    if (at < starts[1]) {
      EXPECT_EQ(runs(), runs_before) << "no run frame is whole, yet something is stored";
      continue;
    }
    // Frames: the run, six blocks, the document, the end.
    std::size_t intact = 0;
    while (starts[intact + 1] <= at) ++intact;
    EXPECT_EQ(report.ingested_run_ids, std::vector<std::string>{run.id});
    EXPECT_EQ(stored_samples(run.id), std::min<std::size_t>(intact - 1, 6) * 10) << at;
    EXPECT_EQ(must(store_->evidence("run:" + run.id)).size(), intact > 7 ? 1U : 0U) << at;
    EXPECT_EQ(must(store_->run(run.id)).status, RunStatus::killed);
    const std::string byte = "byte " + std::to_string(starts[intact]);
    const std::string lost = std::to_string(damaged.size() - starts[intact]) + " of ";
    EXPECT_NE(damaged_tag(run.id).find(byte), std::string::npos) << damaged_tag(run.id);
    EXPECT_NE(damaged_tag(run.id).find(lost), std::string::npos) << damaged_tag(run.id);
    EXPECT_NE(report.refused[0].reason.find(byte), std::string::npos) << report.refused[0].reason;
  }
}

TEST_F(SpoolDamageTest, ZerosBehindTheLastFrameAreAnUnfinishedWrite) {
  for (const std::size_t zeros : {1U, 16U, 17U, 18U, 50U, 4096U, 3'000'000U}) {
    const record::Run run = spooled_run("zeros " + std::to_string(zeros));
    const std::string path = abandoned(run, 4, false);
    write_bytes(path, file_bytes(path) + std::string(zeros, '\0'));
    const auto report = must(ingest_all_spools(spools(), *store_));
    EXPECT_TRUE(report.refused.empty() && report.kept.empty()) << zeros;
    EXPECT_EQ(report.recovered_run_ids, std::vector<std::string>{run.id}) << zeros;
    if (report.recovered_run_ids.empty()) continue;
    EXPECT_EQ(stored_samples(run.id), 40U);
    EXPECT_EQ(damaged_tag(run.id), "");
    EXPECT_FALSE(has_spools(spools()));
  }
}

TEST_F(SpoolDamageTest, AFrameThatTurnsToZerosUpToTheEndIsAnUnfinishedWrite) {
  const record::Run run = spooled_run("page");
  const std::string path = abandoned(run, 5, true);
  const std::string bytes = file_bytes(path);
  const auto starts = frame_starts(bytes);
  // Within the head of block 4, then within its payload.
  for (const std::size_t from : {starts[4] + 3, starts[4] + kFrameHeaderBytes + 2}) {
    write_bytes(path, bytes.substr(0, from) + std::string(bytes.size() - from + 5000, '\0'));
    const auto report = must(ingest_all_spools(spools(), *store_));
    EXPECT_TRUE(report.refused.empty() && report.kept.empty()) << from;
    ASSERT_EQ(report.recovered_run_ids.size(), 1U) << from;
    EXPECT_EQ(stored_samples(run.id), 30U);
  }
}

TEST_F(SpoolDamageTest, ZerosWithSomethingBehindThemAreDamage) {
  const record::Run run = spooled_run("hole");
  const std::string path = abandoned(run, 4, false);
  const std::size_t size = file_bytes(path).size();
  write_bytes(path, file_bytes(path) + std::string(5000, '\0') + "x");
  const auto report = must(ingest_all_spools(spools(), *store_));
  EXPECT_EQ(report.refused.size(), 1U);
  ASSERT_EQ(report.ingested_run_ids.size(), 1U);
  EXPECT_EQ(stored_samples(run.id), 40U);
  EXPECT_NE(damaged_tag(run.id).find("5001 of "), std::string::npos) << damaged_tag(run.id);
  EXPECT_NE(damaged_tag(run.id).find("byte " + std::to_string(size)), std::string::npos);
}

TEST_F(SpoolDamageTest, ARunThatHadEndedKeepsItsStatus) {
  record::Run run = spooled_run("ended");
  run.status = RunStatus::failed;
  run.end_utc_ns = run.start_utc_ns + 9;
  run.end_boottime_ns = run.start_boottime_ns + 9'000'000'000;
  const std::string path = abandoned(run, 2, true);
  write_bytes(path, file_bytes(path) + "what is this doing here?");
  const auto report = must(ingest_all_spools(spools(), *store_));
  EXPECT_EQ(report.refused.size(), 1U);
  ASSERT_EQ(report.ingested_run_ids.size(), 1U);
  EXPECT_TRUE(report.recovered_run_ids.empty());
  const record::Run read = must(store_->run(run.id));
  EXPECT_EQ(read.status, RunStatus::failed);
  EXPECT_EQ(read.end_utc_ns, run.end_utc_ns);
  EXPECT_EQ(read.tags.count("joulery.recovered"), 0U);
  EXPECT_NE(damaged_tag(run.id), "");
}

TEST_F(SpoolDamageTest, ADamagedFileIsNeverStoredTwice) {
  record::Run run = spooled_run("twice");
  run.status = RunStatus::finished;
  const std::string path = abandoned(run, 4, true);
  const std::string whole = file_bytes(path);
  std::string damaged = whole;
  damaged[frame_starts(whole)[3] + 25] ^= 1;
  for (int time = 0; time < 2; ++time) {
    write_bytes(path, damaged);
    EXPECT_EQ(must(ingest_all_spools(spools(), *store_)).refused.size(), 1U);
    EXPECT_EQ(stored_samples(run.id), 20U);
    EXPECT_EQ(runs(), 1U);
  }
  // Mended by hand and moved back up: all of it, and no word of damage.
  write_bytes(path, whole);
  EXPECT_TRUE(must(ingest_all_spools(spools(), *store_)).refused.empty());
  EXPECT_EQ(stored_samples(run.id), 40U);
  EXPECT_EQ(damaged_tag(run.id).find("byte"), std::string::npos);
  // The damaged copy takes nothing away from what is whole.
  record::Run stored = must(store_->run(run.id));
  write_bytes(path, damaged);
  const auto report = must(ingest_all_spools(spools(), *store_));
  ASSERT_EQ(report.refused.size(), 1U);
  EXPECT_NE(report.refused[0].reason.find("stays as it is"), std::string::npos) << report.refused[0].reason;
  EXPECT_TRUE(report.ingested_run_ids.empty());
  EXPECT_EQ(must(store_->run(run.id)).tags, stored.tags);
  EXPECT_EQ(must(store_->run(run.id)).status, stored.status);
  EXPECT_EQ(stored_samples(run.id), 40U);
}

}  // namespace
}  // namespace joulery::record
