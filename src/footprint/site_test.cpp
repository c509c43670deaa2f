#include "footprint/site.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace joulery::footprint {
namespace {

Site site(const SiteRequest& request) {
  static const DataSet kData;
  auto found = find_site(kData, request, 2026);
  EXPECT_TRUE(found) << found.error().message;
  return std::move(*found);
}
Site at(const char* zone) {
  return site({.zone = zone});
}

TEST(Pue, IsAsGivenElseTheRegionsElseTheFleetsElseOne) {
  EXPECT_EQ(site({.zone = "aws:eu-west-3", .pue = 1.3}).pue.value(), 1.3);
  EXPECT_EQ(site({.zone = "aws:eu-west-3", .pue = 1.3}).pue.interval().high, 1.3);
  EXPECT_EQ(at("aws:us-east-1").pue.value(), 1.15);
  // The table has no PUE of Hong Kong: the fleet's, with the range of the regions that have one.
  const Site hong_kong = at("aws:ap-east-1");
  EXPECT_EQ(hong_kong.pue.value(), 1.15);
  EXPECT_NEAR(hong_kong.pue.interval().high, 1.46, 1e-9);
  EXPECT_EQ(hong_kong.pue.provenance(), Provenance::derived);
  const Site home = at("FR");
  EXPECT_EQ(home.pue.value(), 1);
  EXPECT_EQ(home.pue.provenance(), Provenance::assumed);
  EXPECT_NEAR(home.pue.interval().high, 1.56, 1e-9);
  EXPECT_EQ(home.pue.interval().low, 1);
}

TEST(Pue, OfLessThanOneOrAbsurdIsRefused) {
  const DataSet data;
  EXPECT_FALSE(find_site(data, {.zone = "FR", .pue = 0.9}, 2026));
  EXPECT_FALSE(find_site(data, {.zone = "FR", .pue = 50}, 2026));
}

TEST(Water, OfElectricityFollowsTheMix) {
  // France 2023: by hand from grid_mix and fuel_factors.
  const Site france = at("FR");
  const double cooling = france.cooling_water.value() * kJoulesPerKilowattHour;
  EXPECT_GT(cooling, 1.5);  // two thirds nuclear at 2.544 l/kWh
  EXPECT_LT(cooling, 2.0);
  EXPECT_EQ(france.cooling_water.provenance(), Provenance::derived);
  // Norway is hydro: next to no cooling, much evaporation, and a range from none.
  const Site norway = at("NO");
  EXPECT_LT(norway.cooling_water.value() * kJoulesPerKilowattHour, 0.1);
  EXPECT_GT(norway.hydro_water.value() * kJoulesPerKilowattHour, 12);
  EXPECT_LT(norway.hydro_water.interval().low, 1e-3 * norway.hydro_water.value());
  // Of a state only the country's mix is known.
  EXPECT_EQ(at("US-CA").cooling_water.provenance(), Provenance::assumed);
}

TEST(Water, OnSiteIsTheProvidersAndNoneAtHome) {
  EXPECT_NEAR(at("aws:us-east-1").wue.value() * kJoulesPerKilowattHour, 0.12, 1e-12);
  EXPECT_NEAR(at("aws:eu-west-3").wue.value() * kJoulesPerKilowattHour, 0.15, 1e-12);
  EXPECT_EQ(at("FR").wue.value(), 0);
}

TEST(PriceOfElectricity, IsAsGivenElseTheTablesElseNotKnown) {
  EXPECT_NEAR(at("US-CA").price->value() * kJoulesPerKilowattHour, 0.2153, 1e-12);
  EXPECT_EQ(at("US-CA").currency, "USD");
  EXPECT_NEAR(at("CAMX").price->value() * kJoulesPerKilowattHour, 0.0813, 1e-12);
  EXPECT_FALSE(at("FR").price);
  const Site given = site({.zone = "FR", .price = Price{0.25, "EUR"}});
  EXPECT_NEAR(given.price->value() * kJoulesPerKilowattHour, 0.25, 1e-12);
  EXPECT_EQ(given.currency, "EUR");
}

TEST(ParsePrice, TakesANumberAndACurrency) {
  for (const char* text : {"0.25 EUR", "0.25EUR", "0.25eur", " 0.25 EUR/kWh ", "2.5e-1 EUR"}) {
    const auto price = parse_price(text);
    ASSERT_TRUE(price) << text << ": " << price.error().message;
    EXPECT_DOUBLE_EQ(price->per_kilowatt_hour, 0.25) << text;
    EXPECT_EQ(price->currency, "EUR");
  }
  EXPECT_EQ(parse_price("31 JPY")->per_kilowatt_hour, 31);
  EXPECT_EQ(parse_price("0 USD")->per_kilowatt_hour, 0);
}

TEST(ParsePrice, RefusesWhatCanNotBe) {
  for (const char* text :
       {"", "EUR", "0.25", "0.25 EURO", "-0.1 EUR", "25 EUR", "1e9 JPY", "nan EUR", "0.2 E1R", "1 2 EUR"})
    EXPECT_FALSE(parse_price(text)) << text;
}

}  // namespace
}  // namespace joulery::footprint
