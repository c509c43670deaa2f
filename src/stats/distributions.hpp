#pragma once

#include <cstdint>

#include "stats/random_stream.hpp"

namespace joulery::stats {

/// x with I_x(a, b) = probability, of the regularised incomplete beta function; a, b > 0.
double beta_quantile(double probability, double a, double b);
/// I_x(a, b), the probability of Beta(a, b) up to x; a, b > 0.
double beta_probability(double x, double a, double b);
/// z with P(Z <= z) = probability, strictly between 0 and 1, of the standard normal distribution.
double normal_quantile(double probability);
double normal_probability(double z);
/// P(at most `successes` of `trials`), each with this chance.
double binomial_probability(std::uint64_t successes, std::uint64_t trials, double chance);

/// A draw of the standard normal distribution (Box & Muller 1958, one of the pair: the stream's position
/// then never depends on what was drawn).
double normal_variate(RandomStream& random);
/// A draw of the Poisson distribution, exact, in time proportional to the mean; 0 for a mean that is not
/// above 0.
std::uint64_t poisson_variate(RandomStream& random, double mean);

}  // namespace joulery::stats
