#include "engine/core_speed.hpp"

#include <time.h>

#include <algorithm>
#include <array>
#include <cstddef>

#include "base/clock.hpp"

namespace joulery::engine {
namespace {

/// Three times, of which the middle counts: an interrupt in one of them would look like a slow clock, at
/// which the work would seem to take few cycles.
constexpr std::size_t kChains = 3;
constexpr std::uint64_t kMultiplications = 1'400;
constexpr double kCyclesOfMultiplication = 3;
/// 12 KiB, so that the model's numbers stay in the first cache for the most part.
constexpr std::size_t kRow = 128;
constexpr std::size_t kRows = 6;
constexpr int kPasses = 60;

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
std::int64_t SpeedProbe::work_ns() const {
  constexpr std::size_t kSums = 8;
  // Without the checks that containers may make at each step.
  const FourFloats* const weights = weights_.data();
  const FourFloats* const factors = factors_.data();
  const std::int64_t start = now_ns();
  for (int pass = 0; pass < kPasses; ++pass) {
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
  return now_ns() - start;
}

CoreSpeed SpeedProbe::look() const {
  std::array<std::int64_t, kChains> chains{};
  std::int64_t start = now_ns();
  for (std::int64_t& chain : chains) {
    multiply_in_a_chain();
    const std::int64_t end = now_ns();
    chain = std::max<std::int64_t>(1, end - start);
    start = end;
  }
  std::ranges::sort(chains);
  const double chain = static_cast<double>(chains[kChains / 2]) * 1e-9;
  const double hertz = kCyclesOfMultiplication * static_cast<double>(kMultiplications) / chain;
  const auto worked = static_cast<double>(std::max<std::int64_t>(1, work_ns())) * 1e-9;
  return {.hertz = hertz, .work_cycles = worked * hertz};
}

}  // namespace joulery::engine
