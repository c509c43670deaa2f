#include "app/bench_limits.hpp"

#include <gmock/gmock.h>

#include <limits>

namespace joulery::app {
namespace {

using data::DataType;
using testing::HasSubstr;

constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();

TEST(BenchLimits, TheLargestBatchThatFitsFitsAndNotOneMore) {
  const auto check = [](std::int64_t batch) {
    const std::vector<engine::Port> inputs{{"x", DataType::f32, {batch, 32, 32, 3}},
                                           {"table", DataType::f32, {1000, 7}}};
    const std::vector<engine::Port> outputs{{"y", DataType::f32, {batch, 10}}};
    return check_call_size(inputs, outputs, batch);
  };
  EXPECT_TRUE(check(1));
  const Status refused = check(1'048'576);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, Error::Kind::user);
  EXPECT_THAT(refused.error().message, HasSubstr("12.0 GiB"));
  // (2^30 - 28000 - 3·64) / (12288 + 40)
  EXPECT_THAT(refused.error().hint, HasSubstr("--batch 87095"));
  EXPECT_TRUE(check(87095));
  EXPECT_FALSE(check(87096));
}

TEST(BenchLimits, NumbersThatNoWordHoldsAreRefused) {
  const std::vector<engine::Port> huge{{"x", DataType::f64, {1, kLargest, kLargest}}};
  const Status refused = check_call_size(huge, {}, 1);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("64 bits"));
  EXPECT_THAT(refused.error().hint, HasSubstr("--shape"));
  EXPECT_FALSE(check_call_size(std::vector<engine::Port>{{"x", DataType::u8, {kLargest}}}, {}, kLargest));
}

TEST(BenchLimits, WhatIsNotKnownYetCountsOnce) {
  EXPECT_TRUE(check_call_size(
      std::vector<engine::Port>{{"x", DataType::f32, {8, data::kUnknownDimension}}, {"s", DataType::i64, {}}},
      {}, 8));
}

TEST(BenchLimits, ThreadsAreLimitedByTheMachine) {
  EXPECT_TRUE(check_thread_count({.threads = 64}, 2));
  const Status refused = check_thread_count({.threads = 65}, 2);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, Error::Kind::user);
  EXPECT_THAT(refused.error().message, HasSubstr("65 threads"));
  EXPECT_THAT(refused.error().hint, HasSubstr("up to 64 are possible"));
  EXPECT_TRUE(check_thread_count({.threads = 512}, 64));
  EXPECT_FALSE(check_thread_count({.threads = 513}, 64));
  EXPECT_FALSE(check_thread_count({.streams = 4096}, 2));
  EXPECT_TRUE(check_thread_count({.threads = 0}, 0));
}

}  // namespace
}  // namespace joulery::app
