#include "stats/ratio.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "stats/stationary_bootstrap.hpp"
#include "stats/summary.hpp"

namespace joulery::stats {
namespace {

/// Fewer values than this have too few different resamples, and no correlation to be seen.
constexpr std::size_t kFewestForBootstrap = 10;
/// Correlation that is taken at most, so that a steep trend does not make the interval endless.
constexpr double kStrongestCorrelation = 0.9;
constexpr double kOneSided = 0.05;
constexpr std::size_t kMostRuns = 1'000'000;

double mean_of(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

bool usable(std::span<const double> values) {
  if (values.empty()) return false;
  const bool good = std::all_of(values.begin(), values.end(),
                                [](double value) { return std::isfinite(value) && value >= 0; });
  const double mean = mean_of(values);
  return good && mean > 0 && std::isfinite(mean);
}

/// values[i]/mean - 1: what value i adds to the error of log(mean), to first order.
std::vector<double> relative_deviations(std::span<const double> values) {
  const double mean = mean_of(values);
  std::vector<double> result;
  result.reserve(values.size());
  for (const double value : values) result.push_back(value / mean - 1);
  return result;
}

/// Variance of the mean of `deviations` (which have mean 0).
double variance_of_mean(std::span<const double> deviations, double block_length) {
  const auto count = static_cast<double>(deviations.size());
  if (deviations.size() < 2) return 0;
  double squares = 0;
  for (const double deviation : deviations) squares += deviation * deviation;
  const double plain = squares / (count - 1) / count;
  // What is left of rounding when all values are the same.
  if (std::sqrt(plain) < 1e-14) return 0;
  if (deviations.size() < kFewestForBootstrap) return plain;
  // The lag-1 correlation of n uncorrelated values is -1/(n-1) on average (Kendall 1954). His further
  // correction for correlated ones costs more in noise than it mends at such counts.
  const double correlation =
      std::clamp((count * lag1_autocorrelation(deviations) + 1) / (count - 1), 0.0, kStrongestCorrelation);
  const double autoregressive = plain * (1 + correlation) / (1 - correlation);
  const double blocks = stationary_bootstrap_variance(deviations, block_length) * count / (count - 1);
  return std::max(autoregressive, blocks);
}

/// A sum of deviations over a resample, and the variance of its mean from the sums of its blocks (Götze &
/// Künsch 1996).
class ResampledGroup {
 public:
  ResampledGroup(std::size_t count, double block_length) : resampler_(count, block_length) {}
  const StationaryResampler& draw(RandomStream& random) {
    resampler_.draw(random);
    return resampler_;
  }
  template <class Deviation>
  double block_variance(const Deviation& deviation) const {
    double squares = 0;
    double block = 0;
    const auto indices = resampler_.indices();
    for (std::size_t i = 0; i < indices.size(); ++i) {
      if (resampler_.block_starts()[i]) {
        squares += block * block;
        block = 0;
      }
      block += deviation(indices[i]);
    }
    squares += block * block;
    const auto count = static_cast<double>(indices.size());
    return squares / (count * (count - 1));  // as variance_of_mean() has it
  }
  double mean(std::span<const double> values) const {
    double sum = 0;
    for (const std::size_t index : resampler_.indices()) sum += values[index];
    return sum / static_cast<double>(values.size());
  }

 private:
  StationaryResampler resampler_;
};

/// |t|, where a resample without variation or with an empty mean says nothing against the widest tail.
double absolute_t(double log_difference, double variance) {
  if (!std::isfinite(log_difference)) return std::numeric_limits<double>::infinity();
  if (variance <= 0) return log_difference == 0 ? 0 : std::numeric_limits<double>::infinity();
  return std::fabs(log_difference) / std::sqrt(variance);
}

double quantile_of_sorted(const std::vector<double>& sorted, double probability) {
  const auto place = static_cast<std::size_t>(probability * static_cast<double>(sorted.size() + 1));
  return sorted[std::clamp<std::size_t>(place, 1, sorted.size()) - 1];
}

void make_interval(RatioEstimate& estimate) {
  if (estimate.method == RatioEstimate::Method::none) {
    estimate.low = estimate.high = estimate.ratio;
    return;
  }
  const double critical = estimate.resampled_t.empty()
                              ? student_t_quantile(0.5 + estimate.level / 2, estimate.degrees_of_freedom)
                              : quantile_of_sorted(estimate.resampled_t, estimate.level);
  const double half = estimate.log_standard_error == 0 ? 0 : critical * estimate.log_standard_error;
  estimate.low = estimate.ratio * std::exp(-half);
  estimate.high = estimate.ratio * std::exp(half);
}

RatioEstimate estimate_of(std::span<const double> a, std::span<const double> b, bool paired, double level) {
  RatioEstimate estimate;
  estimate.paired = paired;
  estimate.count_a = a.size();
  estimate.count_b = b.size();
  estimate.mean_a = mean_of(a);
  estimate.mean_b = mean_of(b);
  estimate.ratio = estimate.mean_b / estimate.mean_a;
  estimate.level = level;
  return estimate;
}

/// P(|T| of chance > t), one side of it.
double tail(const RatioEstimate& estimate, double t) {
  double p = 0;
  if (estimate.resampled_t.empty()) {
    p = student_t_probability(-std::fabs(t), estimate.degrees_of_freedom);
  } else {
    const auto& sorted = estimate.resampled_t;
    const auto above = sorted.end() - std::lower_bound(sorted.begin(), sorted.end(), std::fabs(t));
    p = 0.5 * static_cast<double>(above + 1) / static_cast<double>(sorted.size() + 1);
  }
  return t > 0 ? p : 1 - p;
}

std::optional<std::size_t> smallest_count(const RatioEstimate& estimate, double target, double upper_error,
                                          double power) {
  if (estimate.method == RatioEstimate::Method::none || !(target > 0)) return std::nullopt;
  const auto count = static_cast<double>(std::min(estimate.count_a, estimate.count_b));
  const double variance = estimate.log_standard_error * estimate.log_standard_error * count;
  const double groups = estimate.paired ? 1 : 2;
  const auto enough = [&](double n) {
    const double freedom = groups * (n - 1);
    const double needed = student_t_quantile(1 - upper_error, freedom) + student_t_quantile(power, freedom);
    return needed * std::sqrt(variance / n) <= target;
  };
  std::size_t low = 2;
  std::size_t high = 2;
  while (!enough(static_cast<double>(high))) {
    if (high >= kMostRuns) return kMostRuns;
    low = high;
    high *= 2;
  }
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    if (enough(static_cast<double>(middle))) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return high;
}

std::optional<std::vector<double>> logarithms(std::span<const double> values) {
  std::vector<double> result;
  result.reserve(values.size());
  for (const double value : values) {
    if (!(value > 0) || !std::isfinite(value)) return std::nullopt;
    result.push_back(std::log(value));
  }
  return result;
}

/// Hedges' correction of the small-sample bias of Cohen's d.
double hedges(double degrees_of_freedom) {
  return 1 - 3 / (4 * degrees_of_freedom - 1);
}

}  // namespace

std::optional<RatioEstimate> paired_ratio(std::span<const double> a, std::span<const double> b,
                                          const RatioOptions& options) {
  if (a.size() != b.size() || !usable(a) || !usable(b)) return std::nullopt;
  RatioEstimate estimate = estimate_of(a, b, true, options.level);
  const std::size_t count = a.size();
  if (count >= 2) {
    std::vector<double> differences = relative_deviations(b);
    const std::vector<double> of_a = relative_deviations(a);
    for (std::size_t i = 0; i < count; ++i) differences[i] -= of_a[i];
    estimate.method = RatioEstimate::Method::student_t;
    estimate.degrees_of_freedom = static_cast<double>(count - 1);
    estimate.block_length = automatic_block_length(differences);
    estimate.log_standard_error = std::sqrt(variance_of_mean(differences, estimate.block_length));
  }
  if (count >= kFewestForBootstrap && estimate.log_standard_error > 0) {
    estimate.method = RatioEstimate::Method::bootstrap_t;
    RandomStream random(options.seed);
    ResampledGroup group(count, estimate.block_length);
    const double center = std::log(estimate.ratio);
    for (int i = 0; i < options.resamples; ++i) {
      group.draw(random);
      const double mean_a = group.mean(a);
      const double mean_b = group.mean(b);
      const double variance =
          group.block_variance([&](std::size_t k) { return b[k] / mean_b - a[k] / mean_a; });
      estimate.resampled_t.push_back(absolute_t(std::log(mean_b / mean_a) - center, variance));
    }
    std::sort(estimate.resampled_t.begin(), estimate.resampled_t.end());
  }
  make_interval(estimate);
  return estimate;
}

std::optional<RatioEstimate> unpaired_ratio(std::span<const double> a, std::span<const double> b,
                                            const RatioOptions& options) {
  if (!usable(a) || !usable(b)) return std::nullopt;
  RatioEstimate estimate = estimate_of(a, b, false, options.level);
  if (std::min(a.size(), b.size()) < 2) {
    make_interval(estimate);
    return estimate;
  }
  const std::vector<double> of_a = relative_deviations(a);
  const std::vector<double> of_b = relative_deviations(b);
  const double block_a = automatic_block_length(of_a);
  const double block_b = automatic_block_length(of_b);
  const double variance_a = variance_of_mean(of_a, block_a);
  const double variance_b = variance_of_mean(of_b, block_b);
  const double variance = variance_a + variance_b;
  estimate.method = RatioEstimate::Method::student_t;
  estimate.block_length = std::max(block_a, block_b);
  estimate.log_standard_error = std::sqrt(variance);
  const double freedom_a = static_cast<double>(a.size() - 1);
  const double freedom_b = static_cast<double>(b.size() - 1);
  estimate.degrees_of_freedom =
      variance > 0
          ? variance * variance / (variance_a * variance_a / freedom_a + variance_b * variance_b / freedom_b)
          : freedom_a + freedom_b;
  if (std::min(a.size(), b.size()) >= kFewestForBootstrap && variance > 0) {
    estimate.method = RatioEstimate::Method::bootstrap_t;
    RandomStream random(options.seed);
    ResampledGroup group_a(a.size(), block_a);
    ResampledGroup group_b(b.size(), block_b);
    const double center = std::log(estimate.ratio);
    for (int i = 0; i < options.resamples; ++i) {
      group_a.draw(random);
      group_b.draw(random);
      const double mean_a = group_a.mean(a);
      const double mean_b = group_b.mean(b);
      const double spread = group_a.block_variance([&](std::size_t k) { return a[k] / mean_a - 1; }) +
                            group_b.block_variance([&](std::size_t k) { return b[k] / mean_b - 1; });
      estimate.resampled_t.push_back(absolute_t(std::log(mean_b / mean_a) - center, spread));
    }
    std::sort(estimate.resampled_t.begin(), estimate.resampled_t.end());
  }
  make_interval(estimate);
  return estimate;
}

double equivalence_p_value(const RatioEstimate& estimate, double margin) {
  if (estimate.method == RatioEstimate::Method::none || !(margin > 0)) return 1;
  const double bound = std::log1p(margin);
  const double center = std::log(estimate.ratio);
  if (estimate.log_standard_error == 0) return std::fabs(center) < bound ? 0 : 1;
  return std::max(tail(estimate, (bound - center) / estimate.log_standard_error),
                  tail(estimate, (center + bound) / estimate.log_standard_error));
}

std::optional<double> paired_effect_size(std::span<const double> a, std::span<const double> b) {
  const auto log_a = logarithms(a);
  auto log_b = logarithms(b);
  if (!log_a || !log_b || a.size() != b.size() || a.size() < 2) return std::nullopt;
  for (std::size_t i = 0; i < a.size(); ++i) (*log_b)[i] -= (*log_a)[i];
  const MeanInterval difference = mean_interval(*log_b, 0.9);
  if (!(difference.standard_deviation > 0)) return std::nullopt;
  return hedges(static_cast<double>(a.size() - 1)) * difference.mean / difference.standard_deviation;
}

std::optional<double> unpaired_effect_size(std::span<const double> a, std::span<const double> b) {
  const auto log_a = logarithms(a);
  const auto log_b = logarithms(b);
  if (!log_a || !log_b || a.size() < 2 || b.size() < 2) return std::nullopt;
  const MeanInterval of_a = mean_interval(*log_a, 0.9);
  const MeanInterval of_b = mean_interval(*log_b, 0.9);
  const auto freedom_a = static_cast<double>(a.size() - 1);
  const auto freedom_b = static_cast<double>(b.size() - 1);
  const double pooled = std::sqrt((freedom_a * of_a.standard_deviation * of_a.standard_deviation +
                                   freedom_b * of_b.standard_deviation * of_b.standard_deviation) /
                                  (freedom_a + freedom_b));
  if (!(pooled > 0)) return std::nullopt;
  return hedges(freedom_a + freedom_b) * (of_b.mean - of_a.mean) / pooled;
}

std::optional<std::size_t> runs_needed(const RatioEstimate& estimate, double change, double power) {
  return smallest_count(estimate, std::log1p(change), kOneSided, power);
}

std::optional<std::size_t> runs_needed_for_equivalence(const RatioEstimate& estimate, double margin,
                                                       double power) {
  // Both one-sided tests have to reject: each with half of the error.
  return smallest_count(estimate, std::log1p(margin), kOneSided, 1 - (1 - power) / 2);
}

std::optional<double> noise_floor(std::span<const double> values, double level) {
  const auto logs = logarithms(values);
  if (!logs || values.size() < 3) return std::nullopt;
  double squares = 0;
  for (std::size_t i = 1; i < logs->size(); ++i) {
    squares += ((*logs)[i] - (*logs)[i - 1]) * ((*logs)[i] - (*logs)[i - 1]);
  }
  const auto count = static_cast<double>(values.size());
  const double variance = squares / (2 * (count - 1));
  const double critical = student_t_quantile(0.5 + level / 2, count - 1);
  return std::expm1(critical * std::sqrt(2 * variance / count));
}

std::optional<double> split_half_ratio(std::span<const double> values) {
  double sums[2] = {0, 0};
  std::size_t counts[2] = {0, 0};
  for (std::size_t i = 0; i < values.size(); ++i) {
    sums[i % 2] += values[i];
    ++counts[i % 2];
  }
  if (counts[1] == 0 || !(sums[0] > 0) || !(sums[1] > 0)) return std::nullopt;
  const double ratio = sums[1] / static_cast<double>(counts[1]) / (sums[0] / static_cast<double>(counts[0]));
  return std::isfinite(ratio) ? std::optional(ratio) : std::nullopt;
}

}  // namespace joulery::stats
