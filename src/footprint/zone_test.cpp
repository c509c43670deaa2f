#include "footprint/zone.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace joulery::footprint {
namespace {

using testing::HasSubstr;

std::string id_of(std::string_view text) {
  static const DataSet kData;
  const auto zone = find_zone(kData, text);
  return zone ? zone->id : "error";
}
std::string hint_for(std::string_view text) {
  const DataSet data;
  const auto zone = find_zone(data, text);
  EXPECT_FALSE(zone) << text;
  return zone ? "" : zone.error().hint;
}

TEST(Zone, CountriesByCodeAndName) {
  for (const char* text : {"FR", "fr", "FRA", "France", " france "}) EXPECT_EQ(id_of(text), "FRA") << text;
  EXPECT_EQ(id_of("United Kingdom"), "GBR");
  EXPECT_EQ(id_of("UK"), "GBR");
  EXPECT_EQ(id_of("USA"), "USA");
  EXPECT_EQ(id_of("Russia"), "RUS");
  EXPECT_EQ(id_of("Côte d'Ivoire"), "CIV");
  EXPECT_EQ(id_of("world"), "WORLD");
}

TEST(Zone, PartsOfTheUsAndCanada) {
  for (const char* text : {"US-CA", "usa-ca", "California"}) EXPECT_EQ(id_of(text), "US-CA") << text;
  for (const char* text : {"US-CAMX", "CAMX", "WECC California"}) EXPECT_EQ(id_of(text), "US-CAMX") << text;
  for (const char* text : {"CA-QC", "can-qc", "Quebec"}) EXPECT_EQ(id_of(text), "CA-QC") << text;
}

TEST(Zone, TwoLettersAreACountryAndANoteSaysWhatElseTheyCouldBe) {
  const DataSet data;
  const auto zone = find_zone(data, "CA");
  ASSERT_TRUE(zone);
  EXPECT_EQ(zone->id, "CAN");
  EXPECT_THAT(zone->note, HasSubstr("US-CA"));
  EXPECT_EQ(find_zone(data, "FR")->note, "");
}

TEST(Zone, CloudRegionsLieInACountryAndASubregion) {
  const DataSet data;
  const auto paris = find_zone(data, "AWS:eu-west-3");
  ASSERT_TRUE(paris);
  EXPECT_EQ(paris->id, "aws:eu-west-3");
  EXPECT_EQ(paris->country_iso3, "FRA");
  EXPECT_EQ(paris->part, "");
  EXPECT_EQ(find_zone(data, "azure:eastus")->part, "SRVC");
}

TEST(Zone, EveryZoneIsFoundAgainByItsOwnId) {
  const DataSet data;
  for (const auto& [table, column, prefix] : {std::tuple{TableId::grid_country, "iso3", ""},
                                              {TableId::grid_us_state, "state", "US-"},
                                              {TableId::grid_us_egrid, "subregion", "US-"},
                                              {TableId::grid_canada, "province", "CA-"}}) {
    for (const Table::Row& row : (*data.table(table))->rows()) {
      if (row.text(column) == "US") continue;
      const std::string id = prefix + row.text(column);
      const auto zone = find_zone(data, id);
      ASSERT_TRUE(zone) << id;
      EXPECT_EQ(zone->id, id);
    }
  }
  for (const Table::Row& row : (*data.table(TableId::cloud_regions))->rows()) {
    const std::string id = row.text("provider") + ":" + row.text("region");
    EXPECT_EQ(find_zone(data, id)->id, id);
  }
}

TEST(Zone, TyposGetASuggestion) {
  EXPECT_EQ(hint_for("Germny"), "did you mean 'Germany'?");
  EXPECT_EQ(hint_for("Califronia"), "did you mean 'California'?");
  EXPECT_EQ(hint_for("aws:eu-west-33"), "did you mean 'aws:eu-west-3'?");
  EXPECT_EQ(hint_for("eu-west-3"), "did you mean aws:eu-west-3?");
  EXPECT_THAT(hint_for("ovh:gra"), HasSubstr("the country instead"));
  EXPECT_THAT(hint_for("SE-SE3"), HasSubstr("joulery data import"));
  EXPECT_THAT(hint_for("Atlantis on the sea"), HasSubstr("aws:eu-west-3"));
  EXPECT_THAT(hint_for(""), HasSubstr("--zone FR"));
  EXPECT_EQ(id_of(std::string(1000, 'x')), "error");
}

}  // namespace
}  // namespace joulery::footprint
