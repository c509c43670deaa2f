#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace joulery::stats {

/// A quantile of a sample of independent values with an interval that needs no distribution.
struct QuantileInterval {
  double value = 0;
  /// Nothing if no value of so small a sample is low, or high, enough to be sure.
  std::optional<double> low = std::nullopt;
  std::optional<double> high = std::nullopt;
  double level = 0.9;
};

/// The value is that of linear interpolation (type 7 of Hyndman & Fan 1996); the ends are two of the values,
/// so placed that each is beyond the true quantile with a chance of at most (1-level)/2, by the binomial
/// distribution. `sorted` ascending; nothing if it is empty.
std::optional<QuantileInterval> quantile_interval(std::span<const double> sorted, double probability,
                                                  double level = 0.9);

/// Values that an interval with two ends needs.
std::size_t samples_for_quantile(double probability, double level = 0.9);

/// How many of `samples` latencies may lie above a bound that is still, with this confidence, no less than
/// the true quantile: the largest t with I(percentile - tolerance; samples-t, t+1) <= 1-confidence. That is
/// the early stopping of MLPerf Inference, whose d is `tolerance`. Nothing if there are too few samples.
std::optional<std::uint64_t> early_stopping_overlatency(std::uint64_t samples, double percentile,
                                                        double confidence = 0.99, double tolerance = 0);
/// How many of the highest may be discarded: one less than those above, as MLPerf does. Nothing if there are
/// too few samples to discard none.
std::optional<std::uint64_t> early_stopping_discard(std::uint64_t samples, double percentile,
                                                    double confidence = 0.99, double tolerance = 0);
/// The highest of the rest: with this confidence the true quantile is at most that. `sorted` ascending.
std::optional<double> early_stopping_estimate(std::span<const double> sorted, double percentile,
                                              double confidence = 0.99, double tolerance = 0);
/// The fewest samples of which `overlatency` may be above.
std::uint64_t early_stopping_samples(std::uint64_t overlatency, double percentile, double confidence = 0.99,
                                     double tolerance = 0);

}  // namespace joulery::stats
