#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "record/power_series.hpp"

namespace joulery::app {

/// Power within one stretch of a run; what happened in it lies between `low_watts` and `high_watts`.
struct PowerPoint {
  double start_seconds = 0;  // since the start of the run
  double end_seconds = 0;
  double low_watts = 0;
  double high_watts = 0;
  double mean_watts = 0;
};

/// A power series cut to what a chart can show. Energy and peak are those of all samples, not of the points.
struct PowerProfile {
  /// In order of time; where nothing is known there is no point.
  std::vector<PowerPoint> points;
  std::size_t samples = 0;
  double joules = 0;
  double seconds = 0;
  double mean_watts = 0;
  double peak_watts = 0;
  double peak_at_seconds = 0;
};

/// At most `most_points` points (at least 1), each window of the series its own if they are few. `start_ns`
/// is when the first window began; 0, or later than its end, if that is not known. A sample without a length
/// of time has energy but no power.
PowerProfile profile_power(std::span<const record::PowerSample> samples, std::int64_t start_ns,
                           std::size_t most_points);

/// Power of several devices together, with a window wherever one of them has an edge. Within its windows each
/// device draws steadily, so energy is kept.
std::vector<record::PowerSample> add_power(std::span<const std::span<const record::PowerSample>> devices,
                                           std::int64_t start_ns);

}  // namespace joulery::app
