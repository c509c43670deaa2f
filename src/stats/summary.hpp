#pragma once

#include <cstddef>
#include <span>

namespace joulery::stats {

/// Mean of a sample with a confidence interval for the mean (Student's t; assumes independent values).
struct MeanInterval {
  std::size_t count = 0;
  double mean = 0;
  double standard_deviation = 0;  // of one value, n-1
  /// Equal to the mean if count < 2.
  double low = 0;
  double high = 0;
};
MeanInterval mean_interval(std::span<const double> values, double level);

/// Quantile of Student's t distribution: P(T <= result) = probability.
double student_t_quantile(double probability, double degrees_of_freedom);
/// P(T <= t) of Student's t distribution.
double student_t_probability(double t, double degrees_of_freedom);

/// Lag-1 autocorrelation; 0 for fewer than 3 values or no variance.
double lag1_autocorrelation(std::span<const double> values);

}  // namespace joulery::stats
