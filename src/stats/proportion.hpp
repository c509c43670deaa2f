#pragma once

#include <cstdint>

namespace joulery::stats {

/// Ends of a confidence interval.
struct Interval {
  double low = 0;
  double high = 0;
};

/// Two-sided interval of a proportion that holds the truth with at least this level whatever the truth is
/// (Clopper & Pearson 1934). 0 … 1 for no trials; successes above `trials` count as `trials`.
Interval clopper_pearson(std::uint64_t successes, std::uint64_t trials, double level);
/// One-sided: the truth is at most / at least this, with this level.
double clopper_pearson_upper(std::uint64_t successes, std::uint64_t trials, double level);
double clopper_pearson_lower(std::uint64_t successes, std::uint64_t trials, double level);

/// Holds the truth with this level on average over truths, and is narrower (Wilson 1927).
Interval wilson(std::uint64_t successes, std::uint64_t trials, double level);

/// Trials for which Wilson's interval around this proportion is at most this wide to either side, about.
/// `half_width` > 0.
std::uint64_t trials_for_half_width(double proportion, double half_width, double level);

}  // namespace joulery::stats
