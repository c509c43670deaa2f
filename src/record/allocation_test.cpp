// What runs beside a workload must not allocate: counted for this program's every operator new.

#include "base/allocation_count.hpp"
#include "record/spool.hpp"
#include "record/store_fixture.hpp"

namespace joulery::record {
namespace {

using AllocationTest = FolderTest;

TEST_F(AllocationTest, EncodingAndSpoolingABlockAllocateNothing) {
  if (!kAllocationsAreCounted) GTEST_SKIP() << "allocations are the sanitizer's here";
  PowerBlockEncoder encoder;
  auto writer = must(SpoolWriter::create(folder_ + "/spool", "run"));
  const std::uint64_t before = allocation_count.load();
  bool all_written = true;
  std::int64_t now = 0;
  for (std::uint64_t block = 1; block <= 20; ++block) {
    encoder.begin(now);
    for (std::size_t i = 0; i < PowerBlockEncoder::kMaxSamples; ++i) {
      // Every seventh window is odd, so that all columns have exceptions.
      now += i % 7 == 0 ? 3'600'000'000'000 : 1'000'000;
      encoder.add({now, i % 7 == 0 ? 1e9 : 0.085, i % 7 == 0 ? 0xFFFFU : 0U});
    }
    all_written =
        all_written && writer.write_power_block("rapl:package-0", block, encoder.encode()).has_value();
  }
  EXPECT_EQ(allocation_count.load(), before);
  EXPECT_TRUE(all_written);
}

}  // namespace
}  // namespace joulery::record
