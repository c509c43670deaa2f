#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace joulery::evaluate::endpoint {

/// A quantile with a confidence interval by order statistics: it needs no shape of the distribution, but
/// takes the values as independent. An end is absent if the values are too few to tell of it.
struct Quantile {
  double probability = 0.5;
  double value = 0;
  std::optional<double> low;
  std::optional<double> high;
};

constexpr std::array kQuantiles{0.5, 0.9, 0.95, 0.99};
constexpr double kLevel = 0.9;

/// What many values of one kind are like.
struct Distribution {
  std::size_t count = 0;
  double mean = 0;
  /// Confidence interval for the mean, correlation from one value to the next included; absent for fewer
  /// than 8.
  std::optional<double> mean_low;
  std::optional<double> mean_high;
  double standard_deviation = 0;  // of one value, n-1
  double minimum = 0;
  double maximum = 0;
  /// At kQuantiles, between values by linear interpolation, as NumPy's default does.
  std::array<Quantile, kQuantiles.size()> quantiles{};
};

/// Values in the order in which they came. Nothing if there are none.
std::optional<Distribution> describe(std::span<const double> values);

/// The values of rank `low` and `high` (from 1) among n sorted ones hold the quantile between them with
/// probability `level`; absent where no rank does.
struct QuantileRanks {
  std::optional<std::size_t> low;
  std::optional<std::size_t> high;
};
QuantileRanks quantile_ranks(std::size_t count, double probability, double level);

/// Something per second, with a confidence interval from how it varied over the window, if that was long
/// enough.
struct Rate {
  double value = 0;
  std::optional<double> low;
  std::optional<double> high;
};
/// An event that counts for so much.
struct WeightedEvent {
  std::int64_t time_ns = 0;
  double weight = 1;
};
/// The window is not empty. Events outside of it count towards its ends.
Rate rate_of(std::span<const WeightedEvent> events, std::int64_t start_ns, std::int64_t end_ns);

}  // namespace joulery::evaluate::endpoint
