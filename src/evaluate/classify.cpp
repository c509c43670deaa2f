#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/text.hpp"
#include "evaluate/calibration.hpp"
#include "evaluate/class_figures.hpp"
#include "evaluate/labels.hpp"
#include "evaluate/metric_list.hpp"
#include "evaluate/outputs.hpp"
#include "evaluate/tasks.hpp"
#include "stats/random_stream.hpp"

namespace joulery::evaluate {
namespace {

/// Logits kept for the temperature, in all.
constexpr std::size_t kMostLogits = 400'000;
/// The least probability: its logarithm is finite.
constexpr double kSmallestProbability = std::numeric_limits<double>::epsilon();
/// Of 16-bit floats, sums over a thousand classes are off by so much.
constexpr double kSumTolerance = 0.02;
constexpr double kRangeTolerance = 1e-3;

/// What one sample comes to if the outputs are probabilities, or logits.
struct Judged {
  std::int32_t predicted = -1;
  std::uint32_t rank = std::numeric_limits<std::uint32_t>::max();
  float confidence = std::numeric_limits<float>::quiet_NaN();
  float loss = 0;
  float brier = 0;
};

enum class Meaning : std::uint8_t { probabilities, logits };
constexpr std::array kMeanings{Meaning::probabilities, Meaning::logits};

class Classify final : public TaskScorer {
 public:
  Classify(const TaskOptions& options, std::size_t output, std::string name)
      : TaskScorer(TaskKind::classify, options),
        output_(output),
        output_name_(std::move(name)),
        random_(options.seed) {}

 private:
  Status add_batch(const Batch& batch) override;
  Result<ScoredSamples> scored() const override;

  Status start(const Rows& rows);
  void see_range(std::span<const double> values);
  void add_sample(std::span<const double> values, std::uint32_t label);
  void keep_logits(std::span<const double> values, std::uint32_t label);
  Judged judge(std::span<const double> values, std::uint32_t label) const;
  std::pair<Meaning, std::string> meaning() const;
  bool has_probabilities() const;
  Calibration calibration(const Confidences& confidences, Meaning meaning) const;
  void add_likelihoods(const std::vector<Judged>& judged, Meaning meaning, MetricList& metrics,
                       ScoredSamples& scored) const;
  void add_shares(const std::vector<Judged>& judged, std::size_t classes, MetricList& metrics) const;
  std::size_t classes_of(const std::vector<Judged>& judged) const;

  std::size_t output_;
  std::string output_name_;
  std::size_t width_ = 0;
  bool gives_classes_ = false;
  bool gives_integers_ = false;
  bool in_unit_range_ = true;
  bool adds_up_ = true;
  std::optional<ClassLabels> labels_;
  std::vector<std::uint32_t> label_;
  /// By Meaning.
  std::array<std::vector<Judged>, 2> judged_;
  /// Of two classes, what the second one got over the first; else empty.
  std::vector<double> margin_;
  std::array<ClasswiseError, 2> classwise_;
  std::uint64_t non_finite_ = 0;
  stats::RandomStream random_;
  std::vector<float> kept_logits_;
  std::vector<std::uint32_t> kept_labels_;
};

Status Classify::start(const Rows& rows) {
  width_ = rows.width();
  if (width_ == 0) {
    return user_error(
        fmt::format("output '{}' of shape {} has no class scores", output_name_, rows.shape().text()));
  }
  gives_integers_ = !is_floating(rows.type());
  gives_classes_ = gives_integers_ && width_ == 1 && rows.type() != data::DataType::boolean;
  std::size_t classes = std::max<std::size_t>(width_, 2);
  // Answers that are classes do not say how many there are: names do, or labels as they come.
  constexpr std::size_t kAnyClass = 100'000;
  if (gives_classes_) classes = options().class_names.empty() ? kAnyClass : options().class_names.size();
  JOULERY_ASSIGN(labels_, ClassLabels::create(classes, options().class_names));
  if (!gives_classes_) {
    for (ClasswiseError& error : classwise_) error = ClasswiseError(classes);
  }
  return {};
}

Status Classify::add_batch(const Batch& batch) {
  JOULERY_ASSIGN(const Rows rows, Rows::create(batch.outputs[output_], batch.count, output_name_));
  if (!labels_) JOULERY_CHECK_OK(start(rows));
  if (rows.width() != width_) {
    return user_error(
        fmt::format("output '{}' had {} scores a sample and now has {}", output_name_, width_, rows.width()));
  }
  std::vector<std::uint32_t> labels;
  for (std::size_t i = 0; i < batch.count; ++i) {
    JOULERY_ASSIGN(const std::uint32_t label, labels_->index_of(batch.labels[i], batch.first + i));
    labels.push_back(label);
  }
  std::vector<double> values(width_);
  for (std::size_t i = 0; i < batch.count; ++i) {
    rows.read(i, values);
    add_sample(values, labels[i]);
  }
  return {};
}

void Classify::see_range(std::span<const double> values) {
  const auto [low, high] = std::ranges::minmax(values);
  if (low < -kRangeTolerance || high > 1 + kRangeTolerance) in_unit_range_ = false;
  double sum = 0;
  for (const double value : values) sum += value;
  if (values.size() > 1 && std::fabs(sum - 1) > kSumTolerance) adds_up_ = false;
}

void Classify::add_sample(std::span<const double> values, std::uint32_t label) {
  label_.push_back(label);
  if (gives_classes_) {
    Judged judged;
    const double last = static_cast<double>(labels_->size()) - 1;
    if (values[0] >= 0 && values[0] <= last) judged.predicted = static_cast<std::int32_t>(values[0]);
    judged_[0].push_back(judged);
    return;
  }
  if (!all_finite(values)) {
    ++non_finite_;
    Judged wrong;
    wrong.loss = static_cast<float>(-std::log(kSmallestProbability));
    wrong.brier = labels_->size() == 2 ? 1 : 2;
    for (auto& judged : judged_) judged.push_back(wrong);
    if (labels_->size() == 2) margin_.push_back(std::numeric_limits<double>::quiet_NaN());
    return;
  }
  see_range(values);
  if (labels_->size() == 2) margin_.push_back(width_ == 1 ? values[0] : values[1] - values[0]);
  keep_logits(values, label);
  std::vector<double> probabilities;
  for (const Meaning meaning : kMeanings) {
    probabilities.assign(values.begin(), values.end());
    if (meaning == Meaning::logits) {
      if (width_ == 1) probabilities.insert(probabilities.begin(), 0.0);
      softmax(probabilities);
    } else if (width_ == 1) {
      probabilities.insert(probabilities.begin(), 1 - values[0]);
    }
    const auto index = static_cast<std::size_t>(meaning);
    judged_[index].push_back(judge(probabilities, label));
    classwise_[index].add(probabilities, label);
  }
}

Judged Classify::judge(std::span<const double> values, std::uint32_t label) const {
  Judged judged;
  judged.predicted = static_cast<std::int32_t>(largest(values));
  // A single score of exactly a half says "yes", as it is usual.
  if (width_ == 1 && values[1] >= values[0]) judged.predicted = 1;
  judged.rank = 0;
  double squares = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double target = i == label ? 1 : 0;
    squares += (values[i] - target) * (values[i] - target);
    if (values[i] > values[label] || (values[i] == values[label] && i < label)) ++judged.rank;
  }
  const auto predicted = static_cast<std::size_t>(judged.predicted);
  judged.confidence = static_cast<float>(std::clamp(values[predicted], 0.0, 1.0));
  judged.loss = static_cast<float>(-std::log(std::clamp(values[label], kSmallestProbability, 1.0)));
  // Of two classes both squares are the same: the usual score is one of them.
  judged.brier = static_cast<float>(values.size() == 2 ? squares / 2 : squares);
  return judged;
}

void Classify::keep_logits(std::span<const double> values, std::uint32_t label) {
  const std::size_t classes = labels_->size();
  const std::size_t capacity = std::max<std::size_t>(1, kMostLogits / classes);
  std::size_t place = kept_labels_.size();
  if (place == capacity) {
    // Every sample so far is among those kept with the same chance (Vitter 1985, algorithm R).
    place = static_cast<std::size_t>(random_.below(label_.size()));
    if (place >= capacity) return;
  } else {
    kept_labels_.push_back(0);
    kept_logits_.resize(kept_logits_.size() + classes);
  }
  kept_labels_[place] = label;
  float* row = kept_logits_.data() + place * classes;
  if (width_ == 1) *row++ = 0;
  for (const double value : values) *row++ = static_cast<float>(value);
}

std::pair<Meaning, std::string> Classify::meaning() const {
  if (gives_classes_) return {Meaning::probabilities, "classes"};
  switch (options().output_meaning) {
    case OutputMeaning::probabilities:
      return {Meaning::probabilities, "probabilities (as asked)"};
    case OutputMeaning::logits:
      return {Meaning::logits, "logits (as asked)"};
    case OutputMeaning::detect:
      break;
  }
  if (gives_integers_) return {Meaning::logits, "scores (whole numbers of unknown scale)"};
  if (!in_unit_range_) return {Meaning::logits, "logits (detected: some are outside 0 … 1)"};
  if (adds_up_) {
    return {Meaning::probabilities, width_ == 1 ? "probability (detected: all are in 0 … 1)"
                                                : "probabilities (detected: each sample's add up to 1)"};
  }
  return {Meaning::logits, "scores (all in 0 … 1, but they do not add up to 1)"};
}

bool Classify::has_probabilities() const {
  if (gives_classes_) return false;
  if (options().output_meaning != OutputMeaning::detect) return true;
  return !gives_integers_ && (!in_unit_range_ || adds_up_);
}

Calibration Classify::calibration(const Confidences& confidences, Meaning meaning) const {
  Calibration result;
  const auto expected = confidences.if_calibrated(options().seed);
  result.expected_if_calibrated = expected.mean;
  result.bound_if_calibrated = expected.bound;
  result.bins = confidences.bins();
  result.maximum_error = confidences.maximum_error();
  result.classwise = classwise_[static_cast<std::size_t>(meaning)].mean();
  if (meaning == Meaning::logits) {
    const Temperature temperature = fit_temperature(kept_logits_, labels_->size(), kept_labels_);
    result.temperature = temperature.value;
    result.log_likelihood_gain = temperature.gain;
  }
  return result;
}

/// Adds what the samples' probabilities are worth.
void Classify::add_likelihoods(const std::vector<Judged>& judged, Meaning meaning, MetricList& metrics,
                               ScoredSamples& scored) const {
  std::vector<double> losses;
  std::vector<double> squares;
  std::vector<double> confidences;
  std::vector<bool> right;
  for (std::size_t i = 0; i < judged.size(); ++i) {
    losses.push_back(judged[i].loss);
    squares.push_back(judged[i].brier);
    confidences.push_back(judged[i].confidence);
    right.push_back(judged[i].predicted == static_cast<std::int64_t>(label_[i]));
  }
  metrics.add_mean({.name = "negative_log_likelihood", .higher_is_better = false}, std::move(losses));
  metrics.add_mean({.name = "brier", .higher_is_better = false}, std::move(squares));
  // Without any confidence nobody knows how well they are calibrated.
  if (non_finite_ == judged.size()) return;
  const auto calibrated = std::make_shared<Confidences>(std::move(confidences), std::move(right));
  scored.calibration = calibration(*calibrated, meaning);
  metrics.add({.name = "ece", .higher_is_better = false},
              [calibrated](auto samples) { return calibrated->equal_width_error(samples); });
  metrics.add({.name = "ece_equal_mass", .higher_is_better = false},
              [calibrated](auto samples) { return calibrated->equal_mass_error(samples); });
}

void Classify::add_shares(const std::vector<Judged>& judged, std::size_t classes, MetricList& metrics) const {
  std::vector<double> hits;
  for (std::size_t i = 0; i < judged.size(); ++i) {
    hits.push_back(judged[i].predicted == static_cast<std::int64_t>(label_[i]) ? 1 : 0);
  }
  metrics.add_mean({.name = "accuracy", .bounded_per_sample = true, .is_share = true}, std::move(hits));
  if (gives_classes_) return;
  for (const std::size_t k : options().top_k) {
    if (k < 2 || k >= classes) continue;
    std::vector<double> within;
    for (const Judged& sample : judged) within.push_back(sample.rank < k ? 1 : 0);
    metrics.add_mean(
        {.name = fmt::format("top_{}_accuracy", k), .bounded_per_sample = true, .is_share = true},
        std::move(within));
  }
}

/// As many classes as there are names for, or that occur.
std::size_t Classify::classes_of(const std::vector<Judged>& judged) const {
  if (!gives_classes_) return labels_->size();
  std::size_t classes = 1 + *std::ranges::max_element(label_);
  for (const Judged& sample : judged) {
    classes = std::max(classes, static_cast<std::size_t>(sample.predicted + 1));
  }
  return classes;
}

Result<ScoredSamples> Classify::scored() const {
  const auto [meaning, text] = this->meaning();
  const std::vector<Judged>& judged = judged_[static_cast<std::size_t>(meaning)];
  const std::size_t classes = classes_of(judged);
  ScoredSamples scored{.interpretation = text};
  scored.non_finite = non_finite_;
  scored.label_classes = label_;
  for (std::size_t i = 0; i < classes; ++i) scored.class_names.push_back(labels_->name(i));
  for (const Judged& sample : judged) scored.predictions.push_back(sample.predicted);
  const auto figures = std::make_shared<ConfusionFigures>(classes, label_, scored.predictions);
  scored.classes = figures->classes(scored.class_names);

  MetricList metrics;
  add_shares(judged, classes, metrics);
  metrics.add({.name = "balanced_accuracy"},
              [figures](auto samples) { return figures->balanced_accuracy(samples); });
  metrics.add({.name = "macro_f1"}, [figures](auto samples) { return figures->macro_f1(samples); });
  if (!margin_.empty()) {
    const auto curve = std::make_shared<RankCurve>(margin_, label_);
    metrics.add({.name = "roc_auc"}, [curve](auto samples) { return curve->area(samples); });
    scored.trivial.push_back({.metric = "roc_auc", .value = 0.5, .how = "chance"});
  }
  if (has_probabilities()) {
    add_likelihoods(judged, meaning, metrics, scored);
  } else if (!gives_classes_) {
    scored.warnings.push_back(
        fmt::format("'{}' gives {}: no likelihood and no calibration", printable(output_name_), text));
  }
  metrics.move_into(scored);
  scored.cost = 8 + static_cast<double>(classes) / static_cast<double>(label_.size());

  const auto [most, count] = figures->most_frequent();
  const double share = static_cast<double>(count) / static_cast<double>(label_.size());
  scored.trivial.push_back(
      {.metric = "accuracy",
       .value = share,
       .how = fmt::format("always answering '{}'", printable(scored.class_names[most]))});
  if (figures->labelled_classes() > 1) {
    scored.trivial.push_back({.metric = "balanced_accuracy",
                              .value = 1 / static_cast<double>(figures->labelled_classes()),
                              .how = "chance"});
  } else {
    scored.warnings.emplace_back(
        "all labels are one class: this says nothing of how well classes are told apart");
  }
  return scored;
}

}  // namespace

NewScorer create_classify(const TaskOptions& options, std::span<const engine::Port> outputs) {
  JOULERY_ASSIGN(const std::size_t output,
                 choose_output(outputs, options.output, "class scores", [](const engine::Port& port) {
                   return is_floating(port.type) && port.shape.rank() > 0 &&
                          port.shape[port.shape.rank() - 1] != 1;
                 }));
  return std::make_unique<Classify>(options, output, outputs[output].name);
}

}  // namespace joulery::evaluate
