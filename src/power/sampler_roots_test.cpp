#include <gtest/gtest.h>

#include "power/sampler_bench.hpp"

namespace joulery::power {
namespace {

TEST(SamplerRoots, OnlyRootsAddUp) {
  Bench bench;
  SourceInfo psys = package_info("rapl:psys");
  psys.scope = Scope::psys;
  SourceInfo core = package_info("rapl:package-0:core", "rapl:package-0");
  core.scope = Scope::core;
  SourceInfo dram = package_info("rapl:package-0:dram", "rapl:psys");
  dram.scope = Scope::dram;
  bench.add(core, 100);
  bench.add(package_info("rapl:package-0", "rapl:psys"), 5000);
  bench.add(dram, 70);
  bench.add(psys, 9000);
  bench.start();
  EXPECT_NEAR(bench.step({30, 50, 5, 80}).machine_joules, 80, 1e-9);
  EXPECT_FALSE(bench.sampler->is_root(0));
  EXPECT_FALSE(bench.sampler->is_root(1));
  EXPECT_FALSE(bench.sampler->is_root(2));
  EXPECT_TRUE(bench.sampler->is_root(3));
}

TEST(SamplerRoots, ChildOfADeviceThatIsNotThereIsARoot) {
  Bench bench;
  bench.add(package_info("rapl:package-0", "rapl:psys"), 5000);
  bench.start();
  EXPECT_NEAR(bench.step({50}).machine_joules, 50, 1e-9);
  EXPECT_TRUE(bench.sampler->is_root(0));
}

TEST(SamplerRoots, RootThatNeverMovesGivesWayToItsChildren) {
  Bench bench;
  SourceInfo psys = package_info("rapl:psys");
  psys.scope = Scope::psys;
  bench.add(psys, 0);
  bench.add(package_info("rapl:package-0", "rapl:psys"), 5000);
  bench.start();
  EXPECT_NEAR(bench.steps(10, {0, 50}), 500, 1e-9);
  EXPECT_TRUE(bench.sampler->is_root(1));
  EXPECT_FALSE(bench.sampler->is_root(0));
  // If it wakes up, nothing is counted twice.
  EXPECT_NEAR(bench.step({80, 50}).machine_joules, 50, 1e-9);
}

TEST(SamplerRoots, MirrorsCountOnce) {
  Bench bench;
  bench.start_packages({6812.5, 6812.5});
  EXPECT_NEAR(bench.steps(10, {68, 68}), 680, 1e-9);
  EXPECT_EQ(bench.sampler->mirror_of(1), 0U);
  EXPECT_FALSE(bench.sampler->is_root(1));
  EXPECT_TRUE(bench.sampler->is_root(0));
}

TEST(SamplerRoots, MirrorReadMomentsLaterIsStillAMirror) {
  Bench bench;
  bench.start_packages({6812.5, 6812.53});
  double machine = 0;
  for (int i = 0; i < 10; ++i) machine += bench.step({68, i % 2 == 0 ? 68.02 : 67.98}).machine_joules;
  EXPECT_NEAR(machine, 680, 1e-9);
  EXPECT_EQ(bench.sampler->mirror_of(1), 0U);
}

TEST(SamplerRoots, NearByChanceIsNoMirrorAndNothingIsLost) {
  Bench bench;
  bench.start_packages({6812.5, 6812.9});
  EXPECT_NEAR(bench.steps(10, {68, 60}), 1280, 1e-9);
  EXPECT_TRUE(bench.sampler->is_root(1));
  EXPECT_EQ(bench.sampler->mirror_of(1), 1U);
}

TEST(SamplerRoots, NewCountersOfAlikePackagesAreNoMirrors) {
  // The perf PMU counts from zero for each package.
  Bench bench;
  bench.start_packages({0.01, 0.01});
  EXPECT_NEAR(bench.steps(20, {68, 68}), 2720, 1e-9);
}

TEST(SamplerRoots, FourMirrorsAreOne) {
  Bench bench;
  bench.start_packages({1000, 1000, 1000, 1000});
  EXPECT_NEAR(bench.steps(10, {20, 20, 20, 20}), 200, 1e-9);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(bench.sampler->mirror_of(i), 0U);
}

}  // namespace
}  // namespace joulery::power
