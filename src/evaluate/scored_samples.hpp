#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "evaluate/quality.hpp"
#include "stats/bootstrap.hpp"

namespace joulery::evaluate {

struct MetricDefinition {
  std::string name;
  bool higher_is_better = true;
  bool bounded_per_sample = false;
  /// The share of samples that are right: an exact interval exists.
  bool is_share = false;
};

/// What a task makes of its samples; intervals and slices come from it alone.
struct ScoredSamples {
  std::string interpretation = {};
  /// The first is the task's usual one.
  std::vector<MetricDefinition> metrics = {};
  /// Writes the metrics, in order, of any samples. Valid as long as the scorer.
  stats::SampleStatistics measure = {};
  /// Per metric, the score of each sample; empty for a metric that is none of single samples, which borrows
  /// the first's.
  std::vector<std::vector<double>> scores = {};
  std::vector<std::int64_t> predictions = {};
  /// Per sample; empty where labels are no classes.
  std::vector<std::uint32_t> label_classes = {};
  std::vector<std::string> class_names = {};
  std::vector<ClassFigures> classes = {};
  /// Its two metrics are those named "ece" and "ece_equal_mass".
  std::optional<Calibration> calibration = {};
  std::uint64_t non_finite = 0;
  /// Steps that measuring takes a sample, about.
  double cost = 1;
  /// So many samples in a row are one: they are drawn together.
  std::uint32_t unit_size = 1;
  /// What the primary metric reaches without a look at the input, if that is known, and how.
  struct Trivial {
    std::string metric;
    double value = 0;
    std::string how;
  };
  std::vector<Trivial> trivial = {};
  std::vector<std::string> warnings = {};
};

}  // namespace joulery::evaluate
