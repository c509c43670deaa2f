#include "evaluate/rank_correlation.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>

namespace joulery::evaluate {

double cosine(std::span<const double> a, std::span<const double> b) {
  double product = 0;
  double size_a = 0;
  double size_b = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    product += a[i] * b[i];
    size_a += a[i] * a[i];
    size_b += b[i] * b[i];
  }
  if (!(size_a > 0 && size_b > 0)) return 0;
  return std::clamp(product / std::sqrt(size_a) / std::sqrt(size_b), -1.0, 1.0);
}

std::vector<double> ranks(std::span<const double> values) {
  std::vector<std::uint32_t> order(values.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::sort(order, {}, [&](std::uint32_t i) { return values[i]; });
  std::vector<double> result(values.size());
  for (std::size_t first = 0; first < order.size();) {
    std::size_t last = first;
    while (last + 1 < order.size() && values[order[last + 1]] == values[order[first]]) ++last;
    for (std::size_t i = first; i <= last; ++i) result[order[i]] = static_cast<double>(first + last) / 2 + 1;
    first = last + 1;
  }
  return result;
}

double pearson(std::span<const double> x, std::span<const double> y) {
  const auto count = static_cast<double>(x.size());
  const double mean_x = std::accumulate(x.begin(), x.end(), 0.0) / count;
  const double mean_y = std::accumulate(y.begin(), y.end(), 0.0) / count;
  double product = 0;
  double spread_x = 0;
  double spread_y = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    product += (x[i] - mean_x) * (y[i] - mean_y);
    spread_x += (x[i] - mean_x) * (x[i] - mean_x);
    spread_y += (y[i] - mean_y) * (y[i] - mean_y);
  }
  if (!(spread_x > 0 && spread_y > 0)) return std::numeric_limits<double>::quiet_NaN();
  return std::clamp(product / std::sqrt(spread_x) / std::sqrt(spread_y), -1.0, 1.0);
}

double spearman(std::span<const double> x, std::span<const double> y) {
  return pearson(ranks(x), ranks(y));
}

}  // namespace joulery::evaluate
