#include "stats/summary.hpp"

#include <boost/math/distributions/students_t.hpp>

#include <algorithm>
#include <cmath>

namespace joulery::stats {

double student_t_quantile(double probability, double degrees_of_freedom) {
  return boost::math::quantile(boost::math::students_t(degrees_of_freedom), probability);
}

double student_t_probability(double t, double degrees_of_freedom) {
  // An infinite t is out of Boost's domain.
  constexpr double kBeyond = 1e150;
  return boost::math::cdf(boost::math::students_t(degrees_of_freedom), std::clamp(t, -kBeyond, kBeyond));
}

MeanInterval mean_interval(std::span<const double> values, double level) {
  MeanInterval result;
  result.count = values.size();
  if (values.empty()) return result;
  double sum = 0;
  for (const double value : values) sum += value;
  const auto count = static_cast<double>(values.size());
  result.mean = sum / count;
  result.low = result.high = result.mean;
  if (values.size() < 2) return result;
  double squares = 0;
  for (const double value : values) squares += (value - result.mean) * (value - result.mean);
  result.standard_deviation = std::sqrt(squares / (count - 1));
  const double half =
      student_t_quantile(0.5 + level / 2, count - 1) * result.standard_deviation / std::sqrt(count);
  result.low = result.mean - half;
  result.high = result.mean + half;
  return result;
}

double lag1_autocorrelation(std::span<const double> values) {
  if (values.size() < 3) return 0;
  double mean = 0;
  for (const double value : values) mean += value;
  mean /= static_cast<double>(values.size());
  double variance = 0;
  double covariance = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    variance += (values[i] - mean) * (values[i] - mean);
    if (i > 0) covariance += (values[i] - mean) * (values[i - 1] - mean);
  }
  return variance > 0 ? covariance / variance : 0;
}

}  // namespace joulery::stats
