#include "meter/scan_budget.hpp"

#include <algorithm>

namespace joulery::meter {
namespace {

constexpr std::int64_t kShortest = kNanosecondsPerSecond / 10;
constexpr std::int64_t kLongest = 5 * kNanosecondsPerSecond;
/// However dear a look is.
constexpr std::int64_t kLongestEver = 60 * kNanosecondsPerSecond;
/// A quarter of what the whole meter may take, which is a thousandth of a core.
constexpr std::int64_t kCostToWait = 4000;

}  // namespace

void ScanBudget::begin() {
  if (first_ns_ == 0) first_ns_ = clock_->monotonic_ns();
  started_cpu_ns_ = clock_->thread_cpu_ns();
}

void ScanBudget::end() {
  const std::int64_t now = clock_->monotonic_ns();
  const std::int64_t for_cost =
      std::min((clock_->thread_cpu_ns() - started_cpu_ns_) * kCostToWait, kLongestEver);
  const std::int64_t for_age = std::clamp((now - first_ns_) / 4, kShortest, kLongest);
  next_ns_ = now + std::max(for_cost, for_age);
}

}  // namespace joulery::meter
