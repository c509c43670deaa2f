#pragma once

#include <optional>

#include "data/tensor.hpp"

namespace joulery::data {

/// How samples of a shape fit an input.
struct FittedSample {
  /// Of one sample as the model takes it, without the batch; all dimensions known.
  Shape sample;
  /// Is the input's first dimension the batch?
  bool batched = true;
};

/// The first dimension of the input is the batch, and the rest fits the sample, where dimensions of 1 do not
/// matter; else the whole input fits it, unless it has other dimensions beside an open first one, which is
/// then the batch. Nothing if neither does.
std::optional<FittedSample> fit_sample(const Shape& input, const Shape& sample);

/// The input's shape without its first dimension.
Shape without_batch(const Shape& input);
/// `count` and the dimensions of a sample.
Shape with_batch(std::int64_t count, const Shape& sample);

}  // namespace joulery::data
