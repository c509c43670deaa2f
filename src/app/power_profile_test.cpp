#include "app/power_profile.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace joulery::app {
namespace {

using record::PowerSample;

constexpr std::int64_t kSecond = 1'000'000'000;

std::vector<PowerSample> steady(std::size_t count, double seconds, double watts,
                                std::int64_t start = kSecond) {
  std::vector<PowerSample> samples;
  for (std::size_t i = 1; i <= count; ++i) {
    samples.push_back(
        {.boottime_ns = start + static_cast<std::int64_t>(static_cast<double>(i) * seconds * 1e9),
         .joules = watts * seconds,
         .flags = 0});
  }
  return samples;
}

double joules_of(const std::vector<PowerPoint>& points) {
  double joules = 0;
  for (const PowerPoint& point : points)
    joules += point.mean_watts * (point.end_seconds - point.start_seconds);
  return joules;
}

TEST(PowerProfile, KeepsEnergyAndPeakHoweverFewPoints) {
  std::vector<PowerSample> samples = steady(100'000, 0.1, 40);
  samples[77'777].joules = 90;  // 900 W for one window
  for (const std::size_t points : {1UL, 7UL, 600UL}) {
    const PowerProfile profile = profile_power(samples, kSecond, points);
    EXPECT_EQ(profile.points.size(), points);
    EXPECT_EQ(profile.samples, samples.size());
    EXPECT_NEAR(profile.peak_watts, 900, 1e-3);
    EXPECT_NEAR(profile.peak_at_seconds, 7777.75, 1e-3);
    double highest = 0;
    for (const PowerPoint& point : profile.points) {
      highest = std::max(highest, point.high_watts);
      EXPECT_LE(point.low_watts, point.mean_watts);
      EXPECT_LE(point.mean_watts, point.high_watts);
    }
    EXPECT_NEAR(highest, 900, 1e-3);
    EXPECT_NEAR(joules_of(profile.points), 400'086, 1);
    EXPECT_NEAR(profile.joules, 400'086, 1e-6);
    EXPECT_NEAR(profile.mean_watts, 40.0086, 1e-6);
  }
}

TEST(PowerProfile, FewWindowsStayWhatTheyAre) {
  const PowerProfile profile = profile_power(steady(3, 0.5, 10), kSecond, 600);
  ASSERT_EQ(profile.points.size(), 3U);
  EXPECT_NEAR(profile.points[1].start_seconds, 0.5, 1e-9);
  EXPECT_NEAR(profile.points[1].end_seconds, 1, 1e-9);
  EXPECT_NEAR(profile.points[1].mean_watts, 10, 1e-9);
}

TEST(PowerProfile, OneSampleAndNone) {
  EXPECT_TRUE(profile_power({}, kSecond, 10).points.empty());
  const PowerProfile one = profile_power(steady(1, 2, 5), kSecond, 600);
  ASSERT_EQ(one.points.size(), 1U);
  EXPECT_NEAR(one.points[0].mean_watts, 5, 1e-9);
  // Its start is not known: there is energy, and no length of time to make power of.
  const PowerProfile unknown = profile_power(steady(1, 2, 5), 0, 600);
  EXPECT_TRUE(unknown.points.empty());
  EXPECT_NEAR(unknown.joules, 10, 1e-9);
  EXPECT_EQ(unknown.peak_watts, 0);
}

TEST(PowerProfile, AnUnknownStartIsOneWindowBeforeTheFirstEdge) {
  const PowerProfile profile = profile_power(steady(10, 1, 5), 0, 600);
  EXPECT_NEAR(profile.seconds, 10, 1e-9);
  EXPECT_NEAR(profile.points[0].mean_watts, 5, 1e-9);
}

TEST(PowerProfile, WindowsWithoutLengthMakeNoPower) {
  std::vector<PowerSample> samples = steady(4, 1, 5);
  samples.insert(samples.begin() + 2, {.boottime_ns = samples[1].boottime_ns, .joules = 7, .flags = 0});
  samples.insert(samples.begin() + 3, {.boottime_ns = samples[0].boottime_ns, .joules = 7, .flags = 0});
  const PowerProfile profile = profile_power(samples, kSecond, 600);
  EXPECT_NEAR(profile.peak_watts, 5, 1e-9);
  EXPECT_EQ(profile.points.size(), 4U);
  EXPECT_NEAR(profile.joules, 34, 1e-9);
}

TEST(PowerProfile, ALongGapIsOneLongWindow) {
  std::vector<PowerSample> samples = steady(1000, 1, 5);
  for (std::size_t i = 500; i < samples.size(); ++i) samples[i].boottime_ns += 1000 * kSecond;
  const PowerProfile profile = profile_power(samples, kSecond, 20);
  EXPECT_EQ(profile.points.size(), 20U);
  EXPECT_NEAR(joules_of(profile.points), 5000, 1e-6);
  EXPECT_LT(profile.points[10].mean_watts, 0.1);
}

TEST(AddPower, SumsWindowsOfOneGrid) {
  const auto a = steady(5, 1, 10), b = steady(5, 1, 3);
  const std::vector<std::span<const PowerSample>> both = {a, b};
  const auto sum = add_power(both, kSecond);
  ASSERT_EQ(sum.size(), 5U);
  for (const PowerSample& sample : sum) EXPECT_NEAR(sample.joules, 13, 1e-9);
}

TEST(AddPower, KeepsEnergyOnDifferentGrids) {
  const auto a = steady(10, 1, 10), b = steady(3, 3.1, 6), c = steady(4, 1, 2, 5 * kSecond);
  const std::vector<std::span<const PowerSample>> all = {a, b, c};
  const auto sum = add_power(all, kSecond);
  double joules = 0;
  for (const PowerSample& sample : sum) joules += sample.joules;
  EXPECT_NEAR(joules, 100 + 3 * 3.1 * 6 + 8, 1e-6);
  EXPECT_TRUE(std::is_sorted(sum.begin(), sum.end(),
                             [](const auto& x, const auto& y) { return x.boottime_ns < y.boottime_ns; }));
}

}  // namespace
}  // namespace joulery::app
