#include "stats/order_statistics.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "stats/random_stream.hpp"

namespace joulery::stats {
namespace {

std::vector<double> counted(std::size_t count) {
  std::vector<double> values(count);
  std::iota(values.begin(), values.end(), 1);
  return values;
}

std::vector<double> sorted_uniform(RandomStream& random, std::size_t count) {
  std::vector<double> values(count);
  for (double& value : values) value = random.unit();
  std::ranges::sort(values);
  return values;
}

TEST(QuantileIntervalTest, EndsAreTheRanksOfScipy) {
  // scipy 1.17.1: stats.quantile_test(1 … 200, p=p).confidence_interval(0.9)
  const std::vector<double> values = counted(200);
  const auto median = quantile_interval(values, 0.5);
  ASSERT_TRUE(median);
  EXPECT_DOUBLE_EQ(median->value, 100.5);
  EXPECT_EQ(median->low, 88);
  EXPECT_EQ(median->high, 113);
  const auto ninetieth = quantile_interval(values, 0.9);
  EXPECT_NEAR(ninetieth->value, 180.1, 1e-9);
  EXPECT_EQ(ninetieth->low, 173);
  EXPECT_EQ(ninetieth->high, 188);
  const auto last = quantile_interval(values, 0.99);
  EXPECT_EQ(last->low, 195);
  EXPECT_EQ(last->high, std::nullopt);
}

TEST(QuantileIntervalTest, TooFewValuesHaveNoEnd) {
  EXPECT_FALSE(quantile_interval({}, 0.5));
  const std::vector<double> one{4};
  const auto interval = quantile_interval(one, 0.5);
  ASSERT_TRUE(interval);
  EXPECT_EQ(interval->value, 4);
  EXPECT_FALSE(interval->low);
  EXPECT_FALSE(interval->high);
  EXPECT_FALSE(quantile_interval(one, 1.0));
  const std::size_t enough = samples_for_quantile(0.99);
  EXPECT_EQ(enough, 299U);  // ln 0.05 / ln 0.99
  EXPECT_TRUE(quantile_interval(counted(enough), 0.99)->high);
  EXPECT_FALSE(quantile_interval(counted(enough - 1), 0.99)->high);
}

TEST(QuantileIntervalTest, HoldsTheTruthAsOftenAsItSays) {
  RandomStream random(31);
  constexpr int kSimulations = 3000;
  for (const double probability : {0.5, 0.9}) {
    int held = 0;
    for (int i = 0; i < kSimulations; ++i) {
      const auto interval = quantile_interval(sorted_uniform(random, 150), probability);
      if (interval->low <= probability && probability <= interval->high) ++held;
    }
    const double share = static_cast<double>(held) / kSimulations;
    // At least 0.9, less what 3,000 simulations leave open; ranks are whole, so a little above.
    EXPECT_GT(share, 0.9 - 0.015);
    EXPECT_LT(share, 0.95);
  }
}

TEST(EarlyStoppingTest, SamplesAreThoseOfTheKnownTable) {
  // I(p; h, t+1) <= 0.01, n = h + t; MLPerf Inference's early stopping, computed with scipy's betainc.
  struct Row {
    double percentile;
    std::uint64_t above;
    std::uint64_t samples;
  };
  const Row rows[] = {{0.90, 0, 44},   {0.90, 1, 64},    {0.90, 5, 127},  {0.90, 10, 197}, {0.95, 0, 90},
                      {0.95, 1, 130},  {0.95, 5, 259},   {0.95, 10, 398}, {0.99, 0, 459},  {0.99, 1, 662},
                      {0.99, 5, 1307}, {0.99, 10, 2010}, {0.99, 50, 6898}};
  for (const Row& row : rows) {
    EXPECT_EQ(early_stopping_samples(row.above, row.percentile), row.samples);
    EXPECT_EQ(early_stopping_overlatency(row.samples, row.percentile), row.above);
    EXPECT_NE(early_stopping_overlatency(row.samples - 1, row.percentile), row.above);
  }
}

TEST(EarlyStoppingTest, DiscardsOneLessThanMayBeAbove) {
  EXPECT_EQ(early_stopping_discard(43, 0.9), std::nullopt);
  EXPECT_EQ(early_stopping_discard(63, 0.9), std::nullopt);
  EXPECT_EQ(early_stopping_discard(64, 0.9), 0U);
  EXPECT_EQ(early_stopping_discard(197, 0.9), 9U);
  const std::vector<double> values = counted(197);
  EXPECT_EQ(early_stopping_estimate(values, 0.9), 188);
  EXPECT_EQ(early_stopping_estimate({}, 0.9), std::nullopt);
  EXPECT_EQ(early_stopping_discard(1000, 1.5), std::nullopt);
}

TEST(EarlyStoppingTest, EstimateIsSeldomBelowTheTrueQuantile) {
  RandomStream random(5);
  int below = 0;
  constexpr int kSimulations = 4000;
  for (int i = 0; i < kSimulations; ++i) {
    if (*early_stopping_estimate(sorted_uniform(random, 300), 0.9) < 0.9) ++below;
  }
  EXPECT_LT(below, kSimulations / 100);
  // A bound that never fails would be a useless one.
  EXPECT_GT(below, 0);
}

}  // namespace
}  // namespace joulery::stats
