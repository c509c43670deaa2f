#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "evaluate/perturbation.hpp"
#include "evaluate/quality.hpp"
#include "evaluate/task.hpp"

namespace joulery::evaluate {

/// Quality under one perturbation, next to that of the same samples untouched.
struct RobustnessRow {
  PerturbationInfo perturbation;
  /// The task's primary metric of the spoiled inputs.
  Metric quality;
  /// Clean minus spoiled for scores, spoiled minus clean for errors: above 0 is worse. Paired by sample; of
  /// the mean of the reports' per-sample scores, which need not be the primary metric.
  Metric loss;
  /// Share of samples whose answer is another than without (Hendrycks & Dietterich 2019 call it flips).
  /// Nothing for tasks without answers that can be the same.
  std::optional<Metric> flip_rate;
  std::uint64_t non_finite_samples = 0;
};

struct Robustness {
  Metric clean;
  std::vector<RobustnessRow> rows;
  /// Mean of the rows' quality over severities first, then over perturbations; probes (severity 0) left out.
  /// Mean of their losses likewise, with an interval over samples.
  Metric mean_quality = {};
  Metric mean_loss = {};
  /// Mean over perturbations of error under it over clean error, where error is 1 - score, or the metric
  /// itself if it is an error. Nothing if the clean error is 0. ImageNet-C's mCE relates to AlexNet's errors
  /// instead.
  std::optional<double> relative_corruption_error = {};
  std::optional<Metric> mean_flip_rate = {};
  std::vector<std::string> warnings = {};
};

/// Gathers reports of the same samples in the same order, judged by the same task.
class RobustnessFigures {
 public:
  /// User error if the report has no per-sample scores.
  static Result<RobustnessFigures> create(QualityReport clean, std::vector<std::string> groups,
                                          const TaskOptions& options);
  /// User error if the report is of another task or other samples. Returns the row, for whoever adds what it
  /// cost.
  Result<RobustnessRow> add(const PerturbationInfo& perturbation, const QualityReport& report);
  /// User error if nothing but probes, or nothing at all, was added.
  Result<Robustness> figures() const;

 private:
  struct Paired {
    std::vector<double> losses;
    std::vector<double> flips;
  };
  RobustnessFigures() = default;
  Paired paired(const QualityReport& report) const;
  Metric mean_metric(std::string name, const std::vector<double>& values, bool is_share) const;

  QualityReport clean_;
  std::vector<std::uint32_t> clusters_;
  TaskOptions options_;
  std::vector<RobustnessRow> rows_;
  /// Per perturbation name, the sum over severities of each sample's loss and flips.
  struct Sum {
    std::string name;
    int severities = 0;
    double quality = 0;
    std::vector<double> losses;
    std::vector<double> flips;
  };
  std::vector<Sum> sums_;
};

}  // namespace joulery::evaluate
