#include "base/quantity.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace joulery {
namespace {

SystematicSource model(double low = 0.35, double high = 2.1) {
  return {.id = "host-power-model:a",
          .low = low,
          .high = high,
          .provenance = Provenance::modelled,
          .basis = "TDP"};
}
SystematicSource grid() {
  return {
      .id = "grid:world", .low = 0.5, .high = 2, .provenance = Provenance::assumed, .basis = "world mean"};
}

TEST(Quantity, AnAmountIsNotNegativeAtItsLowEnd) {
  const Quantity<Joules> little(1, Provenance::measured, 5);
  EXPECT_EQ(little.interval().low, 0);
  EXPECT_GT(little.interval().high, 5);
}

TEST(Quantity, OneSourceGivesItsOwnRange) {
  const Quantity<Joules> energy(100, Provenance::modelled, 0, {model()});
  EXPECT_NEAR(energy.interval().low, 35, 1e-9);
  EXPECT_NEAR(energy.interval().high, 210, 1e-9);
  EXPECT_FALSE(energy.interval().is_confidence);
  EXPECT_EQ(energy.provenance(), Provenance::modelled);
}

TEST(Quantity, TheSameSourceAppliesToTheSumAsAWhole) {
  const Quantity<Joules> a(30, Provenance::modelled, 0, {model()});
  const Quantity<Joules> b(70, Provenance::modelled, 0, {model()});
  EXPECT_NEAR((a + b).interval().low, 35, 1e-9);
  EXPECT_NEAR((a + b).interval().high, 210, 1e-9);
}

TEST(Quantity, IndependentSourcesCombineInQuadratureOfLogFactors) {
  const Quantity<Joules> energy(100, Provenance::modelled, 0, {model(0.5, 2)});
  const Quantity<GramsCo2ePerJoule> intensity(0.01, Provenance::assumed, 0, {grid()});
  const Quantity<GramsCo2e> carbon = energy * intensity;
  EXPECT_DOUBLE_EQ(carbon.value(), 1);
  EXPECT_NEAR(carbon.interval().high, std::exp(std::sqrt(2.0) * std::log(2.0)), 1e-9);
  EXPECT_NEAR(carbon.interval().low, std::exp(-std::sqrt(2.0) * std::log(2.0)), 1e-9);
  EXPECT_EQ(carbon.provenance(), Provenance::assumed);
  EXPECT_EQ(carbon.basis(), "world mean; TDP");
}

TEST(Quantity, RandomPartsAddInQuadratureAndMakeAConfidenceInterval) {
  const Quantity<Joules> a(10, Provenance::measured, 3);
  const Quantity<Joules> b(20, Provenance::measured, 4);
  const Quantity<Joules> sum = a + b;
  EXPECT_DOUBLE_EQ(sum.standard_deviation(), 5);
  EXPECT_TRUE(sum.interval().is_confidence);
  EXPECT_NEAR(sum.interval(0.9).high - 30, 1.6449 * 5, 1e-3);
  EXPECT_NEAR(sum.interval(0.95).high - 30, 1.9600 * 5, 1e-3);
}

TEST(Quantity, ARatioDropsWhatBothShare) {
  const Quantity<Joules> a(30, Provenance::modelled, 0, {model()});
  const Quantity<Joules> b(60, Provenance::modelled, 0, {model()});
  const Quantity<Ratio> r = ratio(a, b);
  EXPECT_DOUBLE_EQ(r.value(), 0.5);
  EXPECT_NEAR(r.interval().low, 0.5, 1e-9);
  EXPECT_NEAR(r.interval().high, 0.5, 1e-9);
}

TEST(Quantity, ARatioKeepsWhatOnlyOneSideRestsOn) {
  const Quantity<Joules> modelled(30, Provenance::modelled, 0, {model()});
  const Quantity<Joules> measured(60, Provenance::measured);
  EXPECT_NEAR(ratio(modelled, measured).interval().low, 0.5 * 0.35, 1e-9);
  EXPECT_NEAR(ratio(measured, modelled).interval().high, 2 / 0.35, 1e-9);
}

TEST(Quantity, APartlySharedSourceCancelsInPart) {
  // Half of the numerator is modelled, all of the denominator.
  const Quantity<Joules> mixed = Quantity<Joules>(50, Provenance::measured) +
                                 Quantity<Joules>(50, Provenance::modelled, 0, {model(0.5, 2)});
  const Quantity<Joules> whole(100, Provenance::modelled, 0, {model(0.5, 2)});
  const Interval range = ratio(mixed, whole).interval();
  EXPECT_NEAR(range.high, 75.0 / 50, 1e-9);
  EXPECT_NEAR(range.low, 150.0 / 200, 1e-9);
}

TEST(Quantity, ProvenanceIsTheWeakestPartOfWeight) {
  Quantity<Joules> sum(96, Provenance::measured);
  sum += Quantity<Joules>(4, Provenance::modelled, 0, {model()});
  EXPECT_EQ(sum.provenance(), Provenance::measured);
  sum += Quantity<Joules>(2, Provenance::modelled, 0, {model()});
  EXPECT_EQ(sum.provenance(), Provenance::modelled);
}

TEST(Quantity, ZeroHasNoWidthAndKeepsItsProvenance) {
  const Quantity<Joules> zero(0, Provenance::modelled, 0, {model()});
  EXPECT_EQ(zero.interval().low, 0);
  EXPECT_EQ(zero.interval().high, 0);
  EXPECT_EQ(zero.provenance(), Provenance::modelled);
}

TEST(Quantity, AddsToItself) {
  Quantity<Joules> energy(10, Provenance::measured, 1);
  energy += energy;
  EXPECT_EQ(energy.value(), 20);
}

}  // namespace
}  // namespace joulery
