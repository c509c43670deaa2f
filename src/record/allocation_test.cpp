// What runs beside a workload must not allocate: counted for this program's every operator new.

#include <atomic>
#include <cstdlib>
#include <new>

#include "record/spool.hpp"
#include "record/store_fixture.hpp"

namespace {
std::atomic<long> allocations{0};
}

// A sanitizer brings an allocator of its own, and pairs its kinds of new and delete.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define JOULERY_SANITIZED 1
#endif
#endif

#ifndef JOULERY_SANITIZED
void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  std::abort();
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
#endif

namespace joulery::record {
namespace {

using AllocationTest = FolderTest;

TEST_F(AllocationTest, EncodingAndSpoolingABlockAllocateNothing) {
#ifdef JOULERY_SANITIZED
  GTEST_SKIP() << "allocations are the sanitizer's here";
#endif
  PowerBlockEncoder encoder;
  auto writer = must(SpoolWriter::create(folder_ + "/spool", "run"));
  const long before = allocations.load();
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
  EXPECT_EQ(allocations.load(), before);
  EXPECT_TRUE(all_written);
}

}  // namespace
}  // namespace joulery::record
