#include "footprint/intensity.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <concepts>

namespace joulery::footprint {
namespace {

using testing::HasSubstr;

constexpr int kRunYear = 2026;
constexpr IntensityKind kDirect{.boundary = Boundary::direct};

/// Grams have no operator +, so that kinds can't mix unseen.
template <class T>
concept Adds = requires(T a, T b) { a + b; };
static_assert(!Adds<Emissions>);
static_assert(Adds<Quantity<GramsCo2e>>);

Result<GridIntensity> intensity(const char* zone, const IntensityKind& kind = {}, int year = kRunYear) {
  static const DataSet kData;
  return find_intensity(kData, *find_zone(kData, zone), kind, year);
}
double grams(const char* zone, const IntensityKind& kind = {}) {
  const auto found = intensity(zone, kind);
  EXPECT_TRUE(found) << zone;
  return found ? found->value.value() * kJoulesPerKilowattHour : -1;
}

TEST(Intensity, OfTheWorldIsAssumedAndSpansCountries) {
  const auto world = intensity("world");
  ASSERT_TRUE(world);
  EXPECT_NEAR(world->value.value() * kJoulesPerKilowattHour, 472.94, 1e-9);
  EXPECT_EQ(world->value.provenance(), Provenance::assumed);
  // 5th and 95th percentile of countries by rank, counted with a spreadsheet.
  EXPECT_NEAR(world->value.interval().low * kJoulesPerKilowattHour, 35.89, 0.01);
  EXPECT_NEAR(world->value.interval().high * kJoulesPerKilowattHour, 784.01, 0.01);
}

TEST(Intensity, OfACountryIsTheTablesLifecycleValue) {
  EXPECT_NEAR(grams("FR"), 44.18, 1e-9);
  EXPECT_NEAR(grams("aws:eu-west-3"), 44.18, 1e-9);
  EXPECT_NEAR(grams("US"), 383.55, 1e-9);
  const auto france = intensity("FR");
  EXPECT_EQ(france->value.provenance(), Provenance::derived);
  EXPECT_EQ(france->factor.year, 2024);
  EXPECT_THAT(france->factor.source, HasSubstr("Ember"));
  EXPECT_LT(france->value.interval().low, france->value.value() * 0.7);
  EXPECT_GT(france->value.interval().high, france->value.value() * 1.3);
}

TEST(Intensity, PartsOfTheUsAreLifecycleOfTheCountryTimesDirectOverDirect) {
  EXPECT_NEAR(grams("US-CA"), 383.55 * 179.1 / 340.8, 1e-9);
  EXPECT_NEAR(grams("CAMX"), 383.55 * 183.7 / 340.8, 1e-9);
  EXPECT_NEAR(grams("aws:us-east-1"), 383.55 * 290.6 / 340.8, 1e-9);
  const auto california = intensity("US-CA");
  EXPECT_EQ(california->value.provenance(), Provenance::derived);
  ASSERT_TRUE(california->derived);
  EXPECT_NEAR(evaluate(*california->derived), 383.55 * 179.1 / 340.8, 1e-9);
}

TEST(Intensity, CanadasProvincesAreLifecycleAlready) {
  EXPECT_NEAR(grams("CA-QC"), 27.4, 1e-9);
  EXPECT_FALSE(intensity("CA-QC")->derived);
}

TEST(Intensity, DirectValuesOnlyWhenAskedAndNoOtherKindTakesTheirPlace) {
  EXPECT_NEAR(grams("gcp:europe-west9", kDirect), 16.3, 0.5);
  EXPECT_NEAR(grams("gcp:europe-west9"), 44.18, 1e-9);
  EXPECT_NEAR(grams("US-CA", kDirect), 179.1, 1e-9);
  EXPECT_NEAR(grams("US", kDirect), 340.8, 1e-9);
  EXPECT_NEAR(grams("aws:us-east-1", kDirect), 290.6, 1e-9);
  for (const char* zone : {"FR", "world", "CA-QC", "aws:eu-west-3"}) {
    const auto none = intensity(zone, kDirect);
    ASSERT_FALSE(none) << zone;
    EXPECT_THAT(none.error().message, HasSubstr("no average direct location-based intensity"));
  }
  EXPECT_FALSE(intensity("FR", {.signal = Signal::marginal}));
  EXPECT_FALSE(intensity("FR", {.accounting = Accounting::market}));
}

TEST(Intensity, AnOldValueIsLessCertain) {
  const auto width = [](int year) {
    const Interval range = intensity("FR", {}, year)->value.interval();
    return range.high / range.low;
  };
  EXPECT_LT(width(2024), width(2026));
  EXPECT_LT(width(2026), width(2028));
  // A run before the table's year is no reason for more.
  EXPECT_DOUBLE_EQ(width(2020), width(2024));
}

TEST(Intensity, TwoRunsInOneZoneCompareWithoutTheGridsError) {
  const auto france = intensity("FR");
  const auto a = (Quantity<Joules>(100, Provenance::measured) * *france).grams();
  const auto b = (Quantity<Joules>(200, Provenance::measured) * *france).grams();
  const Interval same = ratio(a, b).interval();
  EXPECT_NEAR(same.low, 0.5, 1e-9);
  EXPECT_NEAR(same.high, 0.5, 1e-9);
  const auto elsewhere = (Quantity<Joules>(200, Provenance::measured) * *intensity("DE")).grams();
  const Interval other = ratio(a, elsewhere).interval();
  EXPECT_GT(other.high / other.low, 1.5);
}

TEST(Emissions, OfOneKindAddAndOthersAreRefused) {
  const Quantity<Joules> energy(kJoulesPerKilowattHour, Provenance::measured);
  const Emissions lifecycle = energy * *intensity("US-CA");
  const Emissions direct = energy * *intensity("US-CA", kDirect);
  const auto sum = lifecycle.plus(energy * *intensity("FR"));
  ASSERT_TRUE(sum);
  EXPECT_NEAR(sum->grams().value(), 44.18 + 383.55 * 179.1 / 340.8, 1e-9);
  const auto mixed = lifecycle.plus(direct);
  ASSERT_FALSE(mixed);
  EXPECT_THAT(mixed.error().message, HasSubstr("don't add"));
}

TEST(Kind, NamesAreReadBack) {
  EXPECT_EQ(kind_name({}), "average lifecycle location-based");
  const IntensityKind odd{Signal::marginal, Boundary::direct, Accounting::market};
  EXPECT_EQ(parse_kind(kind_name(odd)), odd);
  EXPECT_EQ(parse_kind("average"), std::nullopt);
}

}  // namespace
}  // namespace joulery::footprint
