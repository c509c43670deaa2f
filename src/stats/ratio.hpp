#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace joulery::stats {

struct RatioOptions {
  double level = 0.9;
  int resamples = 1999;
  /// The same values and seed give the same interval.
  std::uint64_t seed = 20'240'229;
};

/// mean(b) / mean(a) with what repetition says of it.
struct RatioEstimate {
  /// How the interval was made. Few runs: Student's t, for the bootstrap has too few different resamples, and
  /// correlation in time can't be seen. More: studentised stationary bootstrap.
  enum class Method { none, student_t, bootstrap_t };
  Method method = Method::none;
  bool paired = false;
  std::size_t count_a = 0;
  std::size_t count_b = 0;
  double mean_a = 0;
  double mean_b = 0;
  double ratio = 1;
  /// Equal to the ratio if `method` is none.
  double low = 1;
  double high = 1;
  double level = 0.9;
  /// Of log(ratio), correlation in time included.
  double log_standard_error = 0;
  /// Of Student's t, and what runs_needed() starts from.
  double degrees_of_freedom = 0;
  double block_length = 1;
  /// |t| of the resamples, sorted; empty for Student's t.
  std::vector<double> resampled_t;
};

/// Values in the order in which they came; a[i] and b[i] ran side by side, so that drift of the machine
/// cancels. Works on the linearised log ratio, d_i = b_i/mean(b) - a_i/mean(a). Its standard error is the
/// larger of the stationary bootstrap's and that of a first-order autoregression with the small-sample bias
/// of its coefficient mended; the quantile is that of |t| over stationary blocks of pairs. Nothing if the
/// sizes differ or are zero, a value is negative or not finite, or a mean is zero.
std::optional<RatioEstimate> paired_ratio(std::span<const double> a, std::span<const double> b,
                                          const RatioOptions& options = {});

/// The same without pairs, each group resampled by itself (few values: Welch's t). Weaker: what the machine
/// did differently while the one group ran and not the other is in the ratio.
std::optional<RatioEstimate> unpaired_ratio(std::span<const double> a, std::span<const double> b,
                                            const RatioOptions& options = {});

/// Two one-sided tests that the ratio lies within 1/(1+margin) … 1+margin (Schuirmann 1987), on the log
/// ratio: the larger p-value. 1 if there is no interval. It is below 0.05 exactly if the interval at level
/// 0.9 lies within the margin.
double equivalence_p_value(const RatioEstimate& estimate, double margin);

/// Hedges' g on log values: how many standard deviations of a single pair (paired), or of a single run, lie
/// between b and a. Nothing if it is not defined: fewer than 2, a value of zero, no variation.
std::optional<double> paired_effect_size(std::span<const double> a, std::span<const double> b);
std::optional<double> unpaired_effect_size(std::span<const double> a, std::span<const double> b);

/// Runs of each that show a change by the factor 1+change with this power at a one-sided 5 %, if they vary as
/// those of `estimate`. Nothing without an interval.
std::optional<std::size_t> runs_needed(const RatioEstimate& estimate, double change, double power = 0.8);
/// Runs of each that prove a true difference of nothing to be within the margin, with this power.
std::optional<std::size_t> runs_needed_for_equivalence(const RatioEstimate& estimate, double margin,
                                                       double power = 0.8);

/// What two groups of as many runs of the *same* command differ by (A/A), as a factor minus 1 that is not
/// passed with probability `level`. From successive differences (von Neumann 1941), so slow drift, which
/// interleaving cancels, does not count. Nothing for fewer than 3 values or a value of zero.
std::optional<double> noise_floor(std::span<const double> values, double level = 0.9);
/// Mean of the runs in even places over that of those in odd places: an A/A comparison that took place.
std::optional<double> split_half_ratio(std::span<const double> values);

}  // namespace joulery::stats
