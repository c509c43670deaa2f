#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>

#include "base/clock.hpp"
#include "base/ids.hpp"
#include "base/test_folder.hpp"
#include "record/store.hpp"

namespace joulery::record {

/// The value of a result that must have one.
template <class T>
T must(Result<T> result) {
  if (!result) {
    ADD_FAILURE() << result.error().message;
    std::abort();
  }
  return std::move(*result);
}
inline void must(const Status& status) {
  ASSERT_TRUE(status.has_value()) << status.error().message;
}

inline std::string file_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

/// A folder of its own, removed at the end.
class FolderTest : public ::testing::Test {
 protected:
  TestFolder own_folder_;
  const std::string& folder_ = own_folder_.path();
};

/// A fresh store.
class StoreTest : public FolderTest {
 protected:
  StoreTest() { store_ = must(open_sqlite_store(path(), options())); }
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
  record::Run new_run(const std::string& name, std::int64_t start_s = 0) {
    record::Run run;
    run.id = make_run_id(clock_.realtime_ns());
    run.name = name;
    run.experiment = "Default";
    run.start_utc_ns = (1'700'000'000 + start_s) * kNanosecondsPerSecond;
    return run;
  }
  std::string add_run(const std::string& name, std::int64_t start_s = 0) {
    const record::Run run = new_run(name, start_s);
    must(store_->put_run(run));
    return run.id;
  }
  ManualClock clock_;
  std::unique_ptr<Store> store_;
};

}  // namespace joulery::record
