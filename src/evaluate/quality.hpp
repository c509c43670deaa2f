#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace joulery::evaluate {

/// A figure of quality with a confidence interval that says how it was made.
struct Metric {
  std::string name;
  double value = 0;
  /// Equal to the value if `method` is "none".
  double low = 0;
  double high = 0;
  double level = 0.9;
  /// "Clopper-Pearson", "bootstrap (approximate)", "cluster bootstrap (approximate)", or "none": too few
  /// samples or groups.
  std::string method = "none";
  bool higher_is_better = true;
  /// The metric is the mean of per-sample scores that lie in [0, 1], which methods for bounded scores may
  /// rely on.
  bool bounded_per_sample = false;
};

struct ReliabilityBin {
  double low = 0;
  double high = 0;
  std::uint64_t count = 0;
  double mean_confidence = 0;
  double accuracy = 0;
};

/// Does a confidence of 80 % mean right 8 times in 10? (Guo et al. 2017)
struct Calibration {
  /// Expected calibration error of the top class over 15 bins of equal width, and of equally many samples.
  Metric equal_width;
  Metric equal_mass;
  /// Mean over classes of the error of each class's probability; equal width (Kull et al. 2019).
  std::optional<double> classwise;
  double maximum_error = 0;
  /// What `equal_width` would be, on average and in 95 of 100 cases at most, were these confidences exactly
  /// right: the error is never 0 of a finite sample (Bröcker & Smith 2007).
  double expected_if_calibrated = 0;
  double bound_if_calibrated = 0;
  std::vector<ReliabilityBin> bins;
  /// What logits should be divided by to be calibrated; above 1: too sure of itself. Only for logits.
  std::optional<double> temperature;
  std::optional<double> log_likelihood_gain;
};

/// One part of the samples.
struct Slice {
  /// "group", "class", or the name of a column.
  std::string dimension;
  std::string value;
  std::uint64_t samples = 0;
  /// The primary metric. Of a declared slice at a level that all declared ones hold together (Bonferroni).
  Metric metric;
  /// Declared before the data were seen. What is not is descriptive: among many slices some look bad by
  /// chance.
  bool declared = false;
  /// How many slices, each too small or too many to show, are put together here; 0: it is one.
  std::uint64_t merged = 0;
};

struct ClassFigures {
  std::string name;
  std::uint64_t labelled = 0;
  std::uint64_t predicted = 0;
  double precision = 0;
  double recall = 0;
  double f1 = 0;
};

struct QualityReport {
  std::string task;
  std::uint64_t samples = 0;
  /// Samples that share a group are not independent; their number of groups, 0 without.
  std::uint64_t groups = 0;
  /// Samples for which the model gave NaN or an infinity. They count as wrong.
  std::uint64_t non_finite_samples = 0;
  /// What the outputs were taken for, and why: "logits (detected)".
  std::string interpretation;
  Metric primary = {};
  std::vector<Metric> metrics = {};
  std::optional<Calibration> calibration = {};
  std::vector<Slice> slices = {};
  std::vector<ClassFigures> classes = {};
  /// In the order of the samples, by `per_sample_metric`: the primary one, or, if that is none of single
  /// samples (such as R²), the task's usual one.
  std::vector<double> per_sample_scores = {};
  std::string per_sample_metric = {};
  bool higher_score_is_better = true;
  /// What the model answered, as a number that is the same for the same answer; -1 where it gave NaN or an
  /// infinity. Empty for tasks without answers that can be the same.
  std::vector<std::int64_t> predictions = {};
  std::vector<std::string> warnings = {};
};

/// The metric of this name; null if there is none.
const Metric* find_metric(const QualityReport& report, std::string_view name);

}  // namespace joulery::evaluate
