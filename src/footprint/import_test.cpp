#include "footprint/import.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "footprint/intensity.hpp"

namespace joulery::footprint {
namespace {

using testing::HasSubstr;

ImportRequest request(std::optional<int> year = std::nullopt) {
  return {.table = "", .licence = "ODbL", .source = "Electricity Maps; 2025", .year = year};
}
std::string failure(std::string_view text, const ImportRequest& asked = request()) {
  const auto table = import_table(text, "f", asked);
  return table ? "" : table.error().message;
}

constexpr std::string_view kHourly =
    "Datetime (UTC),Country,Zone name,Zone id,Carbon intensity gCO₂eq/kWh (direct),Carbon intensity "
    "gCO₂eq/kWh (Life "
    "cycle),Carbon-free energy percentage (CFE%)\n"
    "2025-01-01 00:00:00,Sweden,South Central Sweden,SE-SE3,10,20,99\n"
    "2025-01-01 01:00:00,Sweden,South Central Sweden,SE-SE3,20,30,99\n";

TEST(Import, HoursOfElectricityMapsBecomeAYearlyMeanOfBothKinds) {
  const auto imported = import_table(kHourly, "f", request());
  ASSERT_TRUE(imported) << imported.error().message;
  EXPECT_EQ(imported->id, TableId::grid_zone);
  const auto table = Table::parse(TableId::grid_zone, imported->csv, "t");
  ASSERT_TRUE(table) << table.error().message;
  const auto row = table->find({"SE-SE3", "average", "lifecycle", "location"});
  ASSERT_TRUE(row);
  EXPECT_EQ(row->number("gco2e_per_kwh"), 25);
  EXPECT_EQ(row->year(), 2025);
  EXPECT_EQ(row->text("name"), "South Central Sweden");
  EXPECT_EQ(row->text("source_id"), "Electricity Maps, 2025 (ODbL)");
  EXPECT_EQ(table->find({"SE-SE3", "average", "direct", "location"})->number("gco2e_per_kwh"), 15);
}

TEST(Import, JsonOfZonesNeedsItsYear) {
  constexpr std::string_view kJson =
      R"({"FR":{"carbonIntensity":{"value":31,"unit":"gCO2eq/kWh"},"renewableEnergy":{"value":27,"unit":"%"}},
          "XX":{"carbonIntensity":{"value":null,"unit":"gCO2eq/kWh"}}})";
  EXPECT_THAT(failure(kJson), HasSubstr("doesn't say its year"));
  const auto imported = import_table(kJson, "f", request(2025));
  ASSERT_TRUE(imported) << imported.error().message;
  EXPECT_EQ(imported->rows, 1U);
  EXPECT_THAT(imported->csv, HasSubstr("FR,average,lifecycle,location,FR,2025,31,consumption,"));
}

TEST(Import, OurOwnTablesAreRecognisedByTheirHeading) {
  constexpr std::string_view kPrices =
      "country_iso3,region,name,usd_per_kwh,year,sector,source_id\nDEU,,Germany,0.2,2024,industrial,mine\n";
  const auto imported = import_table(kPrices, "f", request());
  ASSERT_TRUE(imported) << imported.error().message;
  EXPECT_EQ(imported->id, TableId::electricity_price);
  EXPECT_EQ(imported->csv, kPrices);
}

TEST(Import, SaysWhatIsWrongAndWhere) {
  EXPECT_EQ(failure(""), "f:1: the file is empty");
  EXPECT_THAT(failure("a,b\n1,2\n"), HasSubstr("none of the tables"));
  EXPECT_THAT(failure("{"), HasSubstr("neither JSON nor CSV"));
  EXPECT_THAT(failure("[1]"), HasSubstr("no object of zones"));
  EXPECT_THAT(failure(R"({"FR":{}})", request(2025)), HasSubstr("'FR' has no carbonIntensity"));
  EXPECT_THAT(failure(R"({"FR":{"carbonIntensity":{"value":3,"unit":"lb/MWh"}}})", request(2025)),
              HasSubstr("'lb/MWh'"));
  EXPECT_THAT(failure(R"({"FR":{"carbonIntensity":{"value":-3,"unit":"gCO2eq/kWh"}}})", request(2025)),
              HasSubstr("between"));
  EXPECT_THAT(failure(R"({"FR":{"carbonIntensity":{"value":"3","unit":"gCO2eq/kWh"}}})", request(2025)),
              HasSubstr("no number"));
  EXPECT_THAT(failure("{}", request(2025)), HasSubstr("no zone"));
  std::string text(kHourly);
  EXPECT_THAT(failure(text + "2025-01-01 02:00:00,Sweden,S,SE-SE3,x,30,99\n"), HasSubstr("f:4: "));
  EXPECT_THAT(failure(text + "2024-01-01 02:00:00,Sweden,S,SE-SE3,1,30,99\n"),
              HasSubstr("of 2024 here and of 2025 before"));
  EXPECT_THAT(failure(text + "2025-01-01 02:00:00,Sweden\n"), HasSubstr("f:4: 2 fields"));
  ImportRequest unknown = request();
  unknown.table = "grid_contry";
  const auto refused = import_table(text, "f", unknown);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().hint, "did you mean 'grid_country'?");
}

TEST(Import, ALifeCycleOfNothingIsRefusedWhereItStands) {
  EXPECT_EQ(failure(std::string(kHourly) + "2025-01-01 02:00:00,Sweden,S,SE-SE3,0,0,99\n"),
            "f:4: Carbon intensity gCO\u2082eq/kWh (Life cycle) is '0', which can't be");
  EXPECT_EQ(failure(R"({"FR":{"carbonIntensity":{"value":0,"unit":"gCO2eq/kWh"}}})", request(2025)),
            "f: the life cycle of zone 'FR' is 0 gCO2e/kWh, which can't be");
  // What burns nothing emits nothing there and then.
  EXPECT_EQ(failure(std::string(kHourly) + "2025-01-01 02:00:00,Sweden,S,SE-SE3,0,11,99\n"), "");
}

TEST(Import, RecordsAreReadBack) {
  const std::vector<ImportRecord> records = {
      {"grid_zone", "ODbL, 1.0", "Electricity \"Maps\"", "2026-01-01T00:00:00Z", "ab"}};
  const auto read = parse_import_records(format_import_records(records), "imports.csv");
  ASSERT_TRUE(read);
  ASSERT_EQ(read->size(), 1U);
  EXPECT_EQ(read->front().licence, "ODbL, 1.0");
  EXPECT_EQ(read->front().source, "Electricity \"Maps\"");
}

}  // namespace
}  // namespace joulery::footprint
