#include "engine/core_speed.hpp"

#include <time.h>

#include <algorithm>
#include <cstddef>
#include <limits>

#include "base/clock.hpp"

namespace joulery::engine {
namespace {

/// Three times, of which the shortest counts: interrupts and what is not in the caches yet make one longer,
/// and nothing makes it shorter. At a clock that looks slow the work would seem to take few cycles.
constexpr int kChains = 3;
constexpr std::uint64_t kMultiplications = 1'400;
constexpr double kCyclesOfMultiplication = 3;
/// 12 KiB, so that the model's numbers stay in the first cache for the most part.
constexpr std::size_t kRow = 128;
constexpr std::size_t kRows = 6;
constexpr int kPasses = 60;
constexpr int kWarmPasses = 2;

std::int64_t now_ns() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * kNanosecondsPerSecond + time.tv_nsec;
}

void multiply_in_a_chain() {
  std::uint64_t value = 1;
  // Not known to the compiler, which could do several steps in one otherwise.
  std::uint64_t factor = 6'364'136'223'846'793'005;
  __asm__ volatile("" : "+r"(factor));
  for (std::uint64_t i = 0; i < kMultiplications; ++i) {
    value *= factor;
    __asm__ volatile("" : "+r"(value));
  }
}

}  // namespace

SpeedProbe::SpeedProbe() : weights_(kRow * kRows, FourFloats{1, 1, 1, 1}), factors_(kRow, FourFloats{}) {}

/// Products of a matrix and a vector, as layers of a model are made of, with as many sums at a time as keep
/// the units busy: what the core's other thread takes of them is missing here. An interrupt looks like a slow
/// core. That is rare and does no harm.
void SpeedProbe::work(int passes) const {
  constexpr std::size_t kSums = 8;
  // Without the checks that containers may make at each step.
  const FourFloats* const weights = weights_.data();
  const FourFloats* const factors = factors_.data();
  for (int pass = 0; pass < passes; ++pass) {
    for (std::size_t row = 0; row < kRow * kRows; row += kRow) {
      // Named one by one: a compiler that does not unroll loops would keep an array of them in memory.
      FourFloats a{}, b{}, c{}, d{}, e{}, f{}, g{}, h{};
      for (std::size_t i = 0; i < kRow; i += kSums) {
        const FourFloats* weight = weights + row + i;
        const FourFloats* factor = factors + i;
        a += weight[0] * factor[0];
        b += weight[1] * factor[1];
        c += weight[2] * factor[2];
        d += weight[3] * factor[3];
        e += weight[4] * factor[4];
        f += weight[5] * factor[5];
        g += weight[6] * factor[6];
        h += weight[7] * factor[7];
      }
      FourFloats sum = a + b + c + d + e + f + g + h;
      __asm__ volatile("" : : "r"(&sum) : "memory");
    }
  }
}

std::string speed_probe_name() {
  // Another number for each change of what is done above.
  std::string name = "core-speed 2, ";
  name += __VERSION__;
#ifndef __OPTIMIZE__
  name += ", not optimised";
#endif
  return name;
}

CoreSpeed SpeedProbe::look() const {
  // A model whose weights are larger than the caches leaves none of our numbers there, and that is no
  // disturbance.
  work(kWarmPasses);
  std::int64_t chain = std::numeric_limits<std::int64_t>::max();
  std::int64_t start = now_ns();
  for (int i = 0; i < kChains; ++i) {
    multiply_in_a_chain();
    const std::int64_t end = now_ns();
    chain = std::min(chain, std::max<std::int64_t>(1, end - start));
    start = end;
  }
  const double hertz =
      kCyclesOfMultiplication * static_cast<double>(kMultiplications) / (static_cast<double>(chain) * 1e-9);
  work(kPasses);
  const auto worked = static_cast<double>(std::max<std::int64_t>(1, now_ns() - start)) * 1e-9;
  return {.hertz = hertz, .work_cycles = worked * hertz};
}

}  // namespace joulery::engine
