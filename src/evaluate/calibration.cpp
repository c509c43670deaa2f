#include "evaluate/calibration.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <utility>

#include "stats/random_stream.hpp"

namespace joulery::evaluate {
namespace {

constexpr int kSimulations = 200;

/// Mean negative log-likelihood of the labels if logits are multiplied by `scale`.
double mean_loss(std::span<const float> logits, std::size_t classes, std::span<const std::uint32_t> labels,
                 double scale) {
  double sum = 0;
  for (std::size_t row = 0; row < labels.size(); ++row) {
    const auto values = logits.subspan(row * classes, classes);
    const double top = *std::ranges::max_element(values);
    double total = 0;
    for (const float value : values) total += std::exp(scale * (value - top));
    sum += std::log(total) - scale * (values[labels[row]] - top);
  }
  return sum / static_cast<double>(labels.size());
}

}  // namespace

std::size_t calibration_bin(double confidence) {
  const double place = std::ceil(confidence * kCalibrationBins) - 1;
  return static_cast<std::size_t>(std::clamp(place, 0.0, static_cast<double>(kCalibrationBins - 1)));
}

struct Confidences::Bins {
  struct Bin {
    double count = 0;
    double confidence = 0;
    double hits = 0;
    double gap() const { return std::fabs(hits - confidence); }
  };
  std::array<Bin, kCalibrationBins> bins;
  void add(std::size_t bin, double confidence, bool hit) {
    bins[bin].count += 1;
    bins[bin].confidence += confidence;
    bins[bin].hits += hit ? 1 : 0;
  }
  double error() const {
    double gaps = 0;
    double count = 0;
    for (const Bin& bin : bins) {
      gaps += bin.gap();
      count += bin.count;
    }
    return count > 0 ? gaps / count : 0;
  }
};

Confidences::Confidences(std::vector<double> confidences, std::vector<bool> hits)
    : confidences_(std::move(confidences)), hits_(std::move(hits)), times_(confidences_.size()) {
  for (std::uint32_t i = 0; i < confidences_.size(); ++i) {
    if (!std::isnan(confidences_[i])) order_.push_back(i);
  }
  std::ranges::sort(order_, {}, [this](std::uint32_t i) { return std::pair(confidences_[i], i); });
}

Confidences::Bins Confidences::filled(std::span<const std::uint32_t> samples) const {
  Bins bins;
  for (const std::uint32_t sample : samples) {
    const double confidence = confidences_[sample];
    if (!std::isnan(confidence)) bins.add(calibration_bin(confidence), confidence, hits_[sample]);
  }
  return bins;
}

double Confidences::equal_width_error(std::span<const std::uint32_t> samples) const {
  return filled(samples).error();
}

double Confidences::equal_mass_error(std::span<const std::uint32_t> samples) const {
  std::ranges::fill(times_, 0U);
  std::size_t count = 0;
  for (const std::uint32_t sample : samples) {
    if (std::isnan(confidences_[sample])) continue;
    ++times_[sample];
    ++count;
  }
  Bins bins;
  std::size_t place = 0;
  for (const std::uint32_t sample : order_) {
    for (std::uint32_t i = 0; i < times_[sample]; ++i, ++place) {
      bins.add(place * kCalibrationBins / count, confidences_[sample], hits_[sample]);
    }
  }
  return bins.error();
}

std::vector<ReliabilityBin> Confidences::bins() const {
  const Bins filled_bins = filled(order_);
  std::vector<ReliabilityBin> result;
  for (std::size_t i = 0; i < kCalibrationBins; ++i) {
    const Bins::Bin& bin = filled_bins.bins[i];
    const double count = std::max(bin.count, 1.0);
    result.push_back({.low = static_cast<double>(i) / kCalibrationBins,
                      .high = static_cast<double>(i + 1) / kCalibrationBins,
                      .count = static_cast<std::uint64_t>(bin.count),
                      .mean_confidence = bin.confidence / count,
                      .accuracy = bin.hits / count});
  }
  return result;
}

double Confidences::maximum_error() const {
  double most = 0;
  for (const Bins::Bin& bin : filled(order_).bins) {
    if (bin.count > 0) most = std::max(most, bin.gap() / bin.count);
  }
  return most;
}

Confidences::IfCalibrated Confidences::if_calibrated(std::uint64_t seed) const {
  stats::RandomStream random(seed);
  std::vector<double> errors;
  for (int i = 0; i < kSimulations; ++i) {
    Bins bins;
    for (const std::uint32_t sample : order_) {
      const double confidence = confidences_[sample];
      bins.add(calibration_bin(confidence), confidence, random.unit() < confidence);
    }
    errors.push_back(bins.error());
  }
  std::ranges::sort(errors);
  return {.mean = std::accumulate(errors.begin(), errors.end(), 0.0) / kSimulations,
          .bound = errors[kSimulations * 95 / 100 - 1]};
}

Temperature fit_temperature(std::span<const float> logits, std::size_t classes,
                            std::span<const std::uint32_t> labels) {
  if (labels.empty() || classes < 2) return {};
  // The loss is convex in the scale, so it has one valley over its logarithm too: golden section.
  const double ratio = (std::sqrt(5.0) - 1) / 2;
  double low = -std::log(50.0);
  double high = std::log(50.0);
  const auto loss = [&](double log_scale) { return mean_loss(logits, classes, labels, std::exp(log_scale)); };
  double left = high - ratio * (high - low);
  double right = low + ratio * (high - low);
  double loss_left = loss(left);
  double loss_right = loss(right);
  while (high - low > 1e-4) {
    if (loss_left <= loss_right) {
      high = right;
      right = left;
      loss_right = loss_left;
      left = high - ratio * (high - low);
      loss_left = loss(left);
    } else {
      low = left;
      left = right;
      loss_left = loss_right;
      right = low + ratio * (high - low);
      loss_right = loss(right);
    }
  }
  const double best = (low + high) / 2;
  return {.value = std::exp(-best), .gain = std::max(0.0, loss(0) - loss(best))};
}

}  // namespace joulery::evaluate
