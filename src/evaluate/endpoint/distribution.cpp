#include "evaluate/endpoint/distribution.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "stats/stationary_bootstrap.hpp"
#include "stats/summary.hpp"

namespace joulery::evaluate::endpoint {
namespace {

/// Fewer tell nothing of how one value goes with the next.
constexpr std::size_t kFewestForInterval = 8;
/// Longer series are taken in batches: the work grows with the square, what is learnt does not.
constexpr std::size_t kMostBatches = 1000;
constexpr std::size_t kMostSlots = 60;

double mean_of(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::vector<double> batch_means(std::span<const double> values) {
  const std::size_t size = (values.size() + kMostBatches - 1) / kMostBatches;
  std::vector<double> means;
  for (std::size_t at = 0; at + size <= values.size(); at += size) {
    means.push_back(mean_of(values.subspan(at, size)));
  }
  return means;
}

/// Half-width of the interval for the mean of a series whose values may go together.
std::optional<double> half_width(std::span<const double> series) {
  if (series.size() < kFewestForInterval) return std::nullopt;
  const double block = stats::automatic_block_length(series);
  const double variance = stats::stationary_bootstrap_variance(series, block);
  const double freedom = std::max(1.0, static_cast<double>(series.size()) / std::max(block, 1.0) - 1);
  return stats::student_t_quantile((1 + kLevel) / 2, freedom) * std::sqrt(variance);
}

double quantile_of(std::span<const double> sorted, double probability) {
  const double place = probability * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  if (below + 1 >= sorted.size()) return sorted.back();
  return std::lerp(sorted[below], sorted[below + 1], place - static_cast<double>(below));
}

}  // namespace

QuantileRanks quantile_ranks(std::size_t count, double probability, double level) {
  // At most k values lie below the quantile with probability P(Bin(n, p) <= k).
  QuantileRanks ranks;
  const auto n = static_cast<double>(count);
  const double tail = (1 - level) / 2;
  const double odds = std::log(probability) - std::log1p(-probability);
  double log_mass = n * std::log1p(-probability);
  double sum = 0;
  for (std::size_t k = 0; k < count; ++k) {
    sum += std::exp(log_mass);
    if (sum <= tail) ranks.low = k + 1;
    if (sum >= 1 - tail) {
      ranks.high = k + 1;
      break;
    }
    log_mass += std::log((n - static_cast<double>(k)) / static_cast<double>(k + 1)) + odds;
  }
  return ranks;
}

std::optional<Distribution> describe(std::span<const double> values) {
  if (values.empty()) return std::nullopt;
  Distribution result;
  result.count = values.size();
  result.mean = mean_of(values);
  double squares = 0;
  for (const double value : values) squares += (value - result.mean) * (value - result.mean);
  if (values.size() > 1) {
    result.standard_deviation = std::sqrt(squares / static_cast<double>(values.size() - 1));
  }
  if (const auto half = half_width(batch_means(values))) {
    result.mean_low = result.mean - *half;
    result.mean_high = result.mean + *half;
  }
  std::vector<double> sorted(values.begin(), values.end());
  std::ranges::sort(sorted);
  result.minimum = sorted.front();
  result.maximum = sorted.back();
  for (std::size_t i = 0; i < kQuantiles.size(); ++i) {
    Quantile& quantile = result.quantiles[i];
    quantile.probability = kQuantiles[i];
    quantile.value = quantile_of(sorted, kQuantiles[i]);
    const QuantileRanks ranks = quantile_ranks(sorted.size(), kQuantiles[i], kLevel);
    // Of few values, the interpolated one may lie outside: then the interval is made wider, never narrower.
    if (ranks.low) quantile.low = std::min(sorted[*ranks.low - 1], quantile.value);
    if (ranks.high) quantile.high = std::max(sorted[*ranks.high - 1], quantile.value);
  }
  return result;
}

Rate rate_of(std::span<const WeightedEvent> events, std::int64_t start_ns, std::int64_t end_ns) {
  const double seconds = static_cast<double>(end_ns - start_ns) / 1e9;
  Rate rate;
  double sum = 0;
  for (const WeightedEvent& event : events) sum += event.weight;
  rate.value = sum / seconds;
  // A slot with less than a few events tells more of its edges than of the rate.
  const std::size_t slots = std::min(kMostSlots, events.size() / 4);
  std::vector<double> per_slot(slots);
  for (const WeightedEvent& event : events) {
    if (slots == 0) break;
    const double share =
        static_cast<double>(event.time_ns - start_ns) / static_cast<double>(end_ns - start_ns);
    const auto slot = static_cast<std::size_t>(std::clamp(share, 0.0, 1.0) * static_cast<double>(slots));
    per_slot[std::min(slot, slots - 1)] += event.weight * static_cast<double>(slots) / seconds;
  }
  if (const auto half = half_width(per_slot)) {
    rate.low = std::max(0.0, rate.value - *half);
    rate.high = rate.value + *half;
  }
  return rate;
}

}  // namespace joulery::evaluate::endpoint
