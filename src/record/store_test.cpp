#include "record/store.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>

#include "base/ids.hpp"

namespace joulery::record {
namespace {

template <class T>
T must(Result<T> result) {
  if (!result) {
    ADD_FAILURE() << result.error().message;
    std::abort();
  }
  return std::move(*result);
}
void must(const Status& status) {
  ASSERT_TRUE(status.has_value()) << status.error().message;
}

class StoreTest : public ::testing::Test {
 protected:
  StoreTest() {
    char name[] = "/tmp/joulery-store-XXXXXX";
    folder_ = ::mkdtemp(name);
    store_ = must(open_sqlite_store(path(), options()));
  }
  ~StoreTest() override {
    store_.reset();
    std::filesystem::remove_all(folder_);
  }
  SqliteStoreOptions options() const {
    SqliteStoreOptions options;
    options.clock = &clock_;
    return options;
  }
  std::string path() const { return folder_ + "/joulery.db"; }
  void reopen() {
    store_.reset();
    store_ = must(open_sqlite_store(path(), options()));
  }
  std::string add_run(const std::string& name, std::int64_t start_s = 0,
                      const std::string& experiment = "Default") {
    record::Run run;
    run.id = make_run_id(clock_.realtime_ns());
    run.name = name;
    run.experiment = experiment;
    run.start_utc_ns = (1'700'000'000 + start_s) * kNanosecondsPerSecond;
    must(store_->put_run(run));
    return run.id;
  }
  ManualClock clock_;
  std::string folder_;
  std::unique_ptr<Store> store_;
};

TEST_F(StoreTest, RunRoundTrips) {
  must(store_->put_host({"host-1", "box", "CPU", 8, 16e9, "Debian", true}));
  must(store_->put_boot({"boot-1", "host-1", 42}));
  record::Run run;
  run.id = "0123456789abcdef0123456789abcdef";
  run.name = "first";
  run.experiment = "digits";
  run.user = "me";
  run.status = RunStatus::finished;
  run.start_utc_ns = 1'700'000'000'000'000'001;
  run.end_utc_ns = 1'700'000'001'000'000'002;
  run.start_boottime_ns = 5;
  run.end_boottime_ns = 6;
  run.host_id = "host-1";
  run.boot_id = "boot-1";
  run.params = {{"lr", "0.1"}, {"quote'\"", "'; DROP TABLE runs; --"}};
  run.tags = {{"team", "vision"}, {"empty", ""}};
  run.metrics = {{"energy_joules", {12.5, 1000, 3}}, {"nan", {std::nan(""), 1, 0}}};
  must(store_->put_run(run));
  reopen();
  const record::Run read = must(store_->run(run.id));
  EXPECT_EQ(read.name, "first");
  EXPECT_EQ(read.experiment, "digits");
  EXPECT_EQ(read.user, "me");
  EXPECT_EQ(read.status, RunStatus::finished);
  EXPECT_EQ(read.start_utc_ns, run.start_utc_ns);
  EXPECT_EQ(read.end_utc_ns, run.end_utc_ns);
  EXPECT_EQ(read.start_boottime_ns, 5);
  EXPECT_EQ(read.end_boottime_ns, 6);
  EXPECT_EQ(read.host_id, "host-1");
  EXPECT_EQ(read.boot_id, "boot-1");
  EXPECT_EQ(read.params, run.params);
  EXPECT_EQ(read.tags, run.tags);
  ASSERT_EQ(read.metrics.size(), 2U);
  EXPECT_EQ(read.metrics[0].key, "energy_joules");
  EXPECT_EQ(read.metrics[0].point.value, 12.5);
  EXPECT_EQ(read.metrics[0].point.timestamp_ms, 1000);
  EXPECT_EQ(read.metrics[0].point.step, 3);
  EXPECT_TRUE(std::isnan(read.metrics[1].point.value));
}

}  // namespace
}  // namespace joulery::record
