#include "evaluate/intervals.hpp"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "stats/proportion.hpp"

namespace joulery::evaluate {
namespace {

/// Samples looked at in all resamples together: keeps a bootstrap within seconds.
constexpr double kMostWork = 2e8;
constexpr int kFewestResamples = 199;
/// Errors have no scale of their own, so their intervals are judged against the value.
constexpr double kErrorsPerScore = 4;

Metric bare_metric(const MetricDefinition& definition, double level) {
  return {.name = definition.name,
          .level = level,
          .higher_is_better = definition.higher_is_better,
          .bounded_per_sample = definition.bounded_per_sample};
}

void set_exact(Metric& metric, double value, std::size_t samples) {
  const auto right = static_cast<std::uint64_t>(std::llround(value * static_cast<double>(samples)));
  const stats::Interval interval = stats::clopper_pearson(right, samples, metric.level);
  metric.value = value;
  metric.low = interval.low;
  metric.high = interval.high;
  metric.method = "Clopper-Pearson";
}

void set_bootstrapped(Metric& metric, const stats::BootstrapResult& result, bool clustered) {
  metric.value = metric.low = metric.high = result.value;
  if (!result.interval) return;
  metric.low = result.interval->low;
  metric.high = result.interval->high;
  metric.method = clustered ? "cluster bootstrap (approximate)" : "bootstrap (approximate)";
}

/// The metrics of a part of the samples, which the bootstrap numbers from 0.
class Part {
 public:
  Part(const ScoredSamples& scored, std::span<const std::uint32_t> samples)
      : scored_(scored), samples_(samples) {}
  stats::SampleStatistics statistics() {
    return [this](std::span<const std::uint32_t> places, std::span<double> values) {
      drawn_.clear();
      for (const std::uint32_t place : places) drawn_.push_back(samples_[place]);
      scored_.measure(drawn_, values);
    };
  }

 private:
  const ScoredSamples& scored_;
  std::span<const std::uint32_t> samples_;
  std::vector<std::uint32_t> drawn_;
};

std::vector<stats::BootstrapResult> bootstrapped(const ScoredSamples& scored,
                                                 std::span<const std::uint32_t> samples,
                                                 std::span<const std::uint32_t> clusters,
                                                 const TaskOptions& options, double level) {
  const double affordable = kMostWork / scored.cost / static_cast<double>(samples.size() + 1);
  const int resamples =
      std::min(options.resamples, static_cast<int>(std::max<double>(affordable, kFewestResamples)));
  Part part(scored, samples);
  return stats::bootstrap(samples.size(), clusters, scored.metrics.size(), part.statistics(),
                          {.level = level, .resamples = resamples, .seed = options.seed});
}

}  // namespace

Clusters clusters_of(std::span<const std::string> groups) {
  Clusters clusters;
  std::unordered_map<std::string_view, std::uint32_t> numbers;
  for (const std::string& group : groups) {
    const auto number = numbers.emplace(group, static_cast<std::uint32_t>(numbers.size())).first->second;
    clusters.of_sample.push_back(number);
  }
  clusters.count = numbers.size();
  if (clusters.count == groups.size()) clusters.of_sample.clear();
  return clusters;
}

std::vector<Metric> all_metrics(const ScoredSamples& scored, std::span<const std::uint32_t> samples,
                                std::span<const std::uint32_t> clusters, const TaskOptions& options) {
  const auto results = bootstrapped(scored, samples, clusters, options, options.level);
  std::vector<Metric> metrics;
  for (std::size_t i = 0; i < scored.metrics.size(); ++i) {
    Metric metric = bare_metric(scored.metrics[i], options.level);
    if (scored.metrics[i].is_share && clusters.empty() && !samples.empty()) {
      set_exact(metric, results[i].value, samples.size());
    } else {
      set_bootstrapped(metric, results[i], !clusters.empty());
    }
    metrics.push_back(std::move(metric));
  }
  return metrics;
}

Metric one_metric(const ScoredSamples& scored, std::size_t index, std::span<const std::uint32_t> samples,
                  std::span<const std::uint32_t> clusters, const TaskOptions& options, double level) {
  Metric metric = bare_metric(scored.metrics[index], level);
  if (scored.metrics[index].is_share && clusters.empty() && !samples.empty()) {
    std::vector<double> values(scored.metrics.size());
    scored.measure(samples, values);
    set_exact(metric, values[index], samples.size());
  } else {
    set_bootstrapped(metric, bootstrapped(scored, samples, clusters, options, level)[index],
                     !clusters.empty());
  }
  return metric;
}

std::uint64_t samples_needed(const Metric& metric, std::uint64_t samples, const TaskOptions& options) {
  if (metric.method == "none") return 2 * std::max<std::uint64_t>(samples, 15);
  const double half_width = (metric.high - metric.low) / 2;
  const double wanted = metric.higher_is_better
                            ? options.useful_half_width
                            : kErrorsPerScore * options.useful_half_width * std::fabs(metric.value);
  if (!(half_width > wanted) || !(wanted > 0)) return 0;
  if (metric.method == "Clopper-Pearson") {
    // The exact interval is a little wider than the one that is solved for.
    const std::uint64_t trials = stats::trials_for_half_width(metric.value, wanted, metric.level);
    return std::max(samples + 1, trials + trials / 20);
  }
  const double factor = half_width / wanted * (half_width / wanted);
  return static_cast<std::uint64_t>(std::ceil(static_cast<double>(samples) * std::min(factor, 1e9)));
}

}  // namespace joulery::evaluate
