#include "stats/summary.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <random>
#include <vector>

namespace joulery::stats {
namespace {

TEST(StudentT, MatchesPublishedTables) {  // NIST/SEMATECH e-Handbook, table 1.3.6.7.2
  EXPECT_NEAR(student_t_quantile(0.95, 4), 2.132, 5e-4);
  EXPECT_NEAR(student_t_quantile(0.975, 1), 12.706, 5e-4);
  EXPECT_NEAR(student_t_quantile(0.975, 100), 1.984, 5e-4);
}

TEST(MeanInterval, WorkedExample) {
  constexpr std::array values = {10.0, 12.0, 14.0};
  const MeanInterval interval = mean_interval(values, 0.9);
  EXPECT_DOUBLE_EQ(interval.mean, 12);
  EXPECT_DOUBLE_EQ(interval.standard_deviation, 2);
  EXPECT_NEAR(interval.high - interval.mean, 2.920 * 2 / std::sqrt(3.0), 1e-3);
  EXPECT_NEAR(interval.mean - interval.low, interval.high - interval.mean, 1e-12);
}

TEST(MeanInterval, OneValueHasNoWidthAndNoneIsZero) {
  constexpr std::array one = {3.5};
  EXPECT_EQ(mean_interval(one, 0.9).low, 3.5);
  EXPECT_EQ(mean_interval(one, 0.9).high, 3.5);
  EXPECT_EQ(mean_interval({}, 0.9).count, 0U);
}

TEST(MeanInterval, CoversTheTruthAsOftenAsItSays) {
  std::mt19937_64 random(7);
  std::normal_distribution<double> noise(100, 5);
  int covered = 0;
  constexpr int kTrials = 4000;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<double> values(6);
    for (double& value : values) value = noise(random);
    const MeanInterval interval = mean_interval(values, 0.9);
    covered += interval.low <= 100 && 100 <= interval.high;
  }
  // Four standard errors of a proportion of 0.9.
  EXPECT_NEAR(covered / double{kTrials}, 0.9, 4 * std::sqrt(0.09 / kTrials));
}

TEST(Autocorrelation, TellsAlternationFromDrift) {
  const std::vector<double> alternating = {1, -1, 1, -1, 1, -1, 1, -1};
  EXPECT_LT(lag1_autocorrelation(alternating), -0.8);
  const std::vector<double> drifting = {1, 2, 3, 4, 5, 6, 7, 8};
  EXPECT_GT(lag1_autocorrelation(drifting), 0.5);
  const std::vector<double> constant = {2, 2, 2, 2};
  EXPECT_EQ(lag1_autocorrelation(constant), 0);
}

}  // namespace
}  // namespace joulery::stats
