#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "stats/random_stream.hpp"

namespace joulery::stats {

/// Mean block length that the stationary bootstrap should have for this series, in [1, n/3]: Politis & White
/// (2004) with the correction of Patton, Politis & White (2009). 1 for fewer than 8 values, and for a series
/// in which no correlation stands out.
double automatic_block_length(std::span<const double> values);

/// Variance of the mean that the stationary bootstrap (Politis & Romano 1994) would find with blocks of this
/// mean length, in closed form: no resampling noise.
double stationary_bootstrap_variance(std::span<const double> values, double block_length);

/// One resample after the other: indices in blocks of geometric length that start anywhere and wrap around.
class StationaryResampler {
 public:
  /// `count` > 0.
  StationaryResampler(std::size_t count, double block_length);
  void draw(RandomStream& random);
  std::span<const std::size_t> indices() const { return indices_; }
  /// True where a block begins.
  const std::vector<bool>& block_starts() const { return starts_; }

 private:
  double new_block_;
  std::vector<std::size_t> indices_;
  std::vector<bool> starts_;
};

}  // namespace joulery::stats
