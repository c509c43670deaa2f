#include "evaluate/surroundings.hpp"

#include <gtest/gtest.h>

#include "evaluate/measurement.hpp"
#include "power/fake_tree.hpp"

namespace joulery::evaluate {
namespace {

constexpr const char* kFirst = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq";
constexpr const char* kSecond = "/sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq";
constexpr const char* kThrottled = "/sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count";

TEST(Surroundings, ACpuWithNothingToDoIsNoClockThatVaries) {
  power::FakeTree tree;
  const SystemRoot root = tree.root();
  tree.write(kFirst, "800000\n");
  tree.write(kSecond, "3000000\n");
  const SurroundingsReader reader(root);
  Surroundings around;
  reader.look(around);
  // The work has moved to the other CPU.
  tree.write(kFirst, "3000000\n");
  tree.write(kSecond, "800000\n");
  reader.look(around);
  EXPECT_EQ(around.lowest_hertz, 3e9);
  EXPECT_EQ(around.highest_hertz, 3e9);
  tree.write(kFirst, "2000000\n");
  reader.look(around);
  EXPECT_EQ(around.lowest_hertz, 2e9);
  EXPECT_EQ(around.highest_hertz, 3e9);
}

TEST(Surroundings, ThrottlingCountsFromTheStartOn) {
  power::FakeTree tree;
  const SystemRoot root = tree.root();
  tree.write(kThrottled, "40\n");
  const SurroundingsReader reader(root);
  Surroundings around;
  reader.look(around);
  EXPECT_EQ(around.throttle_events, 0U);
  EXPECT_EQ(around.highest_hertz, 0) << "not told";
  tree.write(kThrottled, "43\n");
  reader.look(around);
  EXPECT_EQ(around.throttle_events, 3U);
}

}  // namespace
}  // namespace joulery::evaluate
