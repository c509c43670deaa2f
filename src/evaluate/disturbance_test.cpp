#include "evaluate/disturbance.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <span>
#include <vector>

namespace joulery::evaluate {
namespace {

using Side = std::vector<SlicedBlock>;

/// A block of slices of 4 ms with two calls each, among moments at which the work takes so many cycles.
SlicedBlock block(const std::vector<double>& work_cycles, double hertz = 3e9) {
  SlicedBlock block;
  for (const double cycles : work_cycles) block.speeds.push_back({.hertz = hertz, .work_cycles = cycles});
  block.slices.assign(work_cycles.size() - 1, {.calls = 2, .cpu_seconds = 0.004, .wall_seconds = 0.004});
  return block;
}

/// `quiet` blocks as the work takes 1e6 cycles, give or take 2 %, then `slowed` ones with 1.3e6.
Side one_side(int quiet, int slowed) {
  Side side;
  for (int i = 0; i < quiet; ++i) side.push_back(block(std::vector(5, 1e6 * (1 + 0.01 * (i % 3)))));
  for (int i = 0; i < slowed; ++i) side.push_back(block(std::vector(5, 1.3e6)));
  return side;
}

SpeedReport judge(const Side& side, const SpeedHistory& history = {}) {
  const std::span<const SlicedBlock> one(side);
  return judge_speed(std::span(&one, 1), history, 6);
}

std::vector<std::size_t> groups_of(std::size_t size, std::size_t blocks) {
  std::vector<std::size_t> starts;
  for (std::size_t i = 0; i < blocks; i += size) starts.push_back(i);
  return starts;
}

TEST(Disturbance, BlocksThatSomethingSlowedDoNotCount) {
  const Side side = one_side(10, 5);
  const SpeedReport report = judge(side);
  EXPECT_EQ(report.disturbed, 5U);
  EXPECT_EQ(report.undisturbed(), 10U);
  EXPECT_FALSE(report.always_disturbed);
  EXPECT_EQ(report.slowdown, 1);
  EXPECT_NEAR(report.share, 10.0 / 15, 1e-9);
  // The last group has none that counts.
  const CountedTimes times = counted_times(side, groups_of(5, 15), 4, report);
  ASSERT_EQ(times.wall.values.size(), 10U);
  for (const double seconds : times.wall.values) EXPECT_NEAR(seconds, 0.002 / 4, 1e-12);
  EXPECT_EQ(times.wall.groups(), 2U);
  EXPECT_EQ(times.cpu.group_starts, times.wall.group_starts);
}

TEST(Disturbance, OfABlockItsQuietSlicesCount) {
  Side side = one_side(10, 0);
  // Quiet from the second moment to the fifth: the slice amid them is sure to be.
  side[4] = block({1.3e6, 1e6, 1e6, 1e6, 1e6, 1.3e6});
  for (const std::size_t slowed : {0, 1, 3, 4}) side[4].slices[slowed].cpu_seconds = 0.006;
  // Nowhere quiet for two moments.
  side[7] = block({1.3e6, 1e6, 1.3e6, 1e6, 1.3e6});
  // Quiet for too short a time.
  side[8] = block({1.3e6, 1.3e6, 1.3e6, 1e6, 1e6});
  const SpeedReport report = judge(side);
  EXPECT_EQ(report.disturbed, 2U);
  EXPECT_FALSE(report.counts[7]);
  EXPECT_FALSE(report.counts[8]);
  const CountedTimes times = counted_times(side, groups_of(5, 10), 1, report);
  ASSERT_EQ(times.wall.values.size(), 8U);
  EXPECT_NEAR(times.cpu.values[4], 0.002, 1e-12);
  EXPECT_NEAR(report.share, 29.0 / 41, 1e-9);
}

TEST(Disturbance, APairCountsAsAWhole) {
  Side a = one_side(10, 0);
  Side b = one_side(10, 0);
  a[1] = block(std::vector(5, 1.3e6));
  b[7] = block(std::vector(5, 1.3e6));
  const std::vector<std::span<const SlicedBlock>> sides{a, b};
  const SpeedReport report = judge_speed(sides, {}, 6);
  EXPECT_EQ(report.disturbed, 2U);
  const CountedTimes of_a = counted_times(a, groups_of(5, 10), 1, report);
  const CountedTimes of_b = counted_times(b, groups_of(5, 10), 1, report);
  EXPECT_EQ(of_a.wall.values.size(), 8U);
  EXPECT_EQ(of_a.wall.group_starts, of_b.wall.group_starts);
}

TEST(Disturbance, ABenchThatWasDisturbedThroughoutShowsByEarlierOnes) {
  const Side side = one_side(0, 12);
  EXPECT_EQ(judge(side).disturbed, 0U) << "nothing to compare with";
  const SpeedReport report =
      judge(side, {.work_cycles = {1.31e6, 1e6, 1.01e6, 1.02e6, 1e6, 1.4e6}, .hertz = {}});
  EXPECT_EQ(report.disturbed, 12U);
  EXPECT_TRUE(report.always_disturbed);
  EXPECT_NEAR(report.slowdown, 1.3, 0.02);
  // All count then, and the range reaches down.
  EXPECT_EQ(counted_times(side, groups_of(6, 12), 1, report).wall.values.size(), 12U);
  const Figure figure =
      with_speed_doubt({.value = 2, .low = 1.98, .high = 2.02, .has_interval = true}, report);
  EXPECT_LT(figure.low, 2 / 1.3);
  EXPECT_LT(figure.high, 2.05);
}

TEST(Disturbance, OneErrorOfTheClockIsNotTheQuietLevel) {
  // Few moments, so that a single one is more than their 2 %.
  Side side = one_side(8, 0);
  side[3].speeds[2].work_cycles = 0.45e6;
  side[6].speeds[1].work_cycles = 0.7e6;
  const SpeedReport report = judge(side);
  EXPECT_NEAR(report.own_work_cycles, 1e6, 0.02e6);
  EXPECT_EQ(report.disturbed, 0U);
  // Two alone are no level either, and what lies nowhere together has none.
  Side scattered;
  for (int i = 0; i < 10; ++i)
    scattered.push_back(block({1e6 * std::pow(1.1, i), 1e6 * std::pow(1.1, i + 0.5)}));
  EXPECT_NEAR(judge(scattered).own_work_cycles, 1e6, 1);
}

TEST(Disturbance, AMachineThatHasBecomeSlowerIsBelievedInTime) {
  SpeedHistory history;
  for (int i = 0; i < 16; ++i) history.work_cycles.push_back(1.3e6);
  for (int i = 0; i < 4; ++i) history.work_cycles.push_back(1e6);
  EXPECT_EQ(judge(one_side(0, 12), history).disturbed, 0U);
}

TEST(Disturbance, FewBlocksWithoutDisturbanceAreNoAlarm) {
  const SpeedReport report = judge(one_side(1, 0));
  EXPECT_FALSE(report.always_disturbed);
  EXPECT_EQ(report.disturbed, 0U);
  const SpeedReport none = judge_speed({}, {}, 6);
  EXPECT_TRUE(none.counts.empty());
  EXPECT_FALSE(none.at_other_clock());
}

TEST(Disturbance, TimesAreGivenAtTheUsualClock) {
  Side side;
  // It got slower midway: what took 30 cycles took 10 ns, then 12.
  for (int i = 0; i < 12; ++i) {
    const double hertz = i < 6 ? 3e9 : 2.5e9;
    side.push_back(block(std::vector(5, 1e6), hertz));
    for (engine::Slice& slice : side.back().slices)
      slice = {.calls = 400'000, .cpu_seconds = 400'000 * 30 / hertz, .wall_seconds = 400'000 * 31 / hertz};
  }
  const SpeedHistory history{.work_cycles = {}, .hertz = {2.8e9, 2.9e9, 2.85e9, 1.2e9, 1.3e9, 1.25e9, 1.2e9}};
  const SpeedReport report = judge(side, history);
  // The clocks on battery do not count. Half of the calls, but more of the time, were at the slow one.
  EXPECT_GT(report.hertz, 2.7e9);
  EXPECT_LT(report.hertz, 2.75e9);
  EXPECT_GE(report.usual_hertz, report.hertz);
  EXPECT_LE(report.usual_hertz, 2.9e9);
  EXPECT_TRUE(report.at_other_clock());
  const CountedTimes times = counted_times(side, groups_of(6, 12), 1, report);
  for (const double value : times.cpu.values) EXPECT_NEAR(value * report.usual_hertz, 30, 1e-9);
  for (const double value : times.wall.values) EXPECT_NEAR(value * report.usual_hertz, 31, 1e-9);
  EXPECT_FALSE(judge(side).at_other_clock()) << "a first bench has its own clock";
}

TEST(Disturbance, TheRangeHoldsWhatBenchesDifferBy) {
  const SpeedReport undisturbed;
  const Figure narrow =
      with_speed_doubt({.value = 1, .low = 1, .high = 1, .has_interval = true}, undisturbed);
  EXPECT_NEAR(std::log(narrow.high), kBetweenBenches, 1e-12);
  EXPECT_NEAR(std::log(narrow.low), -kBetweenBenches, 1e-12);
  const Figure wide =
      with_speed_doubt({.value = 1, .low = 0.9, .high = 1.1, .has_interval = true}, undisturbed);
  EXPECT_LT(wide.low, 0.9);
  EXPECT_GT(wide.low, 0.898);
  EXPECT_GT(wide.high, 1.1);
  const Figure unknown = with_speed_doubt({.value = 1, .low = 1, .high = 1}, undisturbed);
  EXPECT_EQ(unknown.low, 1);
}

}  // namespace
}  // namespace joulery::evaluate
