#include "stats/bootstrap.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "stats/distributions.hpp"

namespace joulery::stats {
namespace {

constexpr std::size_t kMostJackknifeGroups = 200;
constexpr double kMostUndefined = 0.1;

/// What is drawn: samples, or clusters of them.
class Units {
 public:
  Units(std::size_t count, std::span<const std::uint32_t> clusters) {
    const bool clustered = clusters.size() == count && count > 0;
    std::size_t units = count;
    if (clustered) units = static_cast<std::size_t>(*std::ranges::max_element(clusters)) + 1;
    starts_.assign(units + 1, 0);
    for (std::size_t i = 0; i < count; ++i) ++starts_[(clustered ? clusters[i] : i) + 1];
    std::partial_sum(starts_.begin(), starts_.end(), starts_.begin());
    members_.resize(count);
    std::vector<std::size_t> next(starts_.begin(), starts_.end() - 1);
    for (std::size_t i = 0; i < count; ++i) {
      members_[next[clustered ? clusters[i] : i]++] = static_cast<std::uint32_t>(i);
    }
    // A cluster without samples is nothing to draw.
    for (std::size_t unit = 0; unit < units; ++unit) {
      if (starts_[unit + 1] > starts_[unit]) filled_.push_back(unit);
    }
  }
  std::size_t size() const { return filled_.size(); }
  void append(std::size_t unit, std::vector<std::uint32_t>& samples) const {
    const std::size_t at = filled_[unit];
    samples.insert(samples.end(), members_.begin() + static_cast<std::ptrdiff_t>(starts_[at]),
                   members_.begin() + static_cast<std::ptrdiff_t>(starts_[at + 1]));
  }

 private:
  std::vector<std::size_t> starts_;
  std::vector<std::uint32_t> members_;
  std::vector<std::size_t> filled_;
};

/// Statistics of every sample but those of one group of units, for each group: [group][statistic].
std::vector<std::vector<double>> jackknife(const Units& units, std::size_t width,
                                           const SampleStatistics& statistics) {
  const std::size_t groups = std::min(units.size(), kMostJackknifeGroups);
  std::vector<std::vector<double>> left_out(groups, std::vector<double>(width));
  std::vector<std::uint32_t> samples;
  for (std::size_t group = 0; group < groups; ++group) {
    samples.clear();
    for (std::size_t unit = 0; unit < units.size(); ++unit) {
      if (unit % groups != group) units.append(unit, samples);
    }
    statistics(samples, left_out[group]);
  }
  return left_out;
}

/// Efron's a: a sixth of the skewness of what the groups pull at the statistic.
double acceleration(const std::vector<std::vector<double>>& left_out, std::size_t index) {
  double mean = 0;
  for (const auto& values : left_out) mean += values[index] / static_cast<double>(left_out.size());
  double squares = 0;
  double cubes = 0;
  for (const auto& values : left_out) {
    const double pull = mean - values[index];
    squares += pull * pull;
    cubes += pull * pull * pull;
  }
  const double skew = squares > 0 ? cubes / (6 * std::pow(squares, 1.5)) : 0;
  return std::isfinite(skew) ? skew : 0;
}

double interpolated(const std::vector<double>& sorted, double probability) {
  const double position = std::clamp(probability, 0.0, 1.0) * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const double upper = sorted[std::min(below + 1, sorted.size() - 1)];
  return sorted[below] + (position - static_cast<double>(below)) * (upper - sorted[below]);
}

/// How many standard deviations the median of the resamples lies below the value.
double bias(const std::vector<double>& sorted, double value) {
  const auto [first, last] = std::equal_range(sorted.begin(), sorted.end(), value);
  const double below = static_cast<double>(first - sorted.begin()) + static_cast<double>(last - first) / 2;
  const auto count = static_cast<double>(sorted.size());
  return normal_quantile(std::clamp(below / count, 0.5 / count, 1 - 0.5 / count));
}

Interval interval_of(const std::vector<double>& sorted, double value, double skew,
                     const BootstrapOptions& options) {
  const double tail = (1 - options.level) / 2;
  double low = tail;
  double high = 1 - tail;
  if (options.method == BootstrapOptions::Method::bca) {
    const double z0 = bias(sorted, value);
    const auto adjusted = [&](double probability) {
      const double z = z0 + normal_quantile(probability);
      const double shrink = 1 - skew * z;
      return shrink > 0 ? normal_probability(z0 + z / shrink) : probability;
    };
    low = adjusted(tail);
    high = adjusted(1 - tail);
  }
  return {.low = std::min(value, interpolated(sorted, low)),
          .high = std::max(value, interpolated(sorted, high))};
}

}  // namespace

std::vector<BootstrapResult> bootstrap(std::size_t count, std::span<const std::uint32_t> clusters,
                                       std::size_t width, const SampleStatistics& statistics,
                                       const BootstrapOptions& options) {
  std::vector<BootstrapResult> results(width, {.value = std::numeric_limits<double>::quiet_NaN()});
  if (count == 0 || width == 0) return results;
  std::vector<std::uint32_t> samples(count);
  std::iota(samples.begin(), samples.end(), 0U);
  std::vector<double> values(width);
  statistics(samples, values);
  for (std::size_t i = 0; i < width; ++i) results[i].value = values[i];
  const Units units(count, clusters);
  if (units.size() < 2 || options.resamples < 1) return results;

  RandomStream random(options.seed);
  std::vector<std::vector<double>> resampled(width);
  for (int resample = 0; resample < options.resamples; ++resample) {
    samples.clear();
    for (std::size_t i = 0; i < units.size(); ++i) units.append(random.below(units.size()), samples);
    statistics(samples, values);
    for (std::size_t i = 0; i < width; ++i) {
      if (std::isfinite(values[i])) resampled[i].push_back(values[i]);
    }
  }
  std::vector<std::vector<double>> left_out;
  if (options.method == BootstrapOptions::Method::bca) left_out = jackknife(units, width, statistics);
  for (std::size_t i = 0; i < width; ++i) {
    std::vector<double>& sorted = resampled[i];
    if (!std::isfinite(results[i].value) ||
        static_cast<double>(sorted.size()) < (1 - kMostUndefined) * options.resamples) {
      continue;
    }
    std::ranges::sort(sorted);
    const double skew = left_out.empty() ? 0 : acceleration(left_out, i);
    results[i].interval = interval_of(sorted, results[i].value, skew, options);
  }
  return results;
}

BootstrapResult bootstrap_mean(std::span<const double> values, const BootstrapOptions& options) {
  const auto mean = [&](std::span<const std::uint32_t> samples, std::span<double> result) {
    double sum = 0;
    for (const std::uint32_t sample : samples) sum += values[sample];
    result[0] = sum / static_cast<double>(samples.size());
  };
  return bootstrap(values.size(), {}, 1, mean, options)[0];
}

}  // namespace joulery::stats
