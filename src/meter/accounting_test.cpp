#include "meter/accounting.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace joulery::meter {
namespace {

Window window(double seconds, double machine, double busy, double workload) {
  return {.seconds = seconds, .machine_joules = machine, .busy_seconds = busy, .workload_seconds = workload};
}

constexpr double kIdleWatts = 10;

EnergySplit split(IdlePolicy policy, const Window& one) {
  EnergyAccount account;
  account.add(one);
  return account.split(kIdleWatts, policy);
}

TEST(EnergyAccountTest, SplitsByBusyTime) {
  // 10 s at 30 W; idle takes 10 W of it; the workload ran for 6 of the 8 busy CPU-seconds.
  const auto result = split(IdlePolicy::proportional, window(10, 300, 8, 6));
  EXPECT_DOUBLE_EQ(result.machine_joules, 300);
  EXPECT_DOUBLE_EQ(result.idle_joules, 100);
  EXPECT_DOUBLE_EQ(result.active_joules, 150);
  EXPECT_DOUBLE_EQ(result.other_active_joules, 50);
  EXPECT_DOUBLE_EQ(result.idle_share_joules, 75);
  EXPECT_DOUBLE_EQ(result.workload_joules, 225);
  EXPECT_NEAR(result.residual_joules, 0, 1e-9);
}

TEST(EnergyAccountTest, PoliciesDifferInIdleOnly) {
  const auto one = window(10, 300, 8, 6);
  EXPECT_DOUBLE_EQ(split(IdlePolicy::none, one).workload_joules, 150);
  EXPECT_DOUBLE_EQ(split(IdlePolicy::all, one).workload_joules, 250);
  EXPECT_DOUBLE_EQ(split(IdlePolicy::none, one).active_joules, split(IdlePolicy::all, one).active_joules);
}

TEST(EnergyAccountTest, NothingBusyIsAllIdle) {
  const auto result = split(IdlePolicy::proportional, window(1, 12, 0, 0));
  EXPECT_DOUBLE_EQ(result.idle_joules, 12);
  EXPECT_DOUBLE_EQ(result.workload_joules, 0);
  EXPECT_DOUBLE_EQ(split(IdlePolicy::all, window(1, 12, 0, 0)).workload_joules, 12);
}

TEST(EnergyAccountTest, WorkloadBusierThanTheMachineIsTheMachine) {
  const auto result = split(IdlePolicy::proportional, window(1, 50, 1.0, 1.02));
  EXPECT_DOUBLE_EQ(result.workload_joules, 50);
  EXPECT_DOUBLE_EQ(result.other_active_joules, 0);
}

TEST(EnergyAccountTest, IdleIsAtMostWhatTheMachineDrew) {
  const auto result = split(IdlePolicy::proportional, window(1, 4, 1, 0.5));
  EXPECT_DOUBLE_EQ(result.idle_joules, 4);
  EXPECT_DOUBLE_EQ(result.active_joules, 0);
  EXPECT_DOUBLE_EQ(result.idle_share_joules, 2);
}

TEST(EnergyAccountTest, AWindowWithoutLengthKeepsItsEnergy) {
  const auto result = split(IdlePolicy::proportional, window(0, 3, 0, 0));
  EXPECT_DOUBLE_EQ(result.machine_joules, 3);
  EXPECT_DOUBLE_EQ(result.idle_joules, 3);
}

TEST(EnergyAccountTest, NonsenseCountsAsNothing) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  EnergyAccount account;
  account.add(window(-1, -5, -1, -1));
  account.add(window(kNan, kNan, kNan, kNan));
  account.add(window(kInfinite, kInfinite, kInfinite, kInfinite));
  EXPECT_DOUBLE_EQ(account.split(kIdleWatts, IdlePolicy::proportional).machine_joules, 0);
  EXPECT_DOUBLE_EQ(account.split(kIdleWatts, IdlePolicy::proportional).workload_joules, 0);
  EXPECT_DOUBLE_EQ(account.split(kIdleWatts, IdlePolicy::proportional).residual_joules, 0);
  account.add(window(10, 300, 8, 6));
  EXPECT_DOUBLE_EQ(account.split(kIdleWatts, IdlePolicy::proportional).workload_joules, 225);
}

TEST(EnergyAccountTest, EightHoursAtTenHertzStayExact) {
  EnergyAccount account;
  for (int i = 0; i < 8 * 3600 * 10; ++i) account.add(window(0.1, 3, 0.08, 0.06));
  EXPECT_NEAR(account.split(kIdleWatts, IdlePolicy::proportional).machine_joules, 864'000, 1e-3);
  EXPECT_LT(account.split(kIdleWatts, IdlePolicy::proportional).residual_joules, 1e-3);
}

TEST(EnergyAccountTest, IdlePowerMayComeAtTheEnd) {
  EnergyAccount account;
  Window busy = window(10, 300, 8, 6);
  busy.end_seconds = 10;
  account.add(busy);
  Window quiet = window(10, 100, 0, 0);
  quiet.end_seconds = 20;
  account.add(quiet);
  EXPECT_DOUBLE_EQ(account.split(0, IdlePolicy::none).active_joules, 225);
  EXPECT_DOUBLE_EQ(account.split(10, IdlePolicy::none).active_joules, 150);
  EXPECT_DOUBLE_EQ(account.split(10, IdlePolicy::none).idle_joules, 200);
  // Who bears idle by share of busy time bears the same whatever idle is.
  EXPECT_DOUBLE_EQ(account.split(0, IdlePolicy::proportional).workload_joules, 225);
  EXPECT_DOUBLE_EQ(account.split(10, IdlePolicy::proportional).workload_joules, 225);
}

TEST(EnergyAccountTest, LateEnergyIsSplitAsTheWindowsBeforeItAndIsNoPeak) {
  EnergyAccount account;
  // A counter that stands still for two seconds and then catches up, at a constant 20 W.
  for (int i = 0; i < 8; ++i) account.add(window(0.25, 0, 0.25, 0.125));
  ASSERT_TRUE(account.quietest_watts());
  account.add_late(40);
  EXPECT_FALSE(account.quietest_watts());
  for (int i = 0; i < 8; ++i) account.add(window(0.25, 5, 0.25, 0.125));
  EXPECT_DOUBLE_EQ(account.machine_joules(), 80);
  EXPECT_DOUBLE_EQ(account.peak_watts(), 20);
  EXPECT_DOUBLE_EQ(account.quietest_watts().value_or(0), 20);
  const EnergySplit split = account.split(kIdleWatts, IdlePolicy::proportional);
  EXPECT_DOUBLE_EQ(split.workload_joules, 40);
  EXPECT_NEAR(split.residual_joules, 0, 1e-9);
}

TEST(EnergyAccountTest, ThePeakIsOfAtLeastAFifthOfASecond) {
  EnergyAccount account;
  account.add(window(0.001, 1, 0, 0));
  EXPECT_EQ(account.peak_watts(), 0);
  for (int i = 0; i < 250; ++i) account.add(window(0.001, 0.01, 0, 0));
  EXPECT_LT(account.peak_watts(), 16);
}

TEST(EnergyAccountTest, ThePeakIsOfNoLessThanSlowCountersCanTell) {
  EnergyAccount account;
  account.set_peak_seconds(2);
  // 15 W, by a counter that moves every half second.
  for (int i = 0; i < 60; ++i) account.add(window(0.1, i % 5 == 0 ? 7.5 : 0, 0, 0));
  EXPECT_NEAR(account.peak_watts(), 15, 1e-9);
}

TEST(EnergyAccountTest, TheQuietestSecondBoundsIdle) {
  EnergyAccount account;
  EXPECT_FALSE(account.quietest_watts());
  for (int i = 0; i < 4; ++i) account.add(window(0.25, 7.5, 0.1, 0.1));
  EXPECT_DOUBLE_EQ(account.quietest_watts().value_or(0), 30);
  // A short dip between two reads of a coarse counter is no quiet second.
  account.add(window(0.25, 0, 0.1, 0.1));
  for (int i = 0; i < 3; ++i) account.add(window(0.25, 7.5, 0.1, 0.1));
  for (int i = 0; i < 4; ++i) account.add(window(0.25, 3, 0, 0));
  EXPECT_DOUBLE_EQ(account.quietest_watts().value_or(0), 12);
}

TEST(EnergyAccount, WhatWasTooMuchIsTakenOffAllPartsAlike) {
  EnergyAccount account;
  for (int i = 1; i <= 10; ++i) {
    account.add({.seconds = 1,
                 .end_seconds = double(i),
                 .machine_joules = 50,
                 .busy_seconds = 1,
                 .workload_seconds = 0.25});
  }
  const EnergySplit before = account.split(10, IdlePolicy::none);
  account.add_late(-100);
  const EnergySplit after = account.split(10, IdlePolicy::none);
  EXPECT_NEAR(after.machine_joules, 400, 1e-9);
  EXPECT_LT(after.active_joules, before.active_joules);
  EXPECT_NEAR(after.active_joules + after.other_active_joules + after.idle_joules, 400, 1e-9);
  account.add_late(-1000);
  EXPECT_EQ(account.split(10, IdlePolicy::none).machine_joules, 0);
}

}  // namespace
}  // namespace joulery::meter
