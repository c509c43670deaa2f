#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "evaluate/calibration.hpp"
#include "evaluate/quality.hpp"

namespace joulery::evaluate {

/// What follows from label and prediction of each sample; a prediction of -1 is of no class. The samples
/// asked about may come several times. Not thread-safe.
class ConfusionFigures {
 public:
  /// `labels` < `classes`, `predictions` too.
  ConfusionFigures(std::size_t classes, std::vector<std::uint32_t> labels,
                   std::vector<std::int64_t> predictions);
  /// Mean recall of the classes that are labelled.
  double balanced_accuracy(std::span<const std::uint32_t> samples) const;
  /// Mean F1 of the classes that are labelled or predicted.
  double macro_f1(std::span<const std::uint32_t> samples) const;
  /// Of all samples, of classes that are labelled or predicted.
  std::vector<ClassFigures> classes(std::span<const std::string> names) const;
  /// The class most samples have, and how many.
  std::pair<std::size_t, std::uint64_t> most_frequent() const;
  std::size_t labelled_classes() const;

 private:
  struct Counts {
    std::uint64_t labelled = 0;
    std::uint64_t predicted = 0;
    std::uint64_t right = 0;
    bool occurs() const { return labelled + predicted > 0; }
    double f1() const;
  };
  void count(std::span<const std::uint32_t> samples) const;
  std::vector<std::uint32_t> labels_;
  std::vector<std::int64_t> predictions_;
  std::vector<Counts> totals_;
  mutable std::vector<Counts> counts_;
};

/// How well scores tell class 1 from class 0: the chance that a random sample of class 1 scores higher, ties
/// count half (the area under the ROC curve). A NaN score is taken for the worst. Not thread-safe.
class RankCurve {
 public:
  RankCurve(std::vector<double> scores, std::vector<std::uint32_t> labels);
  /// NaN if one class is missing.
  double area(std::span<const std::uint32_t> samples) const;

 private:
  std::vector<double> scores_;
  std::vector<std::uint32_t> labels_;
  std::vector<std::uint32_t> order_;
  mutable std::vector<std::uint32_t> times_;
};

/// Calibration error of the probability of each class, gathered without keeping them.
class ClasswiseError {
 public:
  ClasswiseError() = default;
  explicit ClasswiseError(std::size_t classes) : bins_(classes) {}
  void add(std::span<const double> probabilities, std::uint32_t label);
  /// Mean over classes; nothing before the first sample.
  std::optional<double> mean() const;

 private:
  struct Bin {
    double confidence = 0;
    double hits = 0;
  };
  std::vector<std::array<Bin, kCalibrationBins>> bins_;
  std::uint64_t samples_ = 0;
};

}  // namespace joulery::evaluate
