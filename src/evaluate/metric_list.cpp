#include "evaluate/metric_list.hpp"

#include <algorithm>
#include <memory>
#include <utility>

namespace joulery::evaluate {

void MetricList::add_mean(MetricDefinition definition, std::vector<double> scores) {
  auto values = std::make_shared<const std::vector<double>>(scores);
  add(
      std::move(definition),
      [values](std::span<const std::uint32_t> samples) {
        double sum = 0;
        for (const std::uint32_t sample : samples) sum += (*values)[sample];
        return sum / static_cast<double>(samples.size());
      },
      std::move(scores));
}

void MetricList::add_max(MetricDefinition definition, std::vector<double> scores) {
  auto values = std::make_shared<const std::vector<double>>(scores);
  add(
      std::move(definition),
      [values](std::span<const std::uint32_t> samples) {
        double most = 0;
        for (const std::uint32_t sample : samples) most = std::max(most, (*values)[sample]);
        return most;
      },
      std::move(scores));
}

void MetricList::add(MetricDefinition definition, Measure measure) {
  add(std::move(definition), std::move(measure), {});
}

void MetricList::add(MetricDefinition definition, Measure measure, std::vector<double> scores) {
  definitions_.push_back(std::move(definition));
  measures_.push_back(std::move(measure));
  scores_.push_back(std::move(scores));
}

void MetricList::move_into(ScoredSamples& scored) {
  scored.metrics = std::exchange(definitions_, {});
  scored.scores = std::exchange(scores_, {});
  scored.measure = [measures = std::exchange(measures_, {})](std::span<const std::uint32_t> samples,
                                                             std::span<double> values) {
    for (std::size_t i = 0; i < measures.size(); ++i) values[i] = measures[i](samples);
  };
}

}  // namespace joulery::evaluate
