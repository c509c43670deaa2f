#include "stats/proportion.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "stats/distributions.hpp"

namespace joulery::stats {
namespace {

// Known values: scipy 1.17.1, binomtest(k, n).proportion_ci(level, 'exact' | 'wilson') and beta.ppf.
struct Known {
  std::uint64_t successes;
  std::uint64_t trials;
  double level;
  Interval exact;
  Interval wilson;
};

TEST(ProportionTest, IntervalsAreThoseOfScipy) {
  const Known cases[] = {
      {0, 10, 0.9, {0, 0.25886555089334723}, {0, 0.21294197008340698}},
      {3, 10, 0.95, {0.06673951117773447, 0.652452850060008}, {0.10779126740630102, 0.6032218525388546}},
      {990, 1000, 0.9, {0.9830968248795311, 0.9945648598552932}, {0.9833430074776349, 0.9940127141473999}},
      {50, 50, 0.99, {0.8994549166251414, 1}, {0.8828479082823721, 1}}};
  for (const Known& known : cases) {
    const Interval exact = clopper_pearson(known.successes, known.trials, known.level);
    EXPECT_NEAR(exact.low, known.exact.low, 1e-12);
    EXPECT_NEAR(exact.high, known.exact.high, 1e-12);
    const Interval score = wilson(known.successes, known.trials, known.level);
    EXPECT_NEAR(score.low, known.wilson.low, 1e-12);
    EXPECT_NEAR(score.high, known.wilson.high, 1e-12);
  }
  EXPECT_NEAR(clopper_pearson_upper(10, 1000, 0.95), 0.016903175120562504, 1e-12);
}

TEST(ProportionTest, NoTrialsSayNothing) {
  EXPECT_EQ(clopper_pearson(0, 0, 0.9).low, 0);
  EXPECT_EQ(clopper_pearson(0, 0, 0.9).high, 1);
  EXPECT_EQ(wilson(0, 0, 0.9).high, 1);
  EXPECT_EQ(clopper_pearson(7, 5, 0.9).high, 1);
}

/// The exact chance, by the binomial distribution, that the interval holds this truth.
template <class Method>
double coverage(std::uint64_t trials, double truth, double level, const Method& method) {
  double covered = 0;
  for (std::uint64_t k = 0; k <= trials; ++k) {
    const double chance =
        binomial_probability(k, trials, truth) - (k > 0 ? binomial_probability(k - 1, trials, truth) : 0);
    const Interval interval = method(k, trials, level);
    if (interval.low <= truth && truth <= interval.high) covered += chance;
  }
  return covered;
}

TEST(ProportionTest, ClopperPearsonNeverHoldsTheTruthLessThanItSays) {
  double wilson_sum = 0;
  int wilson_count = 0;
  double lowest_wilson = 1;
  for (const std::uint64_t trials : {5, 20, 100}) {
    for (double truth = 0.01; truth < 1; truth += 0.02) {
      EXPECT_GE(coverage(trials, truth, 0.9, clopper_pearson), 0.9) << trials << " " << truth;
      const double held = coverage(trials, truth, 0.9, wilson);
      wilson_sum += held;
      lowest_wilson = std::min(lowest_wilson, held);
      ++wilson_count;
    }
  }
  // Wilson's holds it on average, and for some truths less.
  EXPECT_NEAR(wilson_sum / wilson_count, 0.9, 0.02);
  EXPECT_LT(lowest_wilson, 0.9);
}

TEST(ProportionTest, AsManyTrialsAsAreAskedForAreEnough) {
  for (const double proportion : {0.5, 0.9, 0.97}) {
    for (const double half_width : {0.05, 0.01}) {
      const std::uint64_t trials = trials_for_half_width(proportion, half_width, 0.9);
      const auto half = [&](std::uint64_t count) {
        const auto successes =
            static_cast<std::uint64_t>(std::llround(proportion * static_cast<double>(count)));
        const Interval interval = wilson(successes, count, 0.9);
        return (interval.high - interval.low) / 2;
      };
      EXPECT_LT(half(trials), half_width * 1.03);
      EXPECT_GT(half(trials * 9 / 10), half_width);
    }
  }
}

}  // namespace
}  // namespace joulery::stats
