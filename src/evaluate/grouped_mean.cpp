#include "evaluate/grouped_mean.hpp"

#include <algorithm>
#include <cmath>

#include "stats/ratio.hpp"
#include "stats/summary.hpp"

namespace joulery::evaluate {
namespace {

double mean_of(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

std::vector<double> group_means(const GroupedValues& values) {
  std::vector<double> means;
  for (std::size_t i = 0; i < values.groups(); ++i) {
    if (!values.group(i).empty()) means.push_back(mean_of(values.group(i)));
  }
  return means;
}

}  // namespace

std::span<const double> GroupedValues::group(std::size_t index) const {
  const std::size_t begin = group_starts[index];
  const std::size_t end = index + 1 < group_starts.size() ? group_starts[index + 1] : values.size();
  return std::span(values).subspan(begin, end - begin);
}

double Figure::relative_half_width() const {
  return value > 0 ? (high - low) / 2 / value : 0;
}

std::optional<Figure> grouped_ratio(const GroupedValues& a, const GroupedValues& b, double level,
                                    std::uint64_t seed) {
  if (a.group_starts != b.group_starts) return std::nullopt;
  const stats::RatioOptions options{.level = level, .seed = seed};
  const auto over_blocks = stats::paired_ratio(a.values, b.values, options);
  if (!over_blocks) return std::nullopt;
  Figure figure{.value = over_blocks->ratio,
                .low = over_blocks->low,
                .high = over_blocks->high,
                .level = level,
                .blocks = a.values.size(),
                .groups = a.groups(),
                .has_interval = over_blocks->method != stats::RatioEstimate::Method::none};
  const std::vector<double> means_a = group_means(a);
  const std::vector<double> means_b = group_means(b);
  if (means_a.size() < 2) return figure;
  std::vector<double> logs;
  for (std::size_t i = 0; i < means_a.size(); ++i) {
    if (means_a[i] <= 0 || means_b[i] <= 0) return figure;
    logs.push_back(std::log(means_b[i] / means_a[i]));
  }
  const stats::MeanInterval between = stats::mean_interval(logs, level);
  const double half_width = (between.high - between.low) / 2;
  figure.low = std::min(figure.low, figure.value * std::exp(-half_width));
  figure.high = std::max(figure.high, figure.value * std::exp(half_width));
  // Drift that is slower than a process lasts makes neighbouring ones alike; enough of them show it.
  if (const auto correlated = stats::paired_ratio(means_a, means_b, options)) {
    figure.low = std::min(figure.low, figure.value * correlated->low / correlated->ratio);
    figure.high = std::max(figure.high, figure.value * correlated->high / correlated->ratio);
  }
  figure.has_interval = true;
  return figure;
}

std::optional<Figure> grouped_mean(const GroupedValues& values, double level, std::uint64_t seed) {
  // A mean is a ratio to something that does not vary.
  GroupedValues ones = values;
  std::ranges::fill(ones.values, 1.0);
  return grouped_ratio(ones, values, level, seed);
}

}  // namespace joulery::evaluate
