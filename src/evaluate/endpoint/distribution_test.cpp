#include "evaluate/endpoint/distribution.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "evaluate/endpoint/arrivals.hpp"
#include "stats/autoregression.hpp"

namespace joulery::evaluate::endpoint {
namespace {

TEST(Distribution, MatchesNumpy) {
  // numpy.percentile([3, 1, 4, 1, 5, 9, 2, 6, 5, 3], [50, 90, 95, 99]), std(ddof=1)
  const std::vector<double> values{3, 1, 4, 1, 5, 9, 2, 6, 5, 3};
  const auto result = describe(values);
  ASSERT_TRUE(result);
  EXPECT_DOUBLE_EQ(result->mean, 3.9);
  EXPECT_NEAR(result->standard_deviation, 2.4698178070, 1e-9);
  EXPECT_DOUBLE_EQ(result->minimum, 1);
  EXPECT_DOUBLE_EQ(result->maximum, 9);
  EXPECT_DOUBLE_EQ(result->quantiles[0].value, 3.5);
  EXPECT_NEAR(result->quantiles[1].value, 6.3, 1e-12);
  EXPECT_NEAR(result->quantiles[2].value, 7.65, 1e-12);
  EXPECT_NEAR(result->quantiles[3].value, 8.73, 1e-12);
  EXPECT_FALSE(describe({}));
  const std::vector<double> one{2};
  EXPECT_EQ(describe(one)->standard_deviation, 0);
  EXPECT_FALSE(describe(one)->mean_low);
}

TEST(Distribution, AnIntervalHoldsItsOwnFigure) {
  // Of 5 values the largest is below the p99 in 95 % of cases, but interpolation lands below it.
  const std::vector<double> values{1, 2, 3, 4, 5};
  const auto result = describe(values);
  EXPECT_LE(*result->quantiles[3].low, result->quantiles[3].value);
  EXPECT_FALSE(result->quantiles[3].high);
}

TEST(QuantileRanks, MatchTheBinomialDistribution) {
  // scipy.stats.binom.cdf: n=100, p=0.5: cdf(41)=0.0443, cdf(42)=0.0666, cdf(57)=0.9334, cdf(58)=0.9557
  const QuantileRanks median = quantile_ranks(100, 0.5, 0.9);
  EXPECT_EQ(median.low, 42U);
  EXPECT_EQ(median.high, 59U);
  // 0.99^298 = 0.0500396, 0.99^299 = 0.0495: with 299 values the largest is above the p99 in 95 % of cases.
  EXPECT_FALSE(quantile_ranks(298, 0.99, 0.9).high);
  EXPECT_EQ(quantile_ranks(299, 0.99, 0.9).high, 299U);
  EXPECT_FALSE(quantile_ranks(1, 0.5, 0.9).low);
  // A million values: no underflow. mean 990000, sd 99.5
  const QuantileRanks many = quantile_ranks(1'000'000, 0.99, 0.9);
  EXPECT_NEAR(double(*many.low), 990'000 - 164, 3);
  EXPECT_NEAR(double(*many.high), 990'000 + 165, 3);
}

TEST(Distribution, IntervalsHoldTheTruthAsOftenAsTheySay) {
  stats::RandomStream random(11);
  int mean_held = 0;
  int p90_held = 0;
  constexpr int kRepetitions = 400;
  for (int i = 0; i < kRepetitions; ++i) {
    std::vector<double> values;
    for (int j = 0; j < 200; ++j) values.push_back(-std::log(1 - random.unit()));
    const auto result = describe(values);
    mean_held += *result->mean_low <= 1 && 1 <= *result->mean_high ? 1 : 0;
    const Quantile& p90 = result->quantiles[1];
    const double truth = std::log(10);
    p90_held += *p90.low <= truth && truth <= *p90.high ? 1 : 0;
  }
  // Level 0.9; three standard deviations of the count are 18.
  EXPECT_GT(mean_held, 336);
  EXPECT_GT(p90_held, 342);
  EXPECT_LT(p90_held, 396) << "an interval that never misses is too wide";
}

TEST(Distribution, CorrelatedValuesGetAWiderInterval) {
  stats::RandomStream random(5);
  int held = 0;
  for (int i = 0; i < 200; ++i) {
    const auto values = stats::autoregression(random, 400, 0.8, 1);
    const auto result = describe(values);
    held += *result->mean_low <= 0 && 0 <= *result->mean_high ? 1 : 0;
  }
  // As if independent, about 42 % would hold.
  EXPECT_GT(held, 150);
}

TEST(Rate, CountsPerSecondAndVaries) {
  std::vector<WeightedEvent> events;
  for (int i = 0; i < 100; ++i) events.push_back({i * 100'000'000LL, 2});
  const Rate rate = rate_of(events, 0, 10'000'000'000);
  EXPECT_DOUBLE_EQ(rate.value, 20);
  ASSERT_TRUE(rate.low && rate.high);
  EXPECT_LE(*rate.low, 20);
  EXPECT_GE(*rate.high, 20);
  EXPECT_FALSE(rate_of(std::span(events).first(10), 0, 1'000'000'000).low) << "too few to tell";
  EXPECT_DOUBLE_EQ(rate_of({}, 0, 1'000'000'000).value, 0);
}

TEST(Rate, IntervalsOfPoissonEventsHoldTheTruth) {
  int held = 0;
  constexpr int kRepetitions = 300;
  for (int i = 0; i < kRepetitions; ++i) {
    std::vector<WeightedEvent> events;
    for (const std::int64_t time : poisson_arrivals(50, {.requests = 0, .seconds = 10}, 100 + i)) {
      events.push_back({time, 1});
    }
    const Rate rate = rate_of(events, 0, 10'000'000'000);
    held += *rate.low <= 50 && 50 <= *rate.high ? 1 : 0;
  }
  EXPECT_GT(held, 247);
}

TEST(Arrivals, ConstantOnesAreEvenlySpaced) {
  EXPECT_EQ(constant_arrivals(2, {.requests = 3, .seconds = 0}), (Arrivals{0, 500'000'000, 1'000'000'000}));
  EXPECT_EQ(constant_arrivals(10, {.requests = 0, .seconds = 1}).size(), 10U);
  EXPECT_EQ(constant_arrivals(10, {.requests = 4, .seconds = 1}).size(), 4U);
}

TEST(Arrivals, PoissonOnesHaveExponentialGaps) {
  const Arrivals arrivals = poisson_arrivals(100, {.requests = 20'000, .seconds = 0}, 3);
  ASSERT_EQ(arrivals.size(), 20'000U);
  EXPECT_TRUE(std::ranges::is_sorted(arrivals));
  EXPECT_EQ(poisson_arrivals(100, {.requests = 20'000, .seconds = 0}, 3), arrivals);
  EXPECT_NE(poisson_arrivals(100, {.requests = 20'000, .seconds = 0}, 4), arrivals);
  std::vector<double> gaps;
  for (std::size_t i = 1; i < arrivals.size(); ++i)
    gaps.push_back(double(arrivals[i] - arrivals[i - 1]) / 1e9);
  const auto result = describe(gaps);
  EXPECT_NEAR(result->mean, 0.01, 0.0003);
  EXPECT_NEAR(result->standard_deviation, 0.01, 0.0004);
  EXPECT_NEAR(result->quantiles[0].value, std::log(2) / 100, 0.0003);
}

TEST(Arrivals, ATraceIsReadSortedAndShifted) {
  const auto arrivals = parse_arrivals("# when\n3.5\n\n1 # first\r\n2\n", "t.txt");
  ASSERT_TRUE(arrivals) << arrivals.error().message;
  EXPECT_EQ(*arrivals, (Arrivals{0, 1'000'000'000, 2'500'000'000}));
  EXPECT_EQ(cut(*arrivals, {.requests = 2, .seconds = 0}).size(), 2U);
  EXPECT_EQ(cut(*arrivals, {.requests = 0, .seconds = 1}).size(), 1U);
  for (const char* text : {"", "a", "-1", "1 2", "1e9", "nan"})
    EXPECT_FALSE(parse_arrivals(text, "t.txt")) << text;
}

}  // namespace
}  // namespace joulery::evaluate::endpoint
