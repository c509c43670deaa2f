#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "data/tensor.hpp"

namespace joulery::evaluate {

/// 1 … 5, mild to strong.
constexpr int kSeverities = 5;

struct PerturbationInfo {
  std::string name;
  /// "noise", "blur", "weather", "digital", "range", "missing", "text"
  std::string category = {};
  /// 0 for a probe that has only one strength.
  int severity = 1;
  /// What it does, in words with the number: "gaussian noise, sigma 0.08".
  std::string description = {};
};

/// Spoils inputs as the world might. The same sample, seed and settings always come out the same, in whatever
/// batch they are.
class Perturbation {
 public:
  virtual ~Perturbation() = default;
  const PerturbationInfo& info() const { return info_; }
  /// Changes the samples (of the first axis) in place; the first of them has the number `first_sample`. User
  /// error if it does not fit the tensor, which is unchanged then.
  virtual Status apply(const data::TensorView& batch, std::uint64_t seed,
                       std::uint64_t first_sample) const = 0;

 protected:
  explicit Perturbation(PerturbationInfo info) : info_(std::move(info)) {}
  Perturbation(const Perturbation&) = default;
  Perturbation& operator=(const Perturbation&) = default;
  Perturbation(Perturbation&&) = default;
  Perturbation& operator=(Perturbation&&) = default;

 private:
  PerturbationInfo info_;
};

using Perturbations = std::vector<std::unique_ptr<Perturbation>>;

/// Where a random stream of one sample starts. Depends on all three.
std::uint64_t sample_seed(std::uint64_t seed, std::uint64_t sample, std::string_view name, int severity);

enum class Layout { nhwc, nchw };
/// How pixels stand in a tensor.
struct ImageFormat {
  Layout layout = Layout::nchw;
  /// What black and white are in the tensor, for each channel; a single number is for all. 0 and 255 for
  /// bytes; for an input normalised by mean and deviation, -mean/deviation and (1-mean)/deviation.
  std::vector<double> black = {0};
  std::vector<double> white = {1};
};
/// The corruptions of ImageNet-C (Hendrycks & Dietterich 2019) at all severities, without frost, which is
/// made of photographs. With sides below 96 pixels the strengths are those of CIFAR-10-C. Images of 1 or 3
/// channels (others: those without a colour model). User error if the format is none.
Result<Perturbations> image_corruptions(const ImageFormat& format);
std::span<const std::string_view> image_corruption_names();
/// One of them. User error for a name that is none, or a severity outside 1 … 5.
Result<std::unique_ptr<Perturbation>> image_corruption(std::string_view name, int severity,
                                                       const ImageFormat& format);

/// Mean and deviation of each number of an input, gathered from clean samples.
class FeatureSpread {
 public:
  /// User error if batches differ in their numbers a sample, or there are too many.
  Status add(const data::TensorView& batch, std::size_t count);
  std::size_t size() const { return mean_.size(); }
  std::uint64_t samples() const { return samples_; }
  double mean(std::size_t feature) const { return mean_[feature]; }
  double deviation(std::size_t feature) const;

 private:
  std::uint64_t samples_ = 0;
  std::vector<double> mean_;
  std::vector<double> squares_;
};
/// For numbers that are no image: noise of 0.05 … 0.8 deviations, a scale of 1.1 … 4, clipping, missing
/// features (their mean stands in), and the probes "zeros" and "denormals" (1e-40 each). User error for whole
/// numbers or without samples.
Result<Perturbations> feature_perturbations(FeatureSpread spread);

/// For inputs that are numbers of bytes or tokens: changed, dropped and cut off.
struct TokenFormat {
  std::int64_t low = 0;
  std::int64_t high = 255;
  /// Stands where there is nothing; such places are left alone.
  std::int64_t padding = 256;
  /// Tokens are the bytes of UTF-8: typos can be made.
  bool is_text = false;
};
Result<Perturbations> token_perturbations(const TokenFormat& format);

}  // namespace joulery::evaluate
