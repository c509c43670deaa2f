#pragma once

#include <span>
#include <vector>

namespace joulery::evaluate {

/// Cosine of the angle between vectors of one size; 0 if one has no length.
double cosine(std::span<const double> a, std::span<const double> b);
/// Ranks from 1; equal values share the mean of theirs.
std::vector<double> ranks(std::span<const double> values);
/// Correlation of values, and of their ranks. NaN for fewer than 2, or if one side never varies.
double pearson(std::span<const double> x, std::span<const double> y);
double spearman(std::span<const double> x, std::span<const double> y);

}  // namespace joulery::evaluate
