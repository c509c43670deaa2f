#include "footprint/tables.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/test_folder.hpp"
#include "base/text.hpp"

namespace joulery::footprint {
namespace {

using testing::HasSubstr;

std::string failure(TableId id, std::string_view text) {
  const auto table = Table::parse(id, text, "t.csv");
  return table ? "" : table.error().message;
}

TEST(Tables, WhatWeShipIsValidAndHoldsTogether) {
  const DataSet data;
  const Status checked = data.check();
  EXPECT_TRUE(checked) << checked.error().message;
}

TEST(Tables, EveryRowOfWhatWeShipNamesSourcesThatWeDescribe) {
  const DataSet data;
  const Table* sources = *data.table(TableId::sources);
  for (const TableDefinition& definition : table_definitions()) {
    const Table* table = *data.table(definition.id);
    if (table == nullptr || definition.id == TableId::sources) continue;
    for (const Table::Row& row : table->rows()) {
      for (const std::string_view id : split(row.text("source_id"), ';'))
        EXPECT_TRUE(sources->find({std::string(id)})) << table->name() << ":" << row.line() << " " << id;
    }
  }
}

TEST(Tables, AreSortedByKeyAndCountWhatSourcesSay) {
  const DataSet data;
  for (const auto& [id, rows] : {std::pair{TableId::grid_country, 210},
                                 {TableId::grid_us_egrid, 28},
                                 {TableId::grid_us_state, 51},
                                 {TableId::grid_canada, 13},
                                 {TableId::cloud_regions, 141},
                                 {TableId::grid_mix, 209},
                                 {TableId::gpu_specs, 95}}) {
    EXPECT_EQ((*data.table(id))->size(), static_cast<std::size_t>(rows)) << definition_of(id).name;
  }
  EXPECT_EQ(*data.table(TableId::grid_zone), nullptr);
}

TEST(Tables, ABadRowIsNamedByItsLine) {
  const std::string head = "iso3,iso2,name,year,gco2e_per_kwh,method,basis,source_id\n";
  const std::string good = "FRA,FR,France,2024,44.18,lifecycle,production,x\n";
  const auto country = [&](const std::string& rows) { return failure(TableId::grid_country, head + rows); };
  EXPECT_EQ(country(good), "");
  EXPECT_EQ(country(good + "DEU,DE,Germany,2024,many,lifecycle,production,x\n"),
            "t.csv:3: gco2e_per_kwh is 'many', not a number");
  EXPECT_EQ(country("DEU,DE,Germany,2024,-1,lifecycle,production,x\n"),
            "t.csv:2: gco2e_per_kwh is -1, but it must be between 1 and 2000");
  EXPECT_EQ(country("DEU,DE,Germany,2024,1e9,lifecycle,production,x\n"),
            "t.csv:2: gco2e_per_kwh is 1e9, but it must be between 1 and 2000");
  EXPECT_EQ(country("DEU,DE,Germany,2024,0,lifecycle,production,x\n"),
            "t.csv:2: gco2e_per_kwh is 0, but it must be between 1 and 2000");
  // Direct emissions may well be nothing.
  EXPECT_EQ(
      failure(TableId::grid_us_state,
              "state,name,year,gco2e_per_kwh,method,basis,source_id\nVT,V,2023,0,direct,production,x\n"),
      "");
  const auto zone = [](const std::string& boundary, const std::string& grams) {
    return failure(TableId::grid_zone,
                   "zone,signal,boundary,accounting,name,year,gco2e_per_kwh,basis,source_id\nFR,average," +
                       boundary + ",location,France,2024," + grams + ",consumption,x\n");
  };
  EXPECT_EQ(zone("direct", "0"), "");
  EXPECT_EQ(zone("lifecycle", "1"), "");
  EXPECT_EQ(zone("lifecycle", "0"),
            "t.csv:2: gco2e_per_kwh is 0, but that of a life cycle must be between 1 and 2000");
  EXPECT_EQ(country("DEU,DE,Germany,2024,,lifecycle,production,x\n"), "t.csv:2: gco2e_per_kwh is empty");
  EXPECT_EQ(country("DEU,DE,Germany,2024,nan,lifecycle,production,x\n"),
            "t.csv:2: gco2e_per_kwh is 'nan', not a number");
  EXPECT_EQ(country("DEU,DE,Germany,2024,1,marginal,production,x\n"),
            "t.csv:2: method is 'marginal'; it is one of: lifecycle");
  EXPECT_EQ(country(good + good), "t.csv:3: 'FRA' is already in line 2");
  EXPECT_EQ(country("FRA,FR\n"), "t.csv:2: 2 fields where the heading has 8");
  EXPECT_EQ(country(""), "t.csv:1: there are no rows");
  EXPECT_EQ(failure(TableId::grid_country, "iso3,name\nFRA,France\n"), "t.csv:1: there is no column 'year'");
  EXPECT_EQ(
      Table::parse(TableId::provider_pue, "pue\n1\n", "t.csv").error().hint,
      "a table 'provider_pue' has the columns provider, pue, wue_l_per_kwh, year, source_id; needed are "
      "provider, pue, source_id");
  EXPECT_EQ(failure(TableId::provider_pue, "provider,pue,source_id,pju\naws,1.1,x,1\n"),
            "t.csv:1: a table 'provider_pue' has no column 'pju'");
  EXPECT_EQ(failure(TableId::provider_pue, "provider,pue,source_id\naws,0.9,x\n"),
            "t.csv:2: pue is 0.9, but it must be between 1 and 3");
}

TEST(Tables, AnOverrideStandsBeforeAnImportBeforeTheBuiltIn) {
  const TestFolder first;
  const std::string user = first.path("user");
  first.write("provider_pue.csv", "provider,pue,source_id\ndefault,1.7,mine\n");
  first.write("user/provider_pue.csv", "provider,pue,source_id\ndefault,1.8,theirs\n");
  first.write("user/equivalences.csv", "name,unit,gco2e_per_unit,source_id\ncar_eu_km,km,100,theirs\n");
  const DataSet data({.override_folder = first.path(), .user_folder = user});
  EXPECT_EQ((*data.table(TableId::provider_pue))->find({"default"})->number("pue"), 1.7);
  EXPECT_EQ((*data.table(TableId::equivalences))->find({"car_eu_km"})->number("gco2e_per_unit"), 100);
  EXPECT_EQ(data.file_of(TableId::grid_country), "");
  EXPECT_EQ((*data.table(TableId::grid_country))->size(), 210U);
  EXPECT_TRUE(data.check());
}

TEST(Tables, WhatOneTableSaysOfAnotherIsChecked) {
  const TestFolder folder;
  folder.write("cloud_regions.csv",
               "provider,region,location,country_iso3,us_subregion,latitude,longitude,source_id\n"
               "aws,moon-1,Moon,MOO,,0,0,x\n");
  const Status checked = DataSet({.override_folder = folder.path(), .user_folder = ""}).check();
  ASSERT_FALSE(checked);
  EXPECT_THAT(checked.error().message, HasSubstr("cloud_regions.csv:2: country_iso3 'MOO' is not in"));
}

TEST(Tables, LifecyclesAreAboveNothing) {
  const DataSet data;
  const Table* countries = *data.table(TableId::grid_country);
  for (const Table::Row& row : countries->rows())
    EXPECT_GT(*row.number("gco2e_per_kwh"), 10) << row.text("name");
  // All of it is hydro, of which the IPCC's median is 24.
  EXPECT_EQ(countries->find({"CAF"})->number("gco2e_per_kwh"), 24);
}

TEST(Tables, AnErrorInAFileSaysHowToGoOnWithoutIt) {
  const TestFolder folder;
  const std::string user = folder.path("user");
  folder.write("user/grid_zone.csv", "zone,signal\n");
  const DataSet imported({.override_folder = "", .user_folder = user});
  const auto zones = imported.table(TableId::grid_zone);
  ASSERT_FALSE(zones);
  EXPECT_THAT(zones.error().hint,
              testing::AllOf(HasSubstr("`joulery data import` it again, or delete " + user),
                             HasSubstr("has the columns")));
  const std::string head = "iso3,iso2,name,year,gco2e_per_kwh,method,basis,source_id\n";
  for (const char* value : {"-44", "1e9", "44"}) {
    folder.write("grid_country.csv", head + "FRA,FR,France,2024," + value + ",lifecycle,production,x\n");
    const Status checked = DataSet({.override_folder = folder.path(), .user_folder = ""}).check();
    ASSERT_FALSE(checked);
    EXPECT_THAT(checked.error().hint, HasSubstr("the built-in table counts then")) << value;
  }
  EXPECT_TRUE(DataSet().check());
}

TEST(Tables, AFolderWithoutAnyTableIsAnError) {
  const TestFolder folder;
  folder.write("notes.txt", "x");
  EXPECT_FALSE(DataSet({.override_folder = folder.path(), .user_folder = ""}).check());
  EXPECT_FALSE(DataSet({.override_folder = "/no/such/folder", .user_folder = ""}).check());
}

TEST(Tables, SourcesAreToldByTitleAndLicence) {
  const DataSet data;
  EXPECT_EQ(data.describe_sources("ember-yearly-2026-06"), "Ember yearly electricity data, CC BY 4.0");
  EXPECT_EQ(data.describe_sources("someone"), "someone");
}

}  // namespace
}  // namespace joulery::footprint
