#include "stats/order_statistics.hpp"

#include <algorithm>
#include <cmath>

#include "stats/distributions.hpp"

namespace joulery::stats {
namespace {

/// The first of [low, high] for which `holds`, which stays true once it is; high if none.
template <class Predicate>
std::uint64_t first_that(std::uint64_t low, std::uint64_t high, const Predicate& holds) {
  while (low < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    if (holds(middle)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

bool is_enough(std::uint64_t samples, std::uint64_t overlatency, double percentile, double confidence) {
  return samples > overlatency && beta_probability(percentile, static_cast<double>(samples - overlatency),
                                                   static_cast<double>(overlatency) + 1) <= 1 - confidence;
}

bool is_probability(double value) {
  return value > 0 && value < 1;
}

}  // namespace

std::optional<QuantileInterval> quantile_interval(std::span<const double> sorted, double probability,
                                                  double level) {
  if (sorted.empty() || !is_probability(probability) || !is_probability(level)) return std::nullopt;
  const std::uint64_t count = sorted.size();
  const double position = probability * static_cast<double>(count - 1);
  const auto below = static_cast<std::size_t>(position);
  const double upper = sorted[std::min<std::size_t>(below + 1, count - 1)];
  QuantileInterval result{
      .value = sorted[below] + (position - static_cast<double>(below)) * (upper - sorted[below]),
      .level = level};
  const double tail = (1 - level) / 2;
  // The k-th smallest is above the quantile exactly if at most k-1 values are below it.
  const auto chance_above = [&](std::uint64_t k) { return binomial_probability(k - 1, count, probability); };
  const std::uint64_t first_too_high =
      first_that(1, count + 1, [&](std::uint64_t k) { return chance_above(k) > tail; });
  if (first_too_high > 1) result.low = sorted[first_too_high - 2];
  const std::uint64_t high_enough =
      first_that(1, count + 1, [&](std::uint64_t k) { return chance_above(k) >= 1 - tail; });
  if (high_enough <= count) result.high = sorted[high_enough - 1];
  return result;
}

std::size_t samples_for_quantile(double probability, double level) {
  const double rarer = std::min(probability, 1 - probability);
  if (!is_probability(probability) || !is_probability(level)) return 0;
  return static_cast<std::size_t>(std::ceil(std::log((1 - level) / 2) / std::log1p(-rarer)));
}

std::optional<std::uint64_t> early_stopping_overlatency(std::uint64_t samples, double percentile,
                                                        double confidence, double tolerance) {
  const double bound = percentile - tolerance;
  if (!is_probability(bound) || !is_probability(confidence)) return std::nullopt;
  if (!is_enough(samples, 0, bound, confidence)) return std::nullopt;
  const std::uint64_t too_many = first_that(
      1, samples, [&](std::uint64_t above) { return !is_enough(samples, above, bound, confidence); });
  return too_many - 1;
}

std::optional<std::uint64_t> early_stopping_discard(std::uint64_t samples, double percentile,
                                                    double confidence, double tolerance) {
  const auto above = early_stopping_overlatency(samples, percentile, confidence, tolerance);
  if (!above || *above == 0) return std::nullopt;
  return *above - 1;
}

std::optional<double> early_stopping_estimate(std::span<const double> sorted, double percentile,
                                              double confidence, double tolerance) {
  const auto discarded = early_stopping_discard(sorted.size(), percentile, confidence, tolerance);
  if (!discarded) return std::nullopt;
  return sorted[sorted.size() - 1 - static_cast<std::size_t>(*discarded)];
}

std::uint64_t early_stopping_samples(std::uint64_t overlatency, double percentile, double confidence,
                                     double tolerance) {
  const double bound = percentile - tolerance;
  if (!is_probability(bound) || !is_probability(confidence)) return 0;
  std::uint64_t high = overlatency + 1;
  while (!is_enough(high, overlatency, bound, confidence)) high *= 2;
  return first_that(overlatency + 1, high, [&](std::uint64_t samples) {
    return is_enough(samples, overlatency, bound, confidence);
  });
}

}  // namespace joulery::stats
