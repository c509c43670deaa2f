#include "evaluate/endpoint/arrivals.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.hpp"
#include "stats/random_stream.hpp"

namespace joulery::evaluate::endpoint {
namespace {

constexpr double kNanoseconds = 1e9;
constexpr double kLongestSeconds = 30 * 86400;

bool within(std::size_t index, double seconds, const LoadLength& length) {
  if (index >= (length.requests > 0 ? std::min(length.requests, kMostRequests) : kMostRequests)) return false;
  return length.seconds <= 0 || seconds < length.seconds;
}

}  // namespace

Arrivals constant_arrivals(double rate_per_second, const LoadLength& length) {
  Arrivals arrivals;
  for (std::size_t i = 0; within(i, static_cast<double>(i) / rate_per_second, length); ++i) {
    arrivals.push_back(std::llround(static_cast<double>(i) / rate_per_second * kNanoseconds));
  }
  return arrivals;
}

Arrivals poisson_arrivals(double rate_per_second, const LoadLength& length, std::uint64_t seed) {
  stats::RandomStream random(seed);
  Arrivals arrivals;
  double seconds = -std::log(1 - random.unit()) / rate_per_second;
  while (within(arrivals.size(), seconds, length)) {
    arrivals.push_back(std::llround(seconds * kNanoseconds));
    seconds += -std::log(1 - random.unit()) / rate_per_second;
  }
  return arrivals;
}

Result<Arrivals> parse_arrivals(std::string_view text, const std::string& name) {
  Arrivals arrivals;
  std::size_t number = 0;
  while (!text.empty()) {
    const auto end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    ++number;
    line = trim(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    const auto seconds = parse_double(line);
    if (!seconds || !(*seconds >= 0 && *seconds <= kLongestSeconds)) {
      return user_error(fmt::format("{}, line {}: '{}' is no time in seconds from the start", printable(name),
                                    number, printable(line.substr(0, 60))),
                        "a line holds one number from 0 on, such as 12.5");
    }
    if (arrivals.size() == kMostRequests) {
      return user_error(fmt::format("{} has more than {} requests", printable(name), kMostRequests));
    }
    arrivals.push_back(std::llround(*seconds * kNanoseconds));
  }
  if (arrivals.empty()) return user_error(fmt::format("{} holds no times", printable(name)));
  std::ranges::sort(arrivals);
  const std::int64_t first = arrivals.front();
  for (std::int64_t& time : arrivals) time -= first;
  return arrivals;
}

Arrivals cut(Arrivals arrivals, const LoadLength& length) {
  std::size_t count = 0;
  while (count < arrivals.size() &&
         within(count, static_cast<double>(arrivals[count]) / kNanoseconds, length)) {
    ++count;
  }
  arrivals.resize(count);
  return arrivals;
}

}  // namespace joulery::evaluate::endpoint
