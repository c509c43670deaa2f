#include "footprint/footprint.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace joulery::footprint {
namespace {

constexpr double kWh = kJoulesPerKilowattHour;

Usage usage(double kilowatt_hours) {
  Usage usage;
  usage.energy = Quantity<Joules>(
      kilowatt_hours * kWh, Provenance::modelled, 0,
      {{.id = "model", .low = 0.5, .high = 2, .provenance = Provenance::modelled, .basis = "model"}});
  usage.sci_energy = usage.energy;
  usage.duration_seconds = 3600;
  usage.resource_share = 0.5;
  usage.resource_share_basis = "half of the busy time";
  usage.hardware = {.cpu_packages = 1, .cpu_threads = 8, .memory_gigabytes = 32, .drives = {{false, 500}}};
  return usage;
}

Footprint compute(const SiteRequest& request, const Usage& used) {
  static const DataSet kData;
  auto site = find_site(kData, request, 2026);
  EXPECT_TRUE(site);
  auto footprint = compute_footprint(kData, std::move(*site), used);
  EXPECT_TRUE(footprint);
  return std::move(*footprint);
}

TEST(Footprint, IsEnergyTimesPueTimesIntensity) {
  const Footprint footprint = compute({.zone = "FR", .pue = 1.5, .price = Price{0.2, "EUR"}}, usage(10));
  EXPECT_NEAR(footprint.carbon.value(), 10 * 1.5 * 44.18, 1e-9);
  EXPECT_NEAR(footprint.cost->value(), 10 * 1.5 * 0.2, 1e-9);
}

TEST(Footprint, WaterOnSiteIsPerKilowattHourOfTheMachineAndNotTimesPue) {
  const Footprint footprint = compute({.zone = "aws:us-east-1"}, usage(10));
  EXPECT_NEAR(footprint.water.on_site.value(), 10 * 0.12, 1e-9);
  const Site& site = footprint.site;
  const double plants = (site.cooling_water.value() + site.hydro_water.value()) * kWh;
  EXPECT_NEAR(footprint.water.total.value(), 10 * (0.12 + 1.15 * plants), 1e-9);
  EXPECT_NEAR(
      footprint.water.total.value(),
      footprint.water.on_site.value() + footprint.water.cooling.value() + footprint.water.evaporation.value(),
      1e-12);
}

TEST(Footprint, EveryDerivationComputesToItsFigure) {
  for (const char* zone : {"", "FR", "US-CA", "CA-QC", "aws:us-east-1", "gcp:europe-west9"}) {
    Usage used = usage(0.25);
    used.per = FunctionalUnit{40, "images"};
    const Footprint footprint = compute({.zone = zone, .price = Price{0.2, "EUR"}}, used);
    EXPECT_GE(footprint.derivations.size(), 5U) << zone;
    for (const Derivation& derivation : footprint.derivations) {
      EXPECT_GT(derivation.value, 0) << zone << " " << derivation.figure;
      EXPECT_NEAR(evaluate(derivation), derivation.value, 1e-9 * derivation.value)
          << zone << " " << derivation.figure;
      EXPECT_LE(derivation.low, derivation.value);
      EXPECT_GE(derivation.high, derivation.value);
      for (const Factor& factor : derivation.factors) {
        const bool said =
            !factor.basis.empty() || !factor.source.empty() || factor.provenance == Provenance::measured;
        EXPECT_TRUE(said) << derivation.figure << " " << factor.key;
      }
    }
  }
}

TEST(Footprint, GpusAreSharedByTheirOwnUse) {
  Usage used = usage(1);
  used.hardware.server = true;
  used.hardware.gpus = {"NVIDIA A100-SXM4-40GB", "NVIDIA A100-SXM4-40GB"};
  used.resource_share = 0;
  used.gpu_share = 0.5;
  used.gpu_share_basis = "one of two";
  const Footprint half = compute({}, used);
  used.gpu_share = 1;
  const Footprint whole = compute({}, used);
  EXPECT_GT(half.embodied.value(), 0);
  EXPECT_NEAR(whole.embodied.value(), 2 * half.embodied.value(), 1e-12);
  for (const Derivation& derivation : half.derivations) {
    if (derivation.figure == "embodied")
      EXPECT_NEAR(evaluate(derivation), derivation.value, 1e-9 * derivation.value);
  }
  // Without accounts of GPUs the machine's share holds for them too.
  used.gpu_share = {};
  EXPECT_EQ(compute({}, used).embodied.value(), 0);
}

TEST(Footprint, SciIsOperationalAndEmbodiedOverTheUnit) {
  Usage used = usage(1);
  used.per = FunctionalUnit{8, "calls"};
  const Footprint footprint = compute({.zone = "FR"}, used);
  EXPECT_NEAR(footprint.sci.value(), (footprint.carbon.value() + footprint.embodied.value()) / 8, 1e-12);
  // Reserved: all of the machine, by its own energy.
  used.reserved = true;
  used.resource_share = 1;
  used.sci_energy = Quantity<Joules>(3 * kWh, Provenance::measured);
  const Footprint reserved = compute({.zone = "FR"}, used);
  EXPECT_NEAR(reserved.embodied.value(), 2 * footprint.embodied.value(), 1e-12);
  EXPECT_NEAR(reserved.sci.value(), (3 * 44.18 + reserved.embodied.value()) / 8, 1e-9);
  EXPECT_NEAR(reserved.carbon.value(), footprint.carbon.value(), 1e-12);
}

TEST(Footprint, SharedFactorsCancelInTheRatioOfTwoRuns) {
  const Footprint a = compute({.zone = "DE"}, usage(1));
  const Footprint b = compute({.zone = "DE"}, usage(2));
  for (const auto& [name, range] : {std::pair{"carbon", ratio(a.carbon, b.carbon).interval()},
                                    {"water", ratio(a.water.total, b.water.total).interval()},
                                    {"embodied", ratio(a.embodied, b.embodied).interval()}}) {
    EXPECT_NEAR(range.low, range.high, 1e-9) << name;
  }
}

TEST(Footprint, WithoutAPriceThereIsNoCost) {
  const Footprint footprint = compute({.zone = "FR"}, usage(1));
  EXPECT_FALSE(footprint.cost);
  EXPECT_TRUE(std::none_of(footprint.derivations.begin(), footprint.derivations.end(),
                           [](const Derivation& derivation) { return derivation.figure == "cost"; }));
}

TEST(Equivalences, NameDistanceAndSource) {
  const auto all = equivalences(DataSet(), 350);
  ASSERT_TRUE(all);
  ASSERT_FALSE(all->empty());
  EXPECT_EQ(all->front().text, "driving 2 km in an average car of the EU");
  EXPECT_THAT(all->front().source, testing::HasSubstr("175 g/km, Green Algorithms"));
  EXPECT_EQ(equivalences(DataSet(), 0.2)->size(), 2U);
  EXPECT_TRUE(equivalences(DataSet(), 1e-6)->empty()) << "less than a metre is no picture";
}

}  // namespace
}  // namespace joulery::footprint
