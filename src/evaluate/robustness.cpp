#include "evaluate/robustness.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/text.hpp"
#include "evaluate/intervals.hpp"
#include "evaluate/metric_list.hpp"
#include "stats/random_stream.hpp"

namespace joulery::evaluate {

std::uint64_t sample_seed(std::uint64_t seed, std::uint64_t sample, std::string_view name, int severity) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;  // FNV-1a
  for (const char letter : name) hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001b3ULL;
  // Each part goes through the generator, so that neighbouring samples and seeds have nothing in common.
  std::uint64_t state = stats::RandomStream(seed ^ hash).next();
  state = stats::RandomStream(state + static_cast<std::uint64_t>(severity)).next();
  return stats::RandomStream(state ^ sample).next();
}

Result<RobustnessFigures> RobustnessFigures::create(QualityReport clean, std::vector<std::string> groups,
                                                    const TaskOptions& options) {
  if (clean.per_sample_scores.empty() || clean.per_sample_scores.size() != clean.samples) {
    return user_error("without a score for each sample there is nothing to compare with");
  }
  if (!groups.empty() && groups.size() != clean.samples) {
    return user_error(fmt::format("{} groups for {} samples", groups.size(), clean.samples));
  }
  RobustnessFigures figures;
  figures.clusters_ = clusters_of(groups).of_sample;
  figures.clean_ = std::move(clean);
  figures.options_ = options;
  return figures;
}

RobustnessFigures::Paired RobustnessFigures::paired(const QualityReport& report) const {
  Paired paired;
  const double sign = clean_.higher_score_is_better ? 1 : -1;
  const bool has_answers = report.predictions.size() == clean_.samples && !clean_.predictions.empty();
  for (std::size_t i = 0; i < clean_.samples; ++i) {
    paired.losses.push_back(sign * (clean_.per_sample_scores[i] - report.per_sample_scores[i]));
    if (has_answers) paired.flips.push_back(report.predictions[i] != clean_.predictions[i] ? 1 : 0);
  }
  return paired;
}

Metric RobustnessFigures::mean_metric(std::string name, const std::vector<double>& values,
                                      bool is_share) const {
  MetricList list;
  list.add_mean({.name = std::move(name),
                 .higher_is_better = false,
                 .bounded_per_sample = is_share,
                 .is_share = is_share},
                values);
  ScoredSamples scored;
  list.move_into(scored);
  std::vector<std::uint32_t> all(values.size());
  for (std::uint32_t i = 0; i < all.size(); ++i) all[i] = i;
  return one_metric(scored, 0, all, clusters_, options_, options_.level);
}

Result<RobustnessRow> RobustnessFigures::add(const PerturbationInfo& perturbation,
                                             const QualityReport& report) {
  if (report.task != clean_.task || report.primary.name != clean_.primary.name) {
    return user_error(fmt::format("'{}' was judged by {} of {}, but the clean samples by {} of {}",
                                  perturbation.name, report.primary.name, report.task, clean_.primary.name,
                                  clean_.task));
  }
  if (report.per_sample_scores.size() != clean_.samples) {
    return user_error(fmt::format("'{}' was judged on {} samples, but there are {} clean ones",
                                  perturbation.name, report.per_sample_scores.size(), clean_.samples),
                      "spoil the same samples, in the same order");
  }
  const Paired pairs = paired(report);
  RobustnessRow row{.perturbation = perturbation,
                    .quality = report.primary,
                    .loss = mean_metric("loss", pairs.losses, false),
                    .flip_rate = std::nullopt,
                    .non_finite_samples = report.non_finite_samples};
  if (!pairs.flips.empty()) row.flip_rate = mean_metric("flip_rate", pairs.flips, true);
  if (perturbation.severity > 0) {
    auto sum = std::ranges::find(sums_, perturbation.name, &Sum::name);
    if (sum == sums_.end()) {
      sums_.push_back({.name = perturbation.name,
                       .losses = std::vector<double>(pairs.losses.size()),
                       .flips = std::vector<double>(pairs.flips.size())});
      sum = sums_.end() - 1;
    }
    ++sum->severities;
    sum->quality += report.primary.value;
    for (std::size_t i = 0; i < pairs.losses.size(); ++i) sum->losses[i] += pairs.losses[i];
    for (std::size_t i = 0; i < std::min(sum->flips.size(), pairs.flips.size()); ++i)
      sum->flips[i] += pairs.flips[i];
  }
  rows_.push_back(row);
  return row;
}

Result<Robustness> RobustnessFigures::figures() const {
  if (sums_.empty()) return user_error("no perturbation was tried, so nothing is known of robustness");
  Robustness result{.clean = clean_.primary, .rows = rows_};
  std::vector<double> losses(clean_.samples);
  std::vector<double> flips(sums_.front().flips.size());
  double quality = 0;
  const auto kinds = static_cast<double>(sums_.size());
  for (const Sum& sum : sums_) {
    const double share = 1 / (kinds * sum.severities);
    quality += share * sum.quality;
    for (std::size_t i = 0; i < losses.size(); ++i) losses[i] += share * sum.losses[i];
    for (std::size_t i = 0; i < std::min(flips.size(), sum.flips.size()); ++i)
      flips[i] += share * sum.flips[i];
  }
  result.mean_loss = mean_metric("mean_loss", losses, false);
  if (!flips.empty()) {
    result.mean_flip_rate = mean_metric("mean_flip_rate", flips, false);
  }
  result.mean_quality = clean_.primary;
  result.mean_quality.name = "mean_" + clean_.primary.name;
  result.mean_quality.value = result.mean_quality.low = result.mean_quality.high = quality;
  result.mean_quality.method = "none";
  const auto error_of = [this](double value) { return clean_.primary.higher_is_better ? 1 - value : value; };
  if (error_of(clean_.primary.value) > 0) {
    // The mean over perturbations of a ratio with one denominator.
    result.relative_corruption_error = error_of(quality) / error_of(clean_.primary.value);
  }
  for (const RobustnessRow& row : rows_) {
    if (row.non_finite_samples == 0) continue;
    result.warnings.push_back(fmt::format(
        "{} (severity {}) made the model give NaN or an infinity for {}", row.perturbation.name,
        row.perturbation.severity, format_count(static_cast<double>(row.non_finite_samples), "samples")));
  }
  return result;
}

}  // namespace joulery::evaluate
