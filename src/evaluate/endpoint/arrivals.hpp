#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace joulery::evaluate::endpoint {

/// When requests of an open loop are to be sent, whatever becomes of those before: nanoseconds from its
/// start, in order.
using Arrivals = std::vector<std::int64_t>;

/// How long a load goes on: until so many requests or so long, whichever is first; 0 is no limit.
struct LoadLength {
  std::size_t requests = 0;
  double seconds = 0;
};
constexpr std::size_t kMostRequests = 1'000'000;

/// Evenly spaced, the first at once. `rate_per_second` > 0 and a length that ends.
Arrivals constant_arrivals(double rate_per_second, const LoadLength& length);
/// A Poisson process: exponential gaps, the same for the same seed.
Arrivals poisson_arrivals(double rate_per_second, const LoadLength& length, std::uint64_t seed);
/// A trace: one number a line, seconds from the start, in any order; "#" begins a comment. The earliest is at
/// 0. User error that names the line.
Result<Arrivals> parse_arrivals(std::string_view text, const std::string& name);
/// The part of a trace within the length.
Arrivals cut(Arrivals arrivals, const LoadLength& length);

}  // namespace joulery::evaluate::endpoint
