// Opening: files that are no store, damaged, newer, read-only, on a network disk, or on a full one.

#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <random>

#include "base/soak.hpp"
#include "record/sqlite/schema.hpp"
#include "record/store_fixture.hpp"

namespace joulery::record {
namespace {

using sqlite::Database;

unsigned mode_of(const std::string& path) {
  struct stat info{};
  EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 0777;
}

void fill(Store& store, int runs) {
  must(store.put_host({"h", "box", "CPU", 1, 1, "os", false}));
  must(store.put_device({"cpu", "h", "CPU", "package", "model", "", "modelled", 0.5, 2, "guess"}));
  for (int i = 0; i < runs; ++i) {
    record::Run run;
    run.id = sha256_hex(std::to_string(i)).substr(0, 32);
    run.name = "run " + std::to_string(i);
    run.experiment = "e" + std::to_string(i % 3);
    run.host_id = "h";
    run.start_utc_ns = i;
    run.params = {{"p", std::string(50, 'x')}};
    run.tags = {{"t", std::to_string(i)}};
    run.metrics = {{"m", {double(i), i, i}}};
    must(store.put_run(run));
    std::vector<MetricPoint> points;
    for (int j = 0; j < 400; ++j) points.push_back({double(j) / 7, j, j});
    const MetricBatch batch{run.id, "", 0, {{"loss", points}}};
    must(store.log_metrics({&batch, 1}));
    PowerBlockEncoder encoder;
    encoder.begin(0);
    for (int j = 1; j < 50; ++j) encoder.add({j * std::int64_t{100'000'000}, 1.0 + j, 0});
    must(store.put_power_block(run.id, "cpu", 1, encoder.encode()));
    must(store.put_evidence({"run:" + run.id, "t", 1, "{}", sha256_hex("{}"), 1}));
  }
}

/// All that can be read; false as soon as something is refused, whose error must be of use.
bool read_everything(Store& store) {
  const auto fine = [](const auto& result) {
    if (result.has_value()) return true;
    EXPECT_FALSE(result.error().message.empty());
    return false;
  };
  const auto runs =
      store.search_runs({.filter = "metrics.m >= 0 and tags.t != 'x'", .order_by = {"params.p"}});
  if (!fine(runs)) return false;
  for (const auto& run : *runs) {
    if (!fine(store.run(run.id)) || !fine(store.metric_history(run.id, "loss", 0, 1000)) ||
        !fine(store.power_series(run.id)) || !fine(store.evidence("run:" + run.id))) {
      return false;
    }
  }
  return fine(store.experiments(true)) && fine(store.devices("h"));
}

class OpenTest : public FolderTest {
 protected:
  std::string path() const { return folder_ + "/joulery.db"; }
  void make_store(int runs) {
    auto store = must(open_sqlite_store(path()));
    fill(*store, runs);
  }
};

TEST_F(OpenTest, FileAndFolderArePrivate) {
  const std::string nested = folder_ + "/new/deeper/joulery.db";
  const mode_t before = ::umask(0);
  auto store = open_sqlite_store(nested);
  ::umask(before);
  ASSERT_TRUE(store.has_value()) << store.error().message;
  fill(**store, 1);
  EXPECT_EQ(mode_of(folder_ + "/new"), 0700U);
  EXPECT_EQ(mode_of(folder_ + "/new/deeper"), 0700U);
  EXPECT_EQ(mode_of(nested), 0600U);
  EXPECT_EQ(mode_of(nested + "-wal"), 0600U);
}

TEST_F(OpenTest, OddPathsAreFilesAndNothingElse) {
  for (const std::string name :
       {":memory:", "a b?mode=memory#x%41.db", "file:x?mode=memory", "ünïcode'\".db", "-wal"}) {
    const std::string odd = folder_ + "/" + name;
    {
      auto store = open_sqlite_store(odd);
      ASSERT_TRUE(store.has_value()) << name << ": " << store.error().message;
      fill(**store, 1);
    }
    EXPECT_TRUE(std::filesystem::exists(odd)) << name;
    EXPECT_TRUE(read_everything(*must(open_sqlite_store(odd, {.read_only = true})))) << name;
  }
  EXPECT_FALSE(open_sqlite_store("").has_value());
  EXPECT_FALSE(open_sqlite_store(std::string("/tmp/a\0b", 8)).has_value());
}

TEST_F(OpenTest, NoCreateNeedsAStore) {
  const auto absent = open_sqlite_store(path(), {.create = false});
  ASSERT_FALSE(absent.has_value());
  EXPECT_EQ(absent.error().kind, Error::Kind::environment);
  EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(OpenTest, LocalStoresUseWalAndNetworkStoresARollbackJournal) {
  auto local = must(open_sqlite_store(path(), {.filesystem = FilesystemKind::local}));
  EXPECT_TRUE(std::filesystem::exists(path() + "-wal"));
  const std::string far = folder_ + "/far.db";
  auto network = must(open_sqlite_store(far, {.filesystem = FilesystemKind::network}));
  fill(*network, 2);
  EXPECT_FALSE(std::filesystem::exists(far + "-wal"));
  EXPECT_FALSE(std::filesystem::exists(far + "-shm"));
  auto second = must(open_sqlite_store(far, {.filesystem = FilesystemKind::network}));
  EXPECT_TRUE(read_everything(*second));
}

TEST_F(OpenTest, NotADatabase) {
  const std::string text =
      "dear diary, this is not a database at all, but long enough to be one\n" + std::string(5000, 'z');
  write_bytes(path(), text);
  const auto refused = open_sqlite_store(path());
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().kind, Error::Kind::environment);
  EXPECT_NE(refused.error().hint.find(".recover"), std::string::npos);
  EXPECT_TRUE(file_bytes(path()) == text);
}

TEST_F(OpenTest, SomebodyElsesDatabaseIsNotTouched) {
  {
    auto database = must(Database::open(path(), {}));
    must(database->execute("CREATE TABLE theirs (a)"));
  }
  const std::string before = file_bytes(path());
  const auto refused = open_sqlite_store(path());
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find("not a Joulery store"), std::string::npos);
  EXPECT_TRUE(file_bytes(path()) == before);
}

TEST_F(OpenTest, NewerStoreIsNotTouched) {
  make_store(1);
  {
    auto database = must(Database::open(path(), {}));
    must(database->execute("PRAGMA user_version=99"));
  }
  const std::string before = file_bytes(path());
  for (const bool read_only : {false, true}) {
    const auto refused = open_sqlite_store(path(), {.read_only = read_only});
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().kind, Error::Kind::environment);
    EXPECT_NE(refused.error().message.find("version 99"), std::string::npos);
    EXPECT_NE(refused.error().message.find("up to 1"), std::string::npos);
    EXPECT_TRUE(file_bytes(path()) == before);
  }
}

TEST_F(OpenTest, MigrationsRunOnceInOrderAndTogether) {
  make_store(3);
  const char* first = sqlite::migrations()[0];
  {
    auto database = must(Database::open(path(), {}));
    const std::vector<const char*> broken{first, "CREATE TABLE added (a INTEGER) STRICT",
                                          "CREATE TABLE added (b)"};
    EXPECT_FALSE(sqlite::migrate(*database, broken, false).has_value());
    EXPECT_EQ(must(database->integer("PRAGMA user_version")), 1)
        << "a migration that fails leaves all as it was";
    EXPECT_FALSE(database->integer("SELECT count(*) FROM added").has_value());
    const std::vector<const char*> steps{first, "CREATE TABLE added (a INTEGER) STRICT",
                                         "INSERT INTO added SELECT count(*) FROM runs"};
    EXPECT_FALSE(sqlite::migrate(*database, steps, true).has_value())
        << "a read-only store can't be migrated";
    must(sqlite::migrate(*database, steps, false));
    must(sqlite::migrate(*database, steps, false));
    EXPECT_EQ(must(database->integer("PRAGMA user_version")), 3);
    EXPECT_EQ(must(database->integer("SELECT a FROM added")), 3);
    EXPECT_EQ(must(database->integer("SELECT count(*) FROM added")), 1);
  }
  EXPECT_FALSE(open_sqlite_store(path()).has_value()) << "now it is newer than this program";
}

TEST_F(OpenTest, ReadOnlyFolderCanBeReadNotWritten) {
  if (::geteuid() == 0 && ::mount("none", folder_.c_str(), "tmpfs", 0, "size=4m") != 0)
    GTEST_SKIP() << "no mount";
  make_store(2);
  const auto put = [](Store& store) {
    record::Run run;
    run.id = "abcd";
    run.experiment = "Default";
    return store.put_run(run);
  };
  if (::geteuid() == 0) {
    ASSERT_EQ(::mount("none", folder_.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, "size=4m"), 0);
  } else {
    std::filesystem::permissions(folder_, std::filesystem::perms(0500));
  }
  {
    auto store = open_sqlite_store(path(), {.read_only = true});
    ASSERT_TRUE(store.has_value()) << store.error().message;
    EXPECT_TRUE(read_everything(**store));
    const auto refused = put(**store);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().kind, Error::Kind::environment);
  }
  auto writable = open_sqlite_store(path());
  const Status refused = writable ? put(**writable) : Status(std::unexpected(writable.error()));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().kind, Error::Kind::environment);
  EXPECT_FALSE(refused.error().hint.empty());
  writable = {};
  if (::geteuid() == 0) ::umount(folder_.c_str());
}

TEST_F(OpenTest, FullDiskIsSaidAndChangesNothing) {
  if (::geteuid() != 0 || ::mount("none", folder_.c_str(), "tmpfs", 0, "size=1m") != 0)
    GTEST_SKIP() << "needs mount";
  {
    auto store = must(open_sqlite_store(path()));
    fill(*store, 2);
    Status status;
    int stored = 0;
    for (; stored < 1000 && status; ++stored) {
      record::Run run;
      run.id = "full" + std::to_string(stored);
      run.experiment = "Default";
      run.tags = {{"big", std::string(7000, 'x')}};
      status = store->put_run(run);
    }
    ASSERT_FALSE(status.has_value());
    EXPECT_EQ(status.error().kind, Error::Kind::environment);
    EXPECT_NE(status.error().message.find("no space"), std::string::npos) << status.error().message;
    EXPECT_FALSE(status.error().hint.empty());
    EXPECT_TRUE(read_everything(*store));
    EXPECT_EQ(must(store->search_runs({.filter = "tags.big LIKE 'x%'", .max_results = 5000})).size(),
              static_cast<std::size_t>(stored - 1));
  }
  ::umount(folder_.c_str());
}

class DamageTest : public OpenTest {
 protected:
  void SetUp() override {
    make_store(12);
    // Into one file, so that all damage is in that file.
    auto database = must(Database::open(path(), {}));
    must(database->execute("PRAGMA wal_checkpoint(TRUNCATE)"));
    database.reset();
    intact_ = file_bytes(path());
    ASSERT_GT(intact_.size(), 50'000U);
  }
  /// Never crashes; what is refused is said with a reason; a refused file is as it was.
  void try_damaged(const std::string& bytes, const std::string& what) {
    std::filesystem::remove(path() + "-wal");
    std::filesystem::remove(path() + "-shm");
    write_bytes(path(), bytes);
    auto store = open_sqlite_store(path(), {.create = false});
    const bool opened = store.has_value();
    if (!opened) {
      EXPECT_FALSE(store.error().message.empty()) << what;
      EXPECT_FALSE(store.error().hint.empty()) << what << ": " << store.error().message;
    }
    if (!opened || !read_everything(**store)) ++refused_;
    store = {};
    // A head that says "no WAL" but is fine otherwise is brought to WAL by opening it, which is no harm.
    const std::size_t from = opened ? 100 : 0;
    EXPECT_TRUE(file_bytes(path()).substr(std::min(from, bytes.size())) ==
                bytes.substr(std::min(from, bytes.size())))
        << what;
  }
  std::string intact_;
  int refused_ = 0;
};

TEST_F(DamageTest, TruncatedAnywhere) {
  for (std::size_t size = 1; size < intact_.size(); size += 1 + intact_.size() / 60) {
    try_damaged(intact_.substr(0, size), "cut to " + std::to_string(size));
  }
  EXPECT_GT(refused_, 50);
}

TEST_F(DamageTest, FlippedBytesAnywhere) {
  std::mt19937 random(11);
  for (int i = 0; i < soak_count(300, 20'000); ++i) {
    std::string bytes = intact_;
    // The first pages and the heads of pages hold what steers the reading.
    const std::size_t page = random() % (bytes.size() / 4096);
    const std::size_t at = i % 3 == 0 ? random() % bytes.size() : page * 4096 + random() % 16;
    for (int j = 0; j < 4; ++j) bytes[std::min(at + j, bytes.size() - 1)] = static_cast<char>(random());
    try_damaged(bytes, "flipped at " + std::to_string(at));
  }
  EXPECT_GT(refused_, 20);
}

TEST_F(DamageTest, ZeroedPages) {
  for (std::size_t page = 0; page < intact_.size() / 4096; ++page) {
    std::string bytes = intact_;
    bytes.replace(page * 4096, 4096, std::string(4096, '\0'));
    try_damaged(bytes, "zeroed page " + std::to_string(page));
  }
  EXPECT_GT(refused_, 5);
}

TEST_F(DamageTest, AnIndexInTheWrongOrderGivesNoRunWhatIsAnothers) {
  constexpr std::size_t kPage = 4096;
  constexpr char kLeafOfIndex = 0x0A;
  constexpr std::size_t kHead = 8;
  int noticed = 0;
  for (std::size_t start = 0; start + kPage <= intact_.size(); start += kPage) {
    if (intact_[start] != kLeafOfIndex) continue;
    std::string bytes = intact_;
    const auto entries =
        static_cast<unsigned char>(bytes[start + 3]) * 256U + static_cast<unsigned char>(bytes[start + 4]);
    const auto pointers = bytes.begin() + static_cast<std::ptrdiff_t>(start + kHead);
    for (unsigned i = 0; i < entries / 2; ++i) {
      const auto other = pointers + 2 * static_cast<std::ptrdiff_t>(entries - 1 - i);
      std::swap_ranges(pointers + 2 * i, pointers + 2 * i + 2, other);
    }
    write_bytes(path(), bytes);
    auto store = must(open_sqlite_store(path(), {.read_only = true}));
    for (int i = 0; i < 12; ++i) {
      const std::string id = sha256_hex(std::to_string(i)).substr(0, 32);
      const auto run = store->run(id);
      if (run) {
        EXPECT_EQ(run->id, id);
        // What a damaged index hides is missing; what it shows must be this run's.
        if (run->tags.contains("t")) EXPECT_EQ(run->tags.at("t"), std::to_string(i));
      } else if (run.error().message.find("not where it should be") != std::string::npos) {
        EXPECT_EQ(run.error().kind, Error::Kind::environment);
        ++noticed;
      }
    }
  }
  EXPECT_GT(noticed, 0);
}

TEST_F(DamageTest, ChangedEvidenceIsNoticed) {
  {
    auto database = must(Database::open(path(), {}));
    must(database->execute("UPDATE evidence SET json = CAST('{\"joules\": 0}' AS BLOB)"));
  }
  auto store = must(open_sqlite_store(path()));
  const std::string subject = "run:" + must(store->run("last")).id;
  const auto refused = store->evidence(subject);
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find(subject), std::string::npos);
}

}  // namespace
}  // namespace joulery::record
