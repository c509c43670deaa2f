#include "stats/ratio.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <ostream>
#include <string>
#include <vector>

#include "base/soak.hpp"
#include "stats/autoregression.hpp"

namespace joulery::stats {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// Lognormal pairs: a drift of the machine that both share, and an error of each of them.
struct PairModel {
  std::size_t pairs;
  double shared_correlation;
  double shared_deviation;
  double own_correlation;
  double own_deviation;
  double log_ratio = -0.1;
};

void PrintTo(const PairModel& model, std::ostream* out) {
  *out << model.pairs << " pairs, shared drift " << model.shared_correlation << " x "
       << model.shared_deviation << ", own errors " << model.own_correlation << " x " << model.own_deviation;
}

struct Pairs {
  std::vector<double> a, b;
};

Pairs simulate(const PairModel& model, RandomStream& random) {
  const auto shared = autoregression(random, model.pairs, model.shared_correlation, model.shared_deviation);
  const auto own_a = autoregression(random, model.pairs, model.own_correlation, model.own_deviation);
  const auto own_b = autoregression(random, model.pairs, model.own_correlation, model.own_deviation);
  Pairs pairs;
  for (std::size_t i = 0; i < model.pairs; ++i) {
    pairs.a.push_back(std::exp(shared[i] + own_a[i]));
    pairs.b.push_back(std::exp(shared[i] + own_b[i] + model.log_ratio));
  }
  return pairs;
}

struct Coverage {
  double paired = 0, unpaired = 0;
};

Coverage coverage(const PairModel& model, int simulations) {
  RandomStream random(11);
  Coverage covered;
  const double truth = std::exp(model.log_ratio);
  for (int i = 0; i < simulations; ++i) {
    const Pairs pairs = simulate(model, random);
    const RatioOptions options{.resamples = 399, .seed = random.next()};
    const auto paired = paired_ratio(pairs.a, pairs.b, options);
    const auto unpaired = unpaired_ratio(pairs.a, pairs.b, options);
    covered.paired += paired->low <= truth && truth <= paired->high ? 1.0 / simulations : 0;
    covered.unpaired += unpaired->low <= truth && truth <= unpaired->high ? 1.0 / simulations : 0;
  }
  return covered;
}

class PairedCoverage : public testing::TestWithParam<PairModel> {};

TEST_P(PairedCoverage, IsWhatTheIntervalSays) {
  const Coverage covered = coverage(GetParam(), soak_count(2000, 10'000));
  RecordProperty("paired", std::to_string(covered.paired));
  EXPECT_GE(covered.paired, 0.86);
  EXPECT_LE(covered.paired, 0.94);
}

INSTANTIATE_TEST_SUITE_P(Models, PairedCoverage,
                         testing::Values(PairModel{5, 0.7, 0.1, 0, 0.05}, PairModel{8, 0.7, 0.1, 0, 0.05},
                                         PairModel{10, 0.7, 0.1, 0, 0.05}, PairModel{12, 0.8, 0.2, 0, 0.05},
                                         PairModel{20, 0.7, 0.1, 0, 0.05}, PairModel{50, 0.9, 0.3, 0, 0.1},
                                         // Skewed.
                                         PairModel{10, 0.6, 0.6, 0, 0.3}, PairModel{30, 0.6, 0.6, 0, 0.3},
                                         // The two do not drift together.
                                         PairModel{20, 0, 0, 0.3, 0.1}, PairModel{60, 0, 0, 0.5, 0.1}));

TEST(UnpairedCoverage, IsWhatTheIntervalSaysForGroupsThatDoNotDrift) {
  for (const std::size_t count : {4U, 10U, 30U}) {
    const Coverage covered = coverage({count, 0, 0, 0, 0.1}, soak_count(2000, 10'000));
    EXPECT_GE(covered.unpaired, 0.86) << count;
    EXPECT_LE(covered.unpaired, 0.94) << count;
  }
}

TEST(PairedRatio, DriftThatBothShareCancels) {
  RandomStream random(3);
  const Pairs pairs = simulate({20, 0.8, 0.2, 0, 0.01}, random);
  const auto paired = paired_ratio(pairs.a, pairs.b);
  const auto unpaired = unpaired_ratio(pairs.a, pairs.b);
  EXPECT_EQ(paired->method, RatioEstimate::Method::bootstrap_t);
  EXPECT_DOUBLE_EQ(paired->ratio, unpaired->ratio);
  EXPECT_LT((paired->high - paired->low) * 5, unpaired->high - unpaired->low);
}

TEST(PairedRatio, TheSameValuesAndSeedGiveTheSameInterval) {
  RandomStream random(4);
  const Pairs pairs = simulate({15, 0.5, 0.1, 0.2, 0.1}, random);
  const auto once = paired_ratio(pairs.a, pairs.b);
  const auto again = paired_ratio(pairs.a, pairs.b);
  const auto other = paired_ratio(pairs.a, pairs.b, {.seed = 8});
  EXPECT_EQ(once->low, again->low);
  EXPECT_EQ(once->resampled_t, again->resampled_t);
  EXPECT_NE(once->resampled_t, other->resampled_t);
}

TEST(PairedRatio, SwappingTheTwoInvertsTheInterval) {
  constexpr std::array a = {10.0, 11.0, 9.0, 10.5};
  constexpr std::array b = {8.0, 8.5, 7.6, 8.1};
  const auto forth = paired_ratio(a, b);
  const auto back = paired_ratio(b, a);
  EXPECT_NEAR(forth->ratio * back->ratio, 1, 1e-12);
  EXPECT_NEAR(forth->low * back->high, 1, 1e-12);
}

TEST(PairedRatio, FewPairsByStudentsT) {
  // Differences of the relative deviations are -0.1, 0.1; their mean has a standard error of 0.1.
  constexpr std::array a = {11.0, 9.0};
  constexpr std::array b = {20.0, 20.0};
  const auto estimate = paired_ratio(a, b);
  EXPECT_EQ(estimate->method, RatioEstimate::Method::student_t);
  EXPECT_DOUBLE_EQ(estimate->ratio, 2);
  EXPECT_NEAR(estimate->log_standard_error, 0.1, 1e-12);
  EXPECT_NEAR(estimate->high, 2 * std::exp(6.3138 * 0.1), 1e-3);  // t(0.95; 1) of the tables
}

TEST(PairedRatio, OneRunEachHasNoInterval) {
  constexpr std::array a = {4.0};
  constexpr std::array b = {3.0};
  for (const auto& estimate : {paired_ratio(a, b), unpaired_ratio(a, b)}) {
    EXPECT_EQ(estimate->method, RatioEstimate::Method::none);
    EXPECT_DOUBLE_EQ(estimate->ratio, 0.75);
    EXPECT_EQ(estimate->low, estimate->high);
    EXPECT_EQ(equivalence_p_value(*estimate, 0.5), 1);
    EXPECT_FALSE(runs_needed(*estimate, 0.05));
  }
}

TEST(PairedRatio, RefusesWhatHasNoRatio) {
  constexpr std::array good = {1.0, 2.0};
  const std::array<std::array<double, 2>, 4> bad = {
      {{0, 0}, {1, -1}, {1, kNan}, {1, std::numeric_limits<double>::infinity()}}};
  for (const auto& values : bad) {
    EXPECT_FALSE(paired_ratio(good, values));
    EXPECT_FALSE(paired_ratio(values, good));
    EXPECT_FALSE(unpaired_ratio(values, good));
  }
  EXPECT_FALSE(paired_ratio({}, {}));
  EXPECT_FALSE(paired_ratio(good, std::array{1.0}));
}

TEST(PairedRatio, AZeroAmongOthersWidensAndDoesNotBreak) {
  std::vector<double> a(10, 1.0);
  std::vector<double> b(10, 0.0);
  b[0] = 1;
  const auto estimate = paired_ratio(a, b);
  ASSERT_TRUE(estimate);
  EXPECT_DOUBLE_EQ(estimate->ratio, 0.1);
  EXPECT_GT(estimate->high, 0.5);
}

TEST(PairedRatio, IdenticalValuesHaveNoWidth) {
  const std::vector<double> a(12, 3.0);
  const std::vector<double> b(12, 2.7);
  const auto estimate = paired_ratio(a, b);
  EXPECT_EQ(estimate->low, estimate->high);
  EXPECT_EQ(equivalence_p_value(*estimate, 0.2), 0);
  EXPECT_EQ(equivalence_p_value(*estimate, 0.05), 1);
  EXPECT_FALSE(paired_effect_size(a, b));
  EXPECT_EQ(runs_needed(*estimate, 0.05), 2U);
}

TEST(Equivalence, HoldsExactlyIfTheIntervalLiesWithinTheMargin) {
  RandomStream random(6);
  int within = 0;
  for (int i = 0; i < 200; ++i) {
    const std::size_t count = 3 + random.below(20);
    const Pairs pairs = simulate({count, 0.5, 0.1, 0, 0.05, 0.04 * normal_variate(random)}, random);
    for (const auto& estimate : {paired_ratio(pairs.a, pairs.b, {.resamples = 199}),
                                 unpaired_ratio(pairs.a, pairs.b, {.resamples = 199})}) {
      constexpr double kMargin = 0.06;
      const bool inside = estimate->low > 1 / (1 + kMargin) && estimate->high < 1 + kMargin;
      EXPECT_EQ(equivalence_p_value(*estimate, kMargin) <= 0.05, inside) << i;
      within += inside ? 1 : 0;
    }
  }
  EXPECT_GT(within, 20);
  EXPECT_LT(within, 380);
}

TEST(Equivalence, ATrueDifferenceOfTheMarginIsMissedAtMostOnceInTwenty) {
  RandomStream random(7);
  int wrong = 0;
  const int simulations = soak_count(600, 6000);
  for (int i = 0; i < simulations; ++i) {
    const Pairs pairs = simulate({15, 0.5, 0.1, 0, 0.03, std::log(1.05)}, random);
    wrong += equivalence_p_value(*paired_ratio(pairs.a, pairs.b, {.resamples = 399}), 0.05) <= 0.05 ? 1 : 0;
  }
  EXPECT_LT(wrong, 0.07 * simulations);
}

TEST(EffectSize, OfPairsAndOfGroups) {
  // Differences of the logs: 0.1, 0.2, 0.3; mean 0.2, deviation 0.1, Hedges' factor for 2 degrees 4/7.
  const std::array a = {1.0, 1.0, 1.0};
  const std::array b = {std::exp(0.1), std::exp(0.2), std::exp(0.3)};
  EXPECT_NEAR(*paired_effect_size(a, b), 2 * 4.0 / 7, 1e-12);
  // Pooled deviation sqrt((0 + 0.01)/2), 4 degrees of freedom: factor 12/15.
  EXPECT_NEAR(*unpaired_effect_size(a, b), 0.2 / std::sqrt(0.005) * 12 / 15, 1e-12);
  EXPECT_FALSE(paired_effect_size(a, std::array{1.0, 0.0, 1.0}));
}

TEST(RunsNeeded, MatchesTheTextbookAndShrinksWithTheChange) {
  RatioEstimate estimate;
  estimate.method = RatioEstimate::Method::student_t;
  estimate.paired = true;
  estimate.count_a = estimate.count_b = 16;
  estimate.log_standard_error = 0.1 / 4;  // standard deviation of a pair 0.1
  // One sample, one-sided 5 %, power 80 %, effect of half a deviation: 27 (Chow, Shao & Wang, by iteration).
  EXPECT_EQ(runs_needed(estimate, std::expm1(0.05)), 27U);
  EXPECT_GT(*runs_needed(estimate, 0.01), *runs_needed(estimate, 0.02));
  EXPECT_GT(*runs_needed_for_equivalence(estimate, 0.05), *runs_needed(estimate, 0.05));
  EXPECT_FALSE(runs_needed(estimate, 0));
}

TEST(RunsNeeded, AreEnoughInASimulation) {
  RandomStream random(8);
  const Pairs pilot = simulate({400, 0.5, 0.1, 0, 0.1, 0}, random);
  const auto needed = runs_needed(*paired_ratio(pilot.a, pilot.b, {.resamples = 19}), 0.1);
  ASSERT_TRUE(needed);
  int found = 0;
  constexpr int kSimulations = 500;
  for (int i = 0; i < kSimulations; ++i) {
    const Pairs pairs = simulate({*needed, 0.5, 0.1, 0, 0.1, std::log(1.1)}, random);
    found += paired_ratio(pairs.a, pairs.b, {.resamples = 199})->low > 1 ? 1 : 0;
  }
  // The interval mends correlation that is not there, which costs a little power.
  EXPECT_NEAR(found / double(kSimulations), 0.8, 0.1);
}

TEST(NoiseFloor, IsPassedByChanceOnceInTen) {
  RandomStream random(9);
  int passed = 0;
  constexpr int kSimulations = 2000;
  for (int i = 0; i < kSimulations; ++i) {
    const Pairs pairs = simulate({10, 0, 0, 0, 0.05, 0}, random);
    const double floor = *noise_floor(pairs.a);
    const double ratio = paired_ratio(pairs.a, pairs.b, {.resamples = 1})->ratio;
    passed += std::fabs(std::log(ratio)) > std::log1p(floor) ? 1 : 0;
  }
  EXPECT_NEAR(passed / double(kSimulations), 0.1, 0.03);
}

TEST(NoiseFloor, SlowDriftIsNoNoise) {
  std::vector<double> ramp;
  for (int i = 0; i < 40; ++i) ramp.push_back(1 + i * 0.01);
  EXPECT_LT(*noise_floor(ramp), 0.01);
  EXPECT_FALSE(noise_floor(std::array{1.0, 2.0}));
  EXPECT_FALSE(noise_floor(std::array{1.0, 0.0, 1.0}));
}

TEST(SplitHalf, ComparesEvenWithOddPlaces) {
  EXPECT_DOUBLE_EQ(*split_half_ratio(std::array{1.0, 2.0, 3.0, 2.0}), 1);
  EXPECT_DOUBLE_EQ(*split_half_ratio(std::array{1.0, 3.0}), 3);
  EXPECT_FALSE(split_half_ratio(std::array{1.0}));
  EXPECT_FALSE(split_half_ratio(std::array{0.0, 1.0}));
}

}  // namespace
}  // namespace joulery::stats
