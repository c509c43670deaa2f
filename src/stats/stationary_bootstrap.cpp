#include "stats/stationary_bootstrap.hpp"

#include <algorithm>
#include <cmath>

namespace joulery::stats {
namespace {

/// Below this, autocorrelations of a series are noise.
constexpr std::size_t kFewestForBlocks = 8;

/// Autocovariances at lags 0 … most, divided by n.
std::vector<double> autocovariances(std::span<const double> values, std::size_t most) {
  double mean = 0;
  for (const double value : values) mean += value;
  mean /= static_cast<double>(values.size());
  std::vector<double> result(most + 1);
  for (std::size_t lag = 0; lag <= most; ++lag) {
    for (std::size_t i = lag; i < values.size(); ++i) {
      result[lag] += (values[i] - mean) * (values[i - lag] - mean);
    }
    result[lag] /= static_cast<double>(values.size());
  }
  return result;
}

/// The lag after which `window` correlations in a row are within what chance gives.
std::size_t last_notable_lag(const std::vector<double>& covariances, std::size_t window, double threshold) {
  const std::size_t most = covariances.size() - 1;
  for (std::size_t lag = 1; lag <= most; ++lag) {
    bool quiet = true;
    for (std::size_t k = lag; k < std::min(lag + window, most + 1); ++k) {
      quiet = quiet && std::fabs(covariances[k] / covariances[0]) < threshold;
    }
    if (quiet) return lag - 1;
  }
  return most;
}

}  // namespace

double automatic_block_length(std::span<const double> values) {
  if (values.size() < kFewestForBlocks) return 1;
  const auto count = static_cast<double>(values.size());
  const auto window = std::max<std::size_t>(5, static_cast<std::size_t>(std::sqrt(std::log10(count))));
  const std::size_t most =
      std::min(values.size() - 1, static_cast<std::size_t>(std::ceil(std::sqrt(count))) + window);
  const std::vector<double> covariances = autocovariances(values, most);
  if (!(covariances[0] > 0)) return 1;
  const std::size_t notable = last_notable_lag(covariances, window, 2 * std::sqrt(std::log10(count) / count));
  const std::size_t bandwidth = std::min(2 * notable, most);
  if (bandwidth == 0) return 1;
  double spectrum = covariances[0];  // long-run variance
  double slope = 0;
  for (std::size_t lag = 1; lag <= bandwidth; ++lag) {
    // Flat-top window: one up to half, then down to nothing.
    const double position = static_cast<double>(lag) / static_cast<double>(bandwidth);
    const double weight = position <= 0.5 ? 1 : 2 * (1 - position);
    spectrum += 2 * weight * covariances[lag];
    slope += 2 * weight * static_cast<double>(lag) * covariances[lag];
  }
  if (spectrum == 0) return 1;
  const double best = std::cbrt(slope * slope / (spectrum * spectrum) * count);
  return std::clamp(best, 1.0, std::min(std::ceil(3 * std::sqrt(count)), count / 3));
}

double stationary_bootstrap_variance(std::span<const double> values, double block_length) {
  if (values.size() < 2) return 0;
  const auto count = static_cast<double>(values.size());
  const std::vector<double> covariances = autocovariances(values, values.size() - 1);
  const double stay = 1 - 1 / std::max(block_length, 1.0);
  double sum = covariances[0];
  for (std::size_t lag = 1; stay > 0 && lag < values.size(); ++lag) {
    const auto k = static_cast<double>(lag);
    const double weight = (1 - k / count) * std::pow(stay, k) + k / count * std::pow(stay, count - k);
    sum += 2 * weight * covariances[lag];
  }
  return std::max(sum, 0.0) / count;
}

StationaryResampler::StationaryResampler(std::size_t count, double block_length)
    : new_block_(1 / std::max(block_length, 1.0)), indices_(count), starts_(count) {}

void StationaryResampler::draw(RandomStream& random) {
  for (std::size_t i = 0; i < indices_.size(); ++i) {
    starts_[i] = i == 0 || random.unit() < new_block_;
    indices_[i] = starts_[i] ? static_cast<std::size_t>(random.below(indices_.size()))
                             : (indices_[i - 1] + 1) % indices_.size();
  }
}

}  // namespace joulery::stats
