#include "evaluate/class_figures.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace joulery::evaluate {
namespace {

double share(std::uint64_t part, std::uint64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0;
}

}  // namespace

double ConfusionFigures::Counts::f1() const {
  return share(2 * right, labelled + predicted);
}

ConfusionFigures::ConfusionFigures(std::size_t classes, std::vector<std::uint32_t> labels,
                                   std::vector<std::int64_t> predictions)
    : labels_(std::move(labels)), predictions_(std::move(predictions)), counts_(classes) {
  std::vector<std::uint32_t> all(labels_.size());
  std::iota(all.begin(), all.end(), 0U);
  count(all);
  totals_ = counts_;
}

void ConfusionFigures::count(std::span<const std::uint32_t> samples) const {
  std::ranges::fill(counts_, Counts());
  for (const std::uint32_t sample : samples) {
    const std::uint32_t label = labels_[sample];
    const std::int64_t predicted = predictions_[sample];
    ++counts_[label].labelled;
    if (predicted >= 0) ++counts_[static_cast<std::size_t>(predicted)].predicted;
    if (predicted == static_cast<std::int64_t>(label)) ++counts_[label].right;
  }
}

double ConfusionFigures::balanced_accuracy(std::span<const std::uint32_t> samples) const {
  count(samples);
  double sum = 0;
  std::uint64_t classes = 0;
  for (const Counts& counts : counts_) {
    if (counts.labelled == 0) continue;
    sum += share(counts.right, counts.labelled);
    ++classes;
  }
  return sum / static_cast<double>(classes);
}

double ConfusionFigures::macro_f1(std::span<const std::uint32_t> samples) const {
  count(samples);
  double sum = 0;
  std::uint64_t classes = 0;
  for (const Counts& counts : counts_) {
    if (!counts.occurs()) continue;
    sum += counts.f1();
    ++classes;
  }
  return sum / static_cast<double>(classes);
}

std::vector<ClassFigures> ConfusionFigures::classes(std::span<const std::string> names) const {
  std::vector<ClassFigures> result;
  for (std::size_t i = 0; i < totals_.size(); ++i) {
    const Counts& counts = totals_[i];
    if (!counts.occurs()) continue;
    result.push_back({.name = names[i],
                      .labelled = counts.labelled,
                      .predicted = counts.predicted,
                      .precision = share(counts.right, counts.predicted),
                      .recall = share(counts.right, counts.labelled),
                      .f1 = counts.f1()});
  }
  return result;
}

std::pair<std::size_t, std::uint64_t> ConfusionFigures::most_frequent() const {
  const auto most = std::ranges::max_element(totals_, {}, &Counts::labelled);
  return {static_cast<std::size_t>(most - totals_.begin()), most->labelled};
}

std::size_t ConfusionFigures::labelled_classes() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(totals_, [](const Counts& counts) { return counts.labelled > 0; }));
}

RankCurve::RankCurve(std::vector<double> scores, std::vector<std::uint32_t> labels)
    : scores_(std::move(scores)), labels_(std::move(labels)), order_(scores_.size()), times_(scores_.size()) {
  constexpr double kMost = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < scores_.size(); ++i) {
    if (std::isnan(scores_[i])) scores_[i] = labels_[i] == 1 ? -kMost : kMost;
  }
  std::iota(order_.begin(), order_.end(), 0U);
  std::ranges::sort(order_, {}, [this](std::uint32_t i) { return std::pair(scores_[i], i); });
}

double RankCurve::area(std::span<const std::uint32_t> samples) const {
  std::ranges::fill(times_, 0U);
  for (const std::uint32_t sample : samples) ++times_[sample];
  double zeros = 0;
  double ones = 0;
  double pairs = 0;
  for (std::size_t i = 0; i < order_.size();) {
    double tied_zeros = 0;
    double tied_ones = 0;
    const double score = scores_[order_[i]];
    for (; i < order_.size() && scores_[order_[i]] == score; ++i) {
      (labels_[order_[i]] == 1 ? tied_ones : tied_zeros) += times_[order_[i]];
    }
    pairs += tied_ones * (zeros + tied_zeros / 2);
    zeros += tied_zeros;
    ones += tied_ones;
  }
  return zeros > 0 && ones > 0 ? pairs / (zeros * ones) : std::numeric_limits<double>::quiet_NaN();
}

void ClasswiseError::add(std::span<const double> probabilities, std::uint32_t label) {
  ++samples_;
  for (std::size_t i = 0; i < bins_.size(); ++i) {
    const double probability = std::clamp(probabilities[i], 0.0, 1.0);
    Bin& bin = bins_[i][calibration_bin(probability)];
    bin.confidence += probability;
    bin.hits += i == label ? 1 : 0;
  }
}

std::optional<double> ClasswiseError::mean() const {
  if (samples_ == 0) return std::nullopt;
  double sum = 0;
  for (const auto& bins : bins_) {
    for (const Bin& bin : bins) sum += std::fabs(bin.hits - bin.confidence);
  }
  return sum / static_cast<double>(samples_) / static_cast<double>(bins_.size());
}

}  // namespace joulery::evaluate
