#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "evaluate/quality.hpp"

namespace joulery::evaluate {

constexpr std::size_t kCalibrationBins = 15;
/// Which of the bins of equal width holds it; they are closed above (Guo et al. 2017).
std::size_t calibration_bin(double confidence);

/// Confidences in the predicted class, each with whether it was right. NaN: no confidence, left out.
class Confidences {
 public:
  Confidences(std::vector<double> confidences, std::vector<bool> hits);
  std::size_t size() const { return confidences_.size(); }

  /// Sum over bins of share x |accuracy - mean confidence|, of these samples (one may come several times).
  /// Bins of equal width (Guo et al. 2017, eq. 3). 0 of none.
  double equal_width_error(std::span<const std::uint32_t> samples) const;
  /// The same over bins of equally many samples (Nguyen & O'Connor 2015). Not thread-safe.
  double equal_mass_error(std::span<const std::uint32_t> samples) const;
  /// Of all samples, by equal width; empty bins too.
  std::vector<ReliabilityBin> bins() const;
  /// Largest |accuracy - mean confidence| of a bin of equal width.
  double maximum_error() const;

  struct IfCalibrated {
    double mean = 0;
    double bound = 0;  // not passed in 95 of 100 cases
  };
  /// Errors by equal width that 200 simulated models would have of which these confidences are exactly true.
  IfCalibrated if_calibrated(std::uint64_t seed) const;

 private:
  struct Bins;
  Bins filled(std::span<const std::uint32_t> samples) const;

  std::vector<double> confidences_;
  std::vector<bool> hits_;
  /// Sample numbers by rising confidence.
  std::vector<std::uint32_t> order_;
  /// Scratch: how often each sample is among those asked about.
  mutable std::vector<std::uint32_t> times_;
};

struct Temperature {
  double value = 1;
  /// How much less the mean negative log-likelihood is with it.
  double gain = 0;
};
/// What logits must be divided by for the highest likelihood of the labels, within 1/50 … 50. `logits` in
/// rows of `classes`, one row for each label.
Temperature fit_temperature(std::span<const float> logits, std::size_t classes,
                            std::span<const std::uint32_t> labels);

}  // namespace joulery::evaluate
