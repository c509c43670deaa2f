#include "evaluate/inference_energy.hpp"

#include <gtest/gtest.h>

namespace joulery::evaluate {
namespace {

Quantity<Joules> modelled(double joules, double low, double high) {
  return {joules, Provenance::modelled, 0, {{"host-model", low, high, Provenance::modelled, "a model"}}};
}

Figure figure(double value, double relative_half_width, double level) {
  return {.value = value,
          .low = value * (1 - relative_half_width),
          .high = value * (1 + relative_half_width),
          .level = level,
          .blocks = 60,
          .groups = 6,
          .has_interval = true};
}

EnergySum measured_sum(double joules, double inferences) {
  const Quantity<Joules> energy(joules, Provenance::measured);
  return {.inferences = inferences,
          .active = energy,
          .idle_share = energy,
          .total = energy,
          .machine = energy,
          .carbon = Quantity<GramsCo2e>(joules / 10, Provenance::measured),
          .totals = {}};
}

TEST(InferenceEnergy, OneSourceHasOneRangeHoweverManyWindows) {
  EnergySum sum = measured_sum(1, 10);
  sum.total = modelled(30, 0.5, 2) + modelled(10, 0.9, 1.2);
  const InferenceEnergy energy = energy_per_inference(sum, {}, {});
  const Interval range = energy.total.interval(0.9);
  EXPECT_DOUBLE_EQ(energy.total.value(), 4);
  EXPECT_NEAR(range.low, 4 * (0.5 * 30 + 0.9 * 10) / 40, 1e-9);
  EXPECT_NEAR(range.high, 4 * (2.0 * 30 + 1.2 * 10) / 40, 1e-9);
}

meter::MeteredWindow window(double joules, double cpu_seconds) {
  meter::MeteredWindow window;
  window.energy = Quantity<Joules>(joules, Provenance::measured);
  window.cpu_seconds = cpu_seconds;
  return window;
}

TEST(InferenceEnergy, OfAWindowWhatWentIntoItsBlocksCounts) {
  EnergySum sum;
  // A tenth of the CPU time went into something else, and so did a tenth of the energy.
  sum.add(window(11, 1.1), 100, 1);
  EXPECT_NEAR(energy_per_inference(sum, {}, {}).total.value(), 0.1, 1e-12);
  // Ticks that were counted twice brought energy twice.
  sum.add(window(22, 2.2), 100, 1);
  EXPECT_NEAR(sum.totals.values.at(0), 0.1, 1e-12);
  EXPECT_NEAR(sum.totals.values.at(1), 0.1, 1e-12);
  EnergySum unseen;
  unseen.add(window(5, 0), 100, 0);
  EXPECT_NEAR(energy_per_inference(unseen, {}, {}).total.value(), 0.05, 1e-12);
}

TEST(InferenceEnergy, IsKnownAsWellAsItsWindowsAgree) {
  EnergySum a;
  EnergySum b;
  const std::optional<Figure> cpu = figure(1, 0.001, 0.95);
  a.add(window(10, 1), 100, 1);
  b.add(window(12, 1), 100, 1);
  EXPECT_NEAR(repeated_energy(a, cpu, 0.95, 1)->relative_half_width(), 0.001, 1e-9) << "one window";
  EXPECT_NEAR(repeated_energy_ratio(a, b, cpu, 0.95, 1)->relative_half_width(), 0.001, 1e-9);
  for (int i = 0; i < 9; ++i) {
    const double drift = 1 + 0.1 * (i % 3);
    a.add(window(10 * drift, 1), 100, 1);
    b.add(window(12 * drift * (i % 2 == 0 ? 1.02 : 0.98), 1), 100, 1);
  }
  const auto of_a = repeated_energy(a, cpu, 0.95, 1);
  EXPECT_GT(of_a->relative_half_width(), 0.03);
  EXPECT_LT(of_a->relative_half_width(), 0.12);
  const auto ratio = repeated_energy_ratio(a, b, cpu, 0.95, 1);
  EXPECT_GT(ratio->relative_half_width(), 0.005) << "pairs differ by more than CPU time does";
  EXPECT_LT(ratio->relative_half_width(), 0.03) << "what drifts hits both";
  EXPECT_NEAR(ratio->value, 1.2, 0.02);
}

TEST(InferenceEnergy, RepetitionMakesItsRangeAsWideAsThatOfCpuTimeAtAnyLevel) {
  for (const double level : {0.5, 0.9, 0.95, 0.99}) {
    const auto energy =
        energy_per_inference(measured_sum(20, 10), figure(1, 0.05, level), figure(1, 0.2, level));
    for (const auto& of_cpu : {energy.active, energy.idle_share, energy.total}) {
      EXPECT_NEAR(of_cpu.interval(level).low, 2 * 0.95, 2e-3) << level;
      EXPECT_NEAR(of_cpu.interval(level).high, 2 * 1.05, 2e-3) << level;
    }
    EXPECT_NEAR(energy.carbon.interval(level).high, 0.2 * 1.05, 2e-4) << level;
    EXPECT_NEAR(energy.machine.interval(level).high, 2 * 1.2, 2e-3) << level;
  }
}

TEST(InferenceEnergy, ARatioHasTheRandomPartOfItsPairsOnly) {
  EnergySum a = measured_sum(10, 10);
  EnergySum b = measured_sum(5, 10);
  a.total = modelled(10, 0.5, 2);
  b.total = modelled(5, 0.5, 2);
  const auto one = energy_per_inference(a, figure(1, 0.3, 0.95), {});
  const auto other = energy_per_inference(b, figure(1, 0.3, 0.95), {});
  const auto ratio = energy_ratio(one, other, figure(0.5, 0.01, 0.95));
  ASSERT_TRUE(ratio);
  EXPECT_NEAR(ratio->value(), 0.5, 1e-12);
  EXPECT_NEAR(ratio->interval(0.95).low, 0.495, 1e-3);
  EXPECT_NEAR(ratio->interval(0.95).high, 0.505, 1e-3);
  EXPECT_FALSE(energy_ratio({}, other, {}));
  EXPECT_FALSE(energy_ratio(one, {}, {}));
}

}  // namespace
}  // namespace joulery::evaluate
