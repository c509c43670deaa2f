#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/text.hpp"
#include "evaluate/metric_list.hpp"
#include "evaluate/outputs.hpp"
#include "evaluate/tasks.hpp"

namespace joulery::evaluate {
namespace {

/// Below this, probabilities are rounding errors.
constexpr double kSmallestProbability = 1e-12;
constexpr double kSumTolerance = 0.02;

/// How one sample's outputs differ from the reference's.
struct Difference {
  double relative = 0;
  double largest = 0;
  double cosine = 1;
};

/// |a - b| over |b|, Euclidean and by the largest number; cosine of the angle between them.
Difference difference(std::span<const double> values, std::span<const double> reference) {
  double off = 0;
  double size = 0;
  double own = 0;
  double product = 0;
  double most_off = 0;
  double most = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double delta = values[i] - reference[i];
    off += delta * delta;
    size += reference[i] * reference[i];
    own += values[i] * values[i];
    product += values[i] * reference[i];
    most_off = std::max(most_off, std::fabs(delta));
    most = std::max(most, std::fabs(reference[i]));
  }
  // Against a reference of nothing but zeros any difference is one whole.
  const auto relative = [](double part, double whole) {
    if (whole > 0) return part / whole;
    return part > 0 ? 1.0 : 0.0;
  };
  Difference result{.relative = std::sqrt(relative(off, size)), .largest = relative(most_off, most)};
  if (own > 0 && size > 0) {
    result.cosine = std::clamp(product / std::sqrt(own) / std::sqrt(size), -1.0, 1.0);
  } else {
    result.cosine = own == size ? 1 : 0;
  }
  return result;
}

bool is_distribution(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) {
    if (value < -1e-3 || value > 1 + 1e-3) return false;
    sum += value;
  }
  return std::fabs(sum - 1) <= kSumTolerance;
}

double divergence(std::span<const double> reference, std::span<const double> values) {
  double sum = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (reference[i] <= 0) continue;
    sum += reference[i] * std::log(reference[i] / std::max(values[i], kSmallestProbability));
  }
  return std::max(0.0, sum);
}

class Agree final : public TaskScorer {
 public:
  /// `scores` is the place among `outputs` of the one that may be class scores.
  Agree(const TaskOptions& options, std::vector<std::size_t> outputs, std::vector<std::string> names,
        std::optional<std::size_t> scores)
      : TaskScorer(TaskKind::agree, options),
        outputs_(std::move(outputs)),
        names_(std::move(names)),
        scores_(scores) {}

 private:
  Status add_batch(const Batch& batch) override;
  Result<ScoredSamples> scored() const override;
  void add_sample(std::span<const double> values, std::span<const double> reference);
  void add_classes(std::span<const double> values, std::span<const double> reference, bool finite);

  std::vector<std::size_t> outputs_;
  std::vector<std::string> names_;
  std::vector<Difference> differences_;
  std::optional<std::size_t> scores_;
  /// Only of an output of several numbers.
  std::vector<double> same_top_;
  std::vector<double> divergence_of_probabilities_;
  std::vector<double> divergence_of_logits_;
  std::vector<std::int64_t> predictions_;
  bool distributions_ = true;
  std::uint64_t non_finite_ = 0;
};

Status Agree::add_batch(const Batch& batch) {
  std::vector<Rows> values;
  std::vector<Rows> references;
  std::size_t width = 0;
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    JOULERY_ASSIGN(const Rows own, Rows::create(batch.outputs[outputs_[i]], batch.count, names_[i]));
    JOULERY_ASSIGN(const Rows other, Rows::create(batch.reference[outputs_[i]], batch.count, names_[i]));
    if (own.width() != other.width()) {
      return user_error(fmt::format("output '{}' has the shape {}, but the reference's is {}",
                                    printable(names_[i]), own.shape().text(), other.shape().text()),
                        "only models with the same outputs can agree");
    }
    width += own.width();
    values.push_back(own);
    references.push_back(other);
  }
  std::vector<double> own(width);
  std::vector<double> other(width);
  for (std::size_t row = 0; row < batch.count; ++row) {
    std::size_t at = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i].read(row, std::span(own).subspan(at, values[i].width()));
      references[i].read(row, std::span(other).subspan(at, values[i].width()));
      at += values[i].width();
    }
    add_sample(own, other);
    if (!scores_ || values[*scores_].width() < 2) continue;
    std::size_t before = 0;
    for (std::size_t i = 0; i < *scores_; ++i) before += values[i].width();
    const std::size_t width_of_scores = values[*scores_].width();
    add_classes(std::span(own).subspan(before, width_of_scores),
                std::span(other).subspan(before, width_of_scores), all_finite(own) && all_finite(other));
  }
  return {};
}

void Agree::add_sample(std::span<const double> values, std::span<const double> reference) {
  const bool finite = all_finite(values) && all_finite(reference);
  if (!finite) ++non_finite_;
  differences_.push_back(
      finite ? difference(values, reference)
             : Difference{.relative = std::numeric_limits<double>::quiet_NaN(), .cosine = -1});
}

void Agree::add_classes(std::span<const double> values, std::span<const double> reference, bool finite) {
  const auto top = finite ? static_cast<std::int64_t>(largest(values)) : -1;
  predictions_.push_back(top);
  same_top_.push_back(finite && static_cast<std::size_t>(top) == largest(reference) ? 1 : 0);
  if (!finite) {
    divergence_of_probabilities_.push_back(-std::log(kSmallestProbability));
    divergence_of_logits_.push_back(-std::log(kSmallestProbability));
    return;
  }
  distributions_ = distributions_ && is_distribution(values) && is_distribution(reference);
  divergence_of_probabilities_.push_back(distributions_ ? divergence(reference, values) : 0);
  std::vector<double> own(values.begin(), values.end());
  std::vector<double> other(reference.begin(), reference.end());
  softmax(own);
  softmax(other);
  divergence_of_logits_.push_back(divergence(other, own));
}

Result<ScoredSamples> Agree::scored() const {
  ScoredSamples scored{.interpretation = "numbers"};
  scored.non_finite = non_finite_;
  // Differences of samples without an answer count as the worst of the others, and as one whole at least.
  double worst = 1;
  for (const Difference& each : differences_) {
    if (!std::isnan(each.relative)) worst = std::max({worst, each.relative, each.largest});
  }
  std::vector<double> relative;
  std::vector<double> largest;
  std::vector<double> cosine;
  for (const Difference& each : differences_) {
    const bool answered = !std::isnan(each.relative);
    relative.push_back(answered ? each.relative : worst);
    largest.push_back(answered ? each.largest : worst);
    cosine.push_back(each.cosine);
  }
  MetricList metrics;
  const bool has_classes = same_top_.size() == differences_.size();
  bool probabilities = has_classes && distributions_;
  if (options().output_meaning == OutputMeaning::logits) probabilities = false;
  const bool classes_first = has_classes && (options().agree_on_classes || probabilities);
  const auto add_top = [&] {
    metrics.add_mean({.name = "same_top_1", .bounded_per_sample = true, .is_share = true}, same_top_);
  };
  if (classes_first) add_top();
  metrics.add_mean({.name = "relative_error", .higher_is_better = false}, relative);
  metrics.add_max({.name = "max_relative_error", .higher_is_better = false}, largest);
  metrics.add_mean({.name = "cosine"}, cosine);
  if (has_classes) {
    if (!classes_first) add_top();
    scored.predictions = predictions_;
    scored.interpretation =
        probabilities ? "probabilities (detected: each sample's add up to 1)" : "numbers or logits";
    metrics.add_mean({.name = "mean_kl", .higher_is_better = false},
                     probabilities ? divergence_of_probabilities_ : divergence_of_logits_);
  }
  metrics.move_into(scored);
  return scored;
}

}  // namespace

NewScorer create_agree(const TaskOptions& options, std::span<const engine::Port> outputs) {
  std::vector<std::size_t> chosen;
  std::vector<std::string> names;
  std::optional<std::size_t> scores;
  if (!options.output.empty()) {
    JOULERY_ASSIGN(const std::size_t output, find_output(outputs, options.output));
    chosen.push_back(output);
  } else {
    for (std::size_t i = 0; i < outputs.size(); ++i) chosen.push_back(i);
  }
  std::size_t vectors = 0;
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const engine::Port& port = outputs[chosen[i]];
    names.push_back(port.name);
    if (chosen.size() > 1 && (!is_floating(port.type) || port.shape.rank() < 2)) continue;
    scores = i;
    ++vectors;
  }
  if (vectors > 1) scores.reset();
  return std::make_unique<Agree>(options, std::move(chosen), std::move(names), scores);
}

}  // namespace joulery::evaluate
