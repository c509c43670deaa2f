#include "meter/series_recorder.hpp"

#include <gtest/gtest.h>
#include <malloc.h>

#include <filesystem>

#include "base/clock.hpp"
#include "base/ids.hpp"
#include "base/test_folder.hpp"

namespace joulery::meter {
namespace {

constexpr std::int64_t kStart = 5 * kNanosecondsPerSecond;

TEST(SeriesRecorder, ADayAtTenHertzTakesNoMoreMemoryThanAMinute) {
  const TestFolder folder;
  auto spool = record::SpoolWriter::create(folder.path(), make_run_id(0));
  ASSERT_TRUE(spool) << spool.error().message;
  SeriesRecorder recorder(&*spool, {"model:cpu", "workload"}, kStart);
  std::int64_t now = kStart;
  const auto run = [&](int seconds) {
    for (int tick = 0; tick < seconds * 10; ++tick) {
      now += kNanosecondsPerSecond / 10 + (tick % 7) * 1000;
      recorder.add(0, {now, 0.25 + 0.001 * (tick % 5), 0});
      recorder.add(1, {now, 0.20, 0});
    }
  };
  run(60);
  const struct mallinfo2 before = mallinfo2();
  run(24 * 3600);
  const struct mallinfo2 after = mallinfo2();
  recorder.flush();
  EXPECT_FALSE(recorder.failure());
  EXPECT_LE(after.uordblks, before.uordblks + 65536) << "memory grew with time";
  const auto bytes = std::filesystem::file_size(spool->path());
  // Two series of a day, with a block every ten seconds at most: the frames cost more than the samples.
  EXPECT_LT(bytes, 2U * 24 * 3600 * 10 * 2);
}

TEST(SeriesRecorder, WithoutASpoolNothingIsKept) {
  SeriesRecorder recorder(nullptr, {"model:cpu"}, kStart);
  for (int i = 1; i < 2000; ++i) recorder.add(0, {kStart + i * kNanosecondsPerSecond, 1, 0});
  recorder.flush();
  EXPECT_FALSE(recorder.failure());
}

}  // namespace
}  // namespace joulery::meter
