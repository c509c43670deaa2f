#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "stats/proportion.hpp"

namespace joulery::stats {

struct BootstrapOptions {
  enum class Method {
    percentile,
    /// Bias-corrected and accelerated (Efron 1987). The acceleration is a jackknife's, over at most 200
    /// groups of units.
    bca,
  };
  double level = 0.9;
  int resamples = 1999;
  /// The same sample and seed give the same interval.
  std::uint64_t seed = 20'240'229;
  Method method = Method::bca;
};

/// Writes what it makes of the samples with these indices (one may come several times) into `values`. NaN
/// means not defined for them.
using SampleStatistics =
    std::function<void(std::span<const std::uint32_t> samples, std::span<double> values)>;

struct BootstrapResult {
  /// Of the sample itself.
  double value = 0;
  /// Nothing if the value is not defined, or in more than a tenth of the resamples is not, or there are fewer
  /// than 2 units. An interval always holds the value.
  std::optional<Interval> interval = std::nullopt;
};

/// Intervals of `width` statistics of samples 0 … count-1, all from the same resamples. Approximate: for few
/// samples they hold the truth less often than they say.
///
/// `clusters` is empty if the samples are independent; else it has the cluster of each (0 … clusters-1), and
/// whole clusters are drawn. Results for no samples are NaN.
std::vector<BootstrapResult> bootstrap(std::size_t count, std::span<const std::uint32_t> clusters,
                                       std::size_t width, const SampleStatistics& statistics,
                                       const BootstrapOptions& options = {});

/// The interval of the mean of independent values.
BootstrapResult bootstrap_mean(std::span<const double> values, const BootstrapOptions& options = {});

}  // namespace joulery::stats
