#include "stats/distributions.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace joulery::stats {
namespace {

TEST(DistributionsTest, ValuesAreThoseOfScipy) {
  // scipy 1.17.1: stats.beta.ppf, stats.beta.cdf, stats.norm.ppf, stats.binom.cdf.
  EXPECT_NEAR(beta_quantile(0.975, 11, 990), 0.01831324305511245, 1e-13);
  EXPECT_NEAR(beta_probability(0.9, 44, 1), 0.009697737297875247, 1e-14);
  EXPECT_NEAR(normal_quantile(0.975), 1.959963984540054, 1e-12);
  EXPECT_NEAR(normal_quantile(0.001), -3.090232306167813, 1e-12);
  EXPECT_NEAR(normal_probability(1.959963984540054), 0.975, 1e-12);
  EXPECT_NEAR(binomial_probability(7, 20, 0.3), 0.7722717974181608, 1e-13);
  EXPECT_EQ(binomial_probability(20, 20, 0.3), 1);
}

TEST(DistributionsTest, NormalDrawsHaveTheirMoments) {
  RandomStream random(7);
  double sum = 0;
  double squares = 0;
  double fourths = 0;
  constexpr int kDraws = 100'000;
  for (int i = 0; i < kDraws; ++i) {
    const double value = normal_variate(random);
    sum += value;
    squares += value * value;
    fourths += value * value * value * value;
  }
  EXPECT_NEAR(sum / kDraws, 0, 0.015);
  EXPECT_NEAR(squares / kDraws, 1, 0.02);
  EXPECT_NEAR(fourths / kDraws, 3, 0.15);
}

TEST(DistributionsTest, PoissonDrawsHaveTheMeanAndVarianceOfTheirMean) {
  for (const double mean : {0.3, 5.0, 29.9, 60.0, 500.0}) {
    RandomStream random(11);
    constexpr int kDraws = 20'000;
    double sum = 0;
    double squares = 0;
    for (int i = 0; i < kDraws; ++i) {
      const auto value = static_cast<double>(poisson_variate(random, mean));
      sum += value;
      squares += value * value;
    }
    const double average = sum / kDraws;
    EXPECT_NEAR(average, mean, 5 * std::sqrt(mean / kDraws));
    EXPECT_NEAR((squares / kDraws - average * average) / mean, 1, 0.06) << mean;
  }
  RandomStream random(11);
  EXPECT_EQ(poisson_variate(random, 0), 0U);
  EXPECT_EQ(poisson_variate(random, -1), 0U);
  EXPECT_EQ(poisson_variate(random, std::nan("")), 0U);
}

}  // namespace
}  // namespace joulery::stats
