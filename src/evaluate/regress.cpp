#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/text.hpp"
#include "evaluate/labels.hpp"
#include "evaluate/metric_list.hpp"
#include "evaluate/outputs.hpp"
#include "evaluate/tasks.hpp"

namespace joulery::evaluate {
namespace {

/// With more numbers a sample, true values are not kept, and nothing compares with their spread.
constexpr std::size_t kMostForSpread = 256;

/// Mean absolute, mean square and largest error over the numbers of one sample.
struct SampleError {
  double absolute = 0;
  double square = 0;
  double largest = 0;
};

class Regress final : public TaskScorer {
 public:
  Regress(const TaskOptions& options, std::size_t output, std::string name)
      : TaskScorer(TaskKind::regress, options), output_(output), output_name_(std::move(name)) {}

 private:
  Status add_batch(const Batch& batch) override;
  Result<ScoredSamples> scored() const override;
  std::vector<SampleError> completed() const;
  void add_explained(MetricList& metrics, ScoredSamples& scored) const;

  std::size_t output_;
  std::string output_name_;
  std::size_t width_ = 0;
  std::vector<SampleError> errors_;
  std::vector<std::uint32_t> non_finite_;
  /// In rows of width_; empty if that is too many. Of samples without an answer the square error is NaN.
  std::vector<double> truths_;
  std::vector<double> squares_;
};

Status Regress::add_batch(const Batch& batch) {
  JOULERY_ASSIGN(const Rows rows, Rows::create(batch.outputs[output_], batch.count, output_name_));
  if (errors_.empty()) width_ = rows.width();
  if (rows.width() != width_ || width_ == 0) {
    return user_error(fmt::format("output '{}' of shape {} has {} numbers a sample, where {} are needed",
                                  printable(output_name_), rows.shape().text(), rows.width(),
                                  std::max<std::size_t>(width_, 1)));
  }
  std::vector<double> values(width_);
  for (std::size_t i = 0; i < batch.count; ++i) {
    JOULERY_ASSIGN(const std::vector<double> truth, label_numbers(batch.labels[i], width_, batch.first + i));
    rows.read(i, values);
    const bool finite = all_finite(values);
    SampleError error;
    for (std::size_t j = 0; j < width_; ++j) {
      const double off = std::fabs(values[j] - truth[j]);
      error.absolute += off / static_cast<double>(width_);
      error.square += off * off / static_cast<double>(width_);
      error.largest = std::max(error.largest, off);
      if (width_ <= kMostForSpread) {
        squares_.push_back(finite ? off * off : std::numeric_limits<double>::quiet_NaN());
      }
    }
    if (width_ <= kMostForSpread) truths_.insert(truths_.end(), truth.begin(), truth.end());
    if (!finite) non_finite_.push_back(static_cast<std::uint32_t>(errors_.size()));
    errors_.push_back(finite ? error : SampleError{});
  }
  return {};
}

/// A sample without an answer gets the largest errors of any other.
std::vector<SampleError> Regress::completed() const {
  SampleError worst;
  for (const SampleError& error : errors_) {
    worst.absolute = std::max(worst.absolute, error.absolute);
    worst.square = std::max(worst.square, error.square);
    worst.largest = std::max(worst.largest, error.largest);
  }
  std::vector<SampleError> errors = errors_;
  for (const std::uint32_t sample : non_finite_) errors[sample] = worst;
  return errors;
}

/// Mean over the output's numbers of 1 - (sum of squared errors) / (sum of squared distances from the mean);
/// NaN if a number never varies.
double explained_share(std::span<const std::uint32_t> samples, std::span<const double> truths,
                       std::span<const double> squares, std::size_t width) {
  double total = 0;
  for (std::size_t j = 0; j < width; ++j) {
    double mean = 0;
    for (const std::uint32_t sample : samples) mean += truths[sample * width + j];
    mean /= static_cast<double>(samples.size());
    double errors = 0;
    double spread = 0;
    for (const std::uint32_t sample : samples) {
      const double off = truths[sample * width + j] - mean;
      spread += off * off;
      errors += squares[sample * width + j];
    }
    if (!(spread > 0)) return std::numeric_limits<double>::quiet_NaN();
    total += 1 - errors / spread;
  }
  return total / static_cast<double>(width);
}

void Regress::add_explained(MetricList& metrics, ScoredSamples& scored) const {
  if (width_ > kMostForSpread) {
    scored.warnings.push_back(
        fmt::format("{} numbers a sample: r2 is left out, which is for up to {}", width_, kMostForSpread));
    return;
  }
  auto truths = std::make_shared<const std::vector<double>>(truths_);
  auto squares = std::make_shared<std::vector<double>>(squares_);
  for (std::size_t j = 0; j < width_; ++j) {
    double worst = 0;
    for (std::size_t i = j; i < squares->size(); i += width_) {
      if (!std::isnan((*squares)[i])) worst = std::max(worst, (*squares)[i]);
    }
    for (std::size_t i = j; i < squares->size(); i += width_) {
      if (std::isnan((*squares)[i])) (*squares)[i] = worst;
    }
  }
  metrics.add({.name = "r2"}, [truths, squares, width = width_](auto samples) {
    return explained_share(samples, *truths, *squares, width);
  });
  scored.trivial.push_back({.metric = "r2", .value = 0, .how = "always answering the mean"});
  // What the mean of the labels is off by is what the others are measured against.
  std::vector<double> means(width_);
  const auto count = static_cast<double>(errors_.size());
  for (std::size_t i = 0; i < truths_.size(); ++i) means[i % width_] += truths_[i] / count;
  double absolute = 0;
  double square = 0;
  for (std::size_t i = 0; i < truths_.size(); ++i) {
    const double off = truths_[i] - means[i % width_];
    absolute += std::fabs(off) / static_cast<double>(truths_.size());
    square += off * off / static_cast<double>(truths_.size());
  }
  scored.trivial.push_back({.metric = "mae", .value = absolute, .how = "always answering the mean"});
  scored.trivial.push_back(
      {.metric = "rmse", .value = std::sqrt(square), .how = "always answering the mean"});
}

Result<ScoredSamples> Regress::scored() const {
  ScoredSamples scored{.interpretation = width_ == 1 ? "a number" : fmt::format("{} numbers", width_)};
  scored.non_finite = non_finite_.size();
  if (non_finite_.size() == errors_.size()) {
    return user_error("the model gave NaN or an infinity for every sample",
                      "look at the inputs, or at the precision that the engine runs in");
  }
  std::vector<double> absolute;
  std::vector<double> largest;
  auto square = std::make_shared<std::vector<double>>();
  for (const SampleError& error : completed()) {
    absolute.push_back(error.absolute);
    square->push_back(error.square);
    largest.push_back(error.largest);
  }
  MetricList metrics;
  metrics.add_mean({.name = "mae", .higher_is_better = false}, std::move(absolute));
  metrics.add(
      {.name = "rmse", .higher_is_better = false},
      [square](std::span<const std::uint32_t> samples) {
        double sum = 0;
        for (const std::uint32_t sample : samples) sum += (*square)[sample];
        return std::sqrt(sum / static_cast<double>(samples.size()));
      },
      *square);
  metrics.add_max({.name = "max_error", .higher_is_better = false}, largest);
  add_explained(metrics, scored);
  metrics.move_into(scored);
  return scored;
}

}  // namespace

NewScorer create_regress(const TaskOptions& options, std::span<const engine::Port> outputs) {
  JOULERY_ASSIGN(const std::size_t output,
                 choose_output(outputs, options.output, "numbers",
                               [](const engine::Port& port) { return is_floating(port.type); }));
  return std::make_unique<Regress>(options, output, outputs[output].name);
}

}  // namespace joulery::evaluate
