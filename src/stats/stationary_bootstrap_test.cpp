#include "stats/stationary_bootstrap.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "stats/autoregression.hpp"

namespace joulery::stats {
namespace {

TEST(AutomaticBlockLength, GrowsWithCorrelation) {
  double lengths[3] = {};
  const double correlations[3] = {0, 0.5, 0.9};
  constexpr int kSeries = 30;
  for (int c = 0; c < 3; ++c) {
    for (int seed = 0; seed < kSeries; ++seed) {
      RandomStream random(static_cast<std::uint64_t>(seed));
      lengths[c] += automatic_block_length(autoregression(random, 200, correlations[c], 1)) / kSeries;
    }
  }
  EXPECT_LT(lengths[0], 3);
  EXPECT_GT(lengths[1], lengths[0] + 1);
  EXPECT_GT(lengths[2], 2 * lengths[1]);
}

TEST(AutomaticBlockLength, IsOneForFewOrEqualValues) {
  EXPECT_EQ(automatic_block_length(std::vector<double>{1, 2, 3, 4, 5, 6, 7}), 1);
  EXPECT_EQ(automatic_block_length(std::vector<double>(40, 3.5)), 1);
  EXPECT_EQ(automatic_block_length({}), 1);
}

TEST(AutomaticBlockLength, NeverPassesAThirdOfTheSeries) {
  std::vector<double> ramp;
  for (int i = 0; i < 30; ++i) ramp.push_back(i);
  EXPECT_LE(automatic_block_length(ramp), 10);
  EXPECT_GE(automatic_block_length(ramp), 2);
}

TEST(StationaryBootstrap, ClosedFormIsWhatResamplingFinds) {
  RandomStream random(5);
  const std::vector<double> values = autoregression(random, 40, 0.6, 1);
  constexpr double kBlock = 4;
  StationaryResampler resampler(values.size(), kBlock);
  constexpr int kResamples = 40'000;
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < kResamples; ++i) {
    resampler.draw(random);
    double mean = 0;
    for (const std::size_t index : resampler.indices()) mean += values[index];
    mean /= static_cast<double>(values.size());
    sum += mean;
    squares += mean * mean;
  }
  const double variance = squares / kResamples - sum / kResamples * (sum / kResamples);
  EXPECT_NEAR(stationary_bootstrap_variance(values, kBlock) / variance, 1, 0.03);
}

TEST(StationaryBootstrap, BlocksHaveTheLengthAskedForAndWrapAround) {
  RandomStream random(1);
  StationaryResampler resampler(50, 5);
  int starts = 0;
  constexpr int kDraws = 2000;
  for (int i = 0; i < kDraws; ++i) {
    resampler.draw(random);
    for (std::size_t k = 0; k < 50; ++k) {
      if (resampler.block_starts()[k]) {
        ++starts;
      } else {
        ASSERT_EQ(resampler.indices()[k], (resampler.indices()[k - 1] + 1) % 50);
      }
    }
  }
  // The first place always begins a block, the others with probability 1/5.
  EXPECT_NEAR(starts / double(kDraws), 1 + 49 / 5.0, 0.15);
}

}  // namespace
}  // namespace joulery::stats
