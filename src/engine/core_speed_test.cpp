#include "engine/core_speed.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace joulery::engine {
namespace {

TEST(SpeedProbe, TellsTheSpeedOfACpu) {
  const SpeedProbe probe;
  CoreSpeed fastest = probe.look();
  for (int i = 0; i < 100; ++i) {
    const CoreSpeed speed = probe.look();
    fastest.hertz = std::max(fastest.hertz, speed.hertz);
    fastest.work_cycles = std::min(fastest.work_cycles, speed.work_cycles);
  }
  // No CPU is slower than 100 MHz or faster than 20 GHz; 46,080 products of four numbers take a fraction of a
  // cycle each on a good one, and some dozens under a sanitizer.
  EXPECT_GT(fastest.hertz, 1e8);
  EXPECT_LT(fastest.hertz, 2e10);
  EXPECT_GT(fastest.work_cycles, 46'080 / 16);
  EXPECT_LT(fastest.work_cycles, 46'080 * 200);
}

}  // namespace
}  // namespace joulery::engine
