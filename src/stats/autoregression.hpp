#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include "stats/distributions.hpp"

/// For tests only: made-up series whose truth is known.
namespace joulery::stats {

/// A stationary first-order autoregression with mean 0 and this standard deviation.
inline std::vector<double> autoregression(RandomStream& random, std::size_t count, double correlation,
                                          double deviation) {
  std::vector<double> series;
  double value = deviation * normal_variate(random);
  for (std::size_t i = 0; i < count; ++i) {
    series.push_back(value);
    value =
        correlation * value + deviation * std::sqrt(1 - correlation * correlation) * normal_variate(random);
  }
  return series;
}

}  // namespace joulery::stats
