#include "stats/distributions.hpp"

#include <boost/math/special_functions/beta.hpp>
#include <boost/math/special_functions/erf.hpp>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace joulery::stats {
namespace {

/// Above this mean the first term of the inversion, exp(-mean), loses its digits.
constexpr double kLargestPoissonPiece = 30;

std::uint64_t small_poisson(RandomStream& random, double mean) {
  const double target = random.unit();
  double term = std::exp(-mean);
  double sum = term;
  std::uint64_t count = 0;
  // The terms die out long before the bound: it is for a target so near 1 that the sum can't reach it.
  while (sum <= target && count < 400) {
    ++count;
    term *= mean / static_cast<double>(count);
    sum += term;
  }
  return count;
}

}  // namespace

double beta_quantile(double probability, double a, double b) {
  return boost::math::ibeta_inv(a, b, std::clamp(probability, 0.0, 1.0));
}

double beta_probability(double x, double a, double b) {
  return boost::math::ibeta(a, b, std::clamp(x, 0.0, 1.0));
}

double normal_quantile(double probability) {
  return -std::numbers::sqrt2 * boost::math::erfc_inv(2 * probability);
}

double normal_probability(double z) {
  return std::erfc(-z / std::numbers::sqrt2) / 2;
}

double binomial_probability(std::uint64_t successes, std::uint64_t trials, double chance) {
  if (successes >= trials) return 1;
  return beta_probability(1 - chance, static_cast<double>(trials - successes),
                          static_cast<double>(successes) + 1);
}

double normal_variate(RandomStream& random) {
  const double radius = std::sqrt(-2 * std::log(1 - random.unit()));
  return radius * std::cos(2 * std::numbers::pi * random.unit());
}

std::uint64_t poisson_variate(RandomStream& random, double mean) {
  if (!(mean > 0)) return 0;
  // A sum of Poisson draws is a Poisson draw of the sum.
  std::uint64_t count = 0;
  while (mean > kLargestPoissonPiece) {
    count += small_poisson(random, kLargestPoissonPiece);
    mean -= kLargestPoissonPiece;
  }
  return count + small_poisson(random, mean);
}

}  // namespace joulery::stats
