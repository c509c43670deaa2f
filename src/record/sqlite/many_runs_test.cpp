// What thousands of runs at once do to the store that they are put in.

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <vector>

#include "record/sqlite/database.hpp"
#include "record/store_fixture.hpp"

namespace joulery::record {
namespace {

using sqlite::Database;

constexpr int kRuns = 10'000;

class ManyRuns final : public Store::TransactionBody {
 public:
  explicit ManyRuns(std::function<void()> at_end = {}) : at_end_(std::move(at_end)) {
    for (int i = 0; i < kRuns; ++i) {
      record::Run run;
      run.id = fmt::format("{:032x}", i);
      run.name = fmt::format("run-{}", i);
      run.experiment = "Default";
      run.tags = {{"text", std::string(300, 'x')}};
      runs_.push_back(run);
    }
  }
  Status run(Store& store) override {
    JOULERY_CHECK_OK(store.expect_runs(runs_.size()));
    JOULERY_CHECK_OK(store.put_runs(runs_));
    if (at_end_) at_end_();
    return {};
  }
  std::size_t most_runs() const override { return runs_.size(); }

 private:
  std::function<void()> at_end_;
  std::vector<record::Run> runs_;
};

class ManyRunsTest : public FolderTest {
 protected:
  ManyRunsTest() {
    auto store = must(open_sqlite_store(path()));
    record::Run run;
    run.id = "before";
    run.experiment = "Default";
    must(store->put_run(run));
  }
  std::string path() const { return folder_ + "/joulery.db"; }
  std::string pragma(const char* name) const {
    auto database = must(Database::open(path(), {.read_only = true}));
    auto statement = must(database->prepare(fmt::format("PRAGMA {}", name)));
    EXPECT_TRUE(must(statement.step()));
    return statement.text(0);
  }
  static std::size_t count(Store& store) { return must(store.search_runs({.max_results = 50'000})).size(); }
};

TEST_F(ManyRunsTest, AfterwardsTheStoreIsOneForManyAgain) {
  auto store = must(open_sqlite_store(path()));
  std::string during;
  ManyRuns many([&] { during = std::filesystem::exists(path() + "-journal") ? "journal" : "wal"; });
  must(store->transaction(many));
  EXPECT_EQ(during, "journal");
  EXPECT_EQ(pragma("journal_mode"), "wal");
  EXPECT_EQ(pragma("integrity_check"), "ok");
  EXPECT_FALSE(std::filesystem::exists(path() + "-journal"));
  EXPECT_EQ(count(*store), kRuns + 1U);
  // With the store still open here.
  EXPECT_EQ(count(*must(open_sqlite_store(path()))), kRuns + 1U);
}

TEST_F(ManyRunsTest, SomebodyElseWhoHasTheStoreOpenReadsOn) {
  auto other = must(open_sqlite_store(path()));
  EXPECT_EQ(count(*other), 1U);
  auto store = must(open_sqlite_store(path()));
  std::size_t seen = 99;
  ManyRuns many([&] { seen = count(*other); });
  must(store->transaction(many));
  EXPECT_EQ(seen, 1U);
  EXPECT_EQ(count(*other), kRuns + 1U);
}

TEST_F(ManyRunsTest, KilledMidwayNothingOfItIsThereAndAllElseIs) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    auto store = open_sqlite_store(path());
    ManyRuns many([] { ::kill(::getpid(), SIGKILL); });
    if (store) static_cast<void>((*store)->transaction(many));
    ::_exit(1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  ASSERT_TRUE(WIFSIGNALED(status));
  ASSERT_GT(std::filesystem::file_size(path() + "-journal"), 0U) << "nothing to undo";
  ASSERT_GT(std::filesystem::file_size(path()), 2'000'000U) << "nothing half written";
  auto store = must(open_sqlite_store(path(), {.read_only = true}));
  EXPECT_EQ(count(*store), 1U);
  store.reset();
  EXPECT_EQ(pragma("integrity_check"), "ok");
}

TEST_F(ManyRunsTest, FailureUndoesAllAndLeavesTheStoreAsItWas) {
  class Fails final : public Store::TransactionBody {
   public:
    Status run(Store& store) override {
      JOULERY_CHECK_OK(many_.run(store));
      return user_error("no");
    }
    std::size_t most_runs() const override { return many_.most_runs(); }

   private:
    ManyRuns many_;
  } fails;
  auto store = must(open_sqlite_store(path()));
  EXPECT_FALSE(store->transaction(fails));
  EXPECT_EQ(count(*store), 1U);
  EXPECT_EQ(pragma("journal_mode"), "wal");
  EXPECT_EQ(pragma("integrity_check"), "ok");
}

}  // namespace
}  // namespace joulery::record
