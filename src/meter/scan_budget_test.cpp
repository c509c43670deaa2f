#include "meter/scan_budget.hpp"

#include <gtest/gtest.h>

namespace joulery::meter {
namespace {

/// Seconds until the next look is due, to a hundredth. The clock is then put back.
double wait_seconds(const ScanBudget& budget, ManualClock& clock) {
  const ManualClock before = clock;
  double seconds = 0;
  while (!budget.is_due() && seconds < 100) {
    clock.advance_seconds(0.01);
    seconds += 0.01;
  }
  clock = before;
  return seconds;
}

TEST(ScanBudgetTest, LooksGrowRarerWithAge) {
  ManualClock clock;
  ScanBudget budget(clock);
  EXPECT_TRUE(budget.is_due());
  budget.begin();
  budget.end();
  EXPECT_NEAR(wait_seconds(budget, clock), 0.1, 0.011);
  clock.advance_seconds(4);
  budget.begin();
  budget.end();
  EXPECT_NEAR(wait_seconds(budget, clock), 1, 0.011);
  clock.advance_seconds(600);
  budget.begin();
  budget.end();
  EXPECT_NEAR(wait_seconds(budget, clock), 5, 0.011);
}

TEST(ScanBudgetTest, DearLooksAreRare) {
  ManualClock clock;
  ScanBudget budget(clock);
  budget.begin();
  clock.thread_cpu += 1'000'000;
  budget.end();
  EXPECT_NEAR(wait_seconds(budget, clock), 4, 0.011);
  budget.begin();
  clock.thread_cpu += 10 * kNanosecondsPerSecond;
  budget.end();
  EXPECT_NEAR(wait_seconds(budget, clock), 60, 0.011);
}

TEST(ScanBudgetTest, InterruptedLooksAreNotDear) {
  ManualClock clock;
  ScanBudget budget(clock);
  budget.begin();
  clock.advance_seconds(0.2);
  clock.thread_cpu += 10'000;
  budget.end();
  EXPECT_NEAR(wait_seconds(budget, clock), 0.1, 0.011);
}

}  // namespace
}  // namespace joulery::meter
