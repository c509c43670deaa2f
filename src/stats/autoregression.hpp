#pragma once

#include <cmath>
#include <cstddef>
#include <numbers>
#include <vector>

#include "stats/random_stream.hpp"

/// For tests only: made-up series whose truth is known.
namespace joulery::stats {

inline double standard_normal(RandomStream& random) {
  return std::sqrt(-2 * std::log(1 - random.unit())) * std::cos(2 * std::numbers::pi * random.unit());
}

/// A stationary first-order autoregression with mean 0 and this standard deviation.
inline std::vector<double> autoregression(RandomStream& random, std::size_t count, double correlation,
                                          double deviation) {
  std::vector<double> series;
  double value = deviation * standard_normal(random);
  for (std::size_t i = 0; i < count; ++i) {
    series.push_back(value);
    value =
        correlation * value + deviation * std::sqrt(1 - correlation * correlation) * standard_normal(random);
  }
  return series;
}

}  // namespace joulery::stats
