#include "data/sample_shape.hpp"

#include <algorithm>
#include <array>

namespace joulery::data {
namespace {

/// Pairs the dimensions of an input with those of a sample, passing over dimensions of 1 on either side.
class Pairing {
 public:
  Pairing(const Shape& input, const Shape& sample) : input_(input), sample_(sample), result_(input) {}

  std::optional<Shape> find() {
    if (!pair(0, 0)) return std::nullopt;
    return result_;
  }

 private:
  bool pair(std::size_t i, std::size_t j) {
    if (i == input_.rank() && j == sample_.rank()) return true;
    if (failed_[i][j]) return false;
    if (i < input_.rank() && j < sample_.rank() && (input_[i] < 0 || input_[i] == sample_[j])) {
      result_.set(i, sample_[j]);
      if (pair(i + 1, j + 1)) return true;
    }
    if (i < input_.rank() && (input_[i] < 0 || input_[i] == 1)) {
      result_.set(i, 1);
      if (pair(i + 1, j)) return true;
    }
    if (j < sample_.rank() && sample_[j] == 1 && pair(i, j + 1)) return true;
    failed_[i][j] = true;
    return false;
  }

  const Shape& input_;
  const Shape& sample_;
  Shape result_;
  std::array<std::array<bool, kMostDimensions + 1>, kMostDimensions + 1> failed_{};
};

}  // namespace

Shape without_batch(const Shape& input) {
  auto shape = Shape::create(input.dimensions().subspan(input.rank() == 0 ? 0 : 1));
  return shape ? *shape : Shape();
}

Shape with_batch(std::int64_t count, const Shape& sample) {
  std::array<std::int64_t, kMostDimensions> dimensions{};
  dimensions[0] = count;
  const std::size_t rank = std::min(sample.rank() + 1, kMostDimensions);
  for (std::size_t i = 1; i < rank; ++i) dimensions[i] = sample[i - 1];
  auto shape = Shape::create({dimensions.data(), rank});
  return shape ? *shape : Shape();
}

std::optional<FittedSample> fit_sample(const Shape& input, const Shape& sample) {
  if (!sample.is_known()) return std::nullopt;
  if (input.rank() > 0) {
    const Shape rest = without_batch(input);
    if (rest.admits(sample)) return FittedSample{.sample = sample, .batched = true};
    if (const auto paired = Pairing(rest, sample).find())
      return FittedSample{.sample = *paired, .batched = true};
  }
  // An open first dimension beside others can be nothing but the batch.
  if (input.rank() > 1 && input[0] < 0) return std::nullopt;
  if (const auto paired = Pairing(input, sample).find())
    return FittedSample{.sample = *paired, .batched = false};
  return std::nullopt;
}

}  // namespace joulery::data
