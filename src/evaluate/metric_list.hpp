#pragma once

#include <functional>
#include <span>
#include <vector>

#include "evaluate/scored_samples.hpp"

namespace joulery::evaluate {

/// Gathers a task's metrics; the first is its usual one.
class MetricList {
 public:
  using Measure = std::function<double(std::span<const std::uint32_t>)>;
  /// The mean of these scores.
  void add_mean(MetricDefinition definition, std::vector<double> scores);
  /// The largest of these scores; 0 of no sample.
  void add_max(MetricDefinition definition, std::vector<double> scores);
  /// Whatever `measure` makes of samples; NaN if it is not defined.
  void add(MetricDefinition definition, Measure measure);
  /// The same of a metric that each sample has for itself too.
  void add(MetricDefinition definition, Measure measure, std::vector<double> scores);
  /// Hands metrics, scores and the function over. The list is empty then.
  void move_into(ScoredSamples& scored);

 private:
  std::vector<MetricDefinition> definitions_;
  std::vector<std::vector<double>> scores_;
  std::vector<Measure> measures_;
};

}  // namespace joulery::evaluate
