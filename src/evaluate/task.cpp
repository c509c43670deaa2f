#include "evaluate/task.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "base/text.hpp"
#include "evaluate/intervals.hpp"
#include "evaluate/slices.hpp"
#include "evaluate/tasks.hpp"

namespace joulery::evaluate {
namespace {

constexpr std::array kTaskNames{"classify", "regress", "embed", "detect", "ctc", "agree"};
constexpr std::array kBoxFormatNames{"xyxy", "yxyx", "xywh", "cxcywh"};
constexpr std::array kMeaningNames{"detect", "probabilities", "logits"};
constexpr std::uint64_t kFewGroups = 10;

template <class Kind, std::size_t Size>
std::optional<Kind> parse(const std::array<const char*, Size>& names, std::string_view name) {
  for (std::size_t i = 0; i < Size; ++i) {
    if (name == names[i]) return static_cast<Kind>(i);
  }
  return std::nullopt;
}

Status check_options(const TaskOptions& options) {
  if (!(options.level > 0 && options.level < 1)) {
    return user_error(fmt::format("a confidence level of {} is not between 0 and 1", options.level));
  }
  if (options.resamples < 1) return user_error("a bootstrap takes at least one resample");
  if (!(options.useful_half_width > 0)) return user_error("an interval can't be asked to have no width");
  return {};
}

Result<std::size_t> primary_of(const ScoredSamples& scored, const std::string& name) {
  if (name.empty()) return 0;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < scored.metrics.size(); ++i) {
    if (scored.metrics[i].name == name) return i;
    names.push_back(scored.metrics[i].name);
  }
  return user_error(fmt::format("'{}' is no metric of this task and these outputs", printable(name)),
                    fmt::format("choose from {}", fmt::join(names, ", ")));
}

std::string samples_text(std::uint64_t count) {
  return format_count(static_cast<double>(count), "samples");
}

void warn_of_primary(const ScoredSamples& scored, const TaskOptions& options, QualityReport& report) {
  const Metric& primary = report.primary;
  if (const std::uint64_t needed = samples_needed(primary, report.samples, options); needed > 0) {
    report.warnings.push_back(fmt::format(
        "{}: {} leave {} between {:.3g} and {:.3g}; about {} would settle it", primary.name,
        samples_text(report.samples), primary.name, primary.low, primary.high, samples_text(needed)));
  }
  for (const ScoredSamples::Trivial& trivial : scored.trivial) {
    if (trivial.metric != primary.name || std::isnan(primary.value)) continue;
    const bool better = primary.higher_is_better ? primary.low > trivial.value : primary.high < trivial.value;
    if (better) continue;
    report.warnings.push_back(
        fmt::format("not shown to be better than {}: {} {:.3g} ({:.3g} … {:.3g}) against {:.3g}", trivial.how,
                    primary.name, primary.value, primary.low, primary.high, trivial.value));
  }
}

void warn_of_samples(QualityReport& report, bool clustered) {
  if (report.non_finite_samples > 0) {
    report.warnings.push_back(fmt::format("the model gave NaN or an infinity for {}, which count as wrong",
                                          samples_text(report.non_finite_samples)));
  }
  if (clustered && report.groups < kFewGroups) {
    report.warnings.push_back(fmt::format(
        "only {} groups: the intervals are too narrow, for between groups there is little to go by",
        report.groups));
  }
}

void set_calibration(const ScoredSamples& scored, QualityReport& report) {
  report.calibration = scored.calibration;
  if (!report.calibration) return;
  if (const Metric* metric = find_metric(report, "ece")) report.calibration->equal_width = *metric;
  if (const Metric* metric = find_metric(report, "ece_equal_mass")) report.calibration->equal_mass = *metric;
}

}  // namespace

const char* task_name(TaskKind kind) {
  return kTaskNames[static_cast<std::size_t>(kind)];
}
std::optional<TaskKind> parse_task(std::string_view name) {
  return parse<TaskKind>(kTaskNames, name);
}
const char* box_format_name(BoxFormat format) {
  return kBoxFormatNames[static_cast<std::size_t>(format)];
}
std::optional<BoxFormat> parse_box_format(std::string_view name) {
  return parse<BoxFormat>(kBoxFormatNames, name);
}
const char* output_meaning_name(OutputMeaning meaning) {
  return kMeaningNames[static_cast<std::size_t>(meaning)];
}
std::optional<OutputMeaning> parse_output_meaning(std::string_view name) {
  return parse<OutputMeaning>(kMeaningNames, name);
}

const Metric* find_metric(const QualityReport& report, std::string_view name) {
  const auto found = std::ranges::find(report.metrics, name, &Metric::name);
  return found == report.metrics.end() ? nullptr : &*found;
}

Result<std::unique_ptr<TaskScorer>> TaskScorer::create(TaskKind kind, const TaskOptions& options,
                                                       std::span<const engine::Port> outputs) {
  JOULERY_CHECK_OK(check_options(options));
  if (outputs.empty()) return user_error("the model has no outputs to judge");
  using Create = NewScorer (*)(const TaskOptions&, std::span<const engine::Port>);
  constexpr std::array<Create, kTaskNames.size()> kCreate{create_classify, create_regress, create_embed,
                                                          create_detect,   create_ctc,     create_agree};
  JOULERY_ASSIGN(std::unique_ptr<TaskScorer> scorer,
                 kCreate[static_cast<std::size_t>(kind)](options, outputs));
  scorer->outputs_ = outputs.size();
  return scorer;
}

Status TaskScorer::add(std::span<const data::TensorView> outputs, std::span<const data::TensorView> reference,
                       std::size_t count, std::span<const data::Label> labels,
                       std::span<const std::string> groups) {
  if (count == 0) return {};
  const bool compares = kind_ == TaskKind::agree;
  if (outputs.size() != outputs_ || (compares && reference.size() != outputs_)) {
    return user_error(fmt::format("{} outputs and {} of the reference, where the model has {}",
                                  outputs.size(), reference.size(), outputs_),
                      compares ? "both models must have the same outputs" : "");
  }
  if (!compares && labels.size() != count) {
    return user_error(fmt::format("{} labels for {}", labels.size(), samples_text(count)));
  }
  if (!groups.empty() && groups.size() != count) {
    return user_error(fmt::format("{} groups for {}", groups.size(), samples_text(count)));
  }
  if (samples_ > 0 && has_groups_ != !groups.empty()) {
    return user_error("some samples have a group and some have none", "give every sample a group, or none");
  }
  constexpr std::uint64_t kMostSamples = 0xffff'ffff;
  if (count > kMostSamples - samples_) return user_error("more samples than can be counted");
  JOULERY_CHECK_OK(add_batch({.outputs = outputs,
                              .reference = reference,
                              .count = count,
                              .labels = labels,
                              .groups = groups,
                              .first = samples_}));
  samples_ += count;
  has_groups_ = !groups.empty();
  groups_.insert(groups_.end(), groups.begin(), groups.end());
  return {};
}

Result<QualityReport> TaskScorer::report() const {
  if (samples_ == 0) {
    return user_error(fmt::format("there is nothing to judge by {}: no samples", task_name(kind_)));
  }
  JOULERY_ASSIGN(ScoredSamples scored, this->scored());
  JOULERY_ASSIGN(const std::size_t primary, primary_of(scored, options_.metric));
  std::vector<std::uint32_t> all(samples_);
  std::iota(all.begin(), all.end(), 0U);
  Clusters clusters = clusters_of(groups_);
  if (scored.unit_size > 1 && clusters.of_sample.empty()) {
    for (const std::uint32_t sample : all) clusters.of_sample.push_back(sample / scored.unit_size);
  }

  QualityReport report{.task = task_name(kind_),
                       .samples = samples_,
                       .groups = clusters.count,
                       .non_finite_samples = scored.non_finite,
                       .interpretation = scored.interpretation};
  report.metrics = all_metrics(scored, all, clusters.of_sample, options_);
  report.primary = report.metrics[primary];
  if (std::isnan(report.primary.value)) {
    return user_error(
        fmt::format("{} is not defined for these {}", report.primary.name, samples_text(samples_)),
        "choose another metric, or samples that differ in their labels");
  }
  std::erase_if(report.metrics, [](const Metric& metric) { return std::isnan(metric.value); });
  set_calibration(scored, report);
  warn_of_samples(report, scored.unit_size == 1 && !clusters.of_sample.empty());
  report.warnings.insert(report.warnings.end(), scored.warnings.begin(), scored.warnings.end());
  warn_of_primary(scored, options_, report);
  JOULERY_ASSIGN(report.slices, make_slices(scored, primary, groups_, columns_, samples_, options_));
  report.classes = std::move(scored.classes);
  report.predictions = std::move(scored.predictions);
  const std::size_t scored_by = scored.scores[primary].empty() ? 0 : primary;
  report.per_sample_scores = std::move(scored.scores[scored_by]);
  report.per_sample_metric = scored.metrics[scored_by].name;
  report.higher_score_is_better = scored.metrics[scored_by].higher_is_better;
  return report;
}

}  // namespace joulery::evaluate
