#include "app/footprint.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/files.hpp"
#include "base/test_folder.hpp"

namespace joulery::app {
namespace {

using testing::HasSubstr;

class FootprintSettings : public testing::Test {
 protected:
  FootprintSettings() {
    config::Environment environment;
    environment.home = home_.path();
    environment.working_directory = home_.path();
    application_ =
        std::move(*Application::create(std::move(environment), meter::InheritedSignals::capture()));
  }

  Result<meter::FootprintOptions> options(const std::string& key = "", const std::string& value = "",
                                          const FootprintFlags& flags = {}) {
    if (!key.empty()) {
      const Status set = application_->config().set_flag(key, value, "--" + key);
      EXPECT_TRUE(set);
    }
    return footprint_options(*application_, std::nullopt, flags);
  }
  std::string failure(const std::string& key, const std::string& value) {
    const auto made = options(key, value);
    return made ? "" : made.error().message;
  }

  TestFolder home_;
  std::unique_ptr<Application> application_;
};

TEST_F(FootprintSettings, WithoutAnyNothingIsAsked) {
  const auto made = options();
  ASSERT_TRUE(made);
  EXPECT_EQ(made->request.zone, "");
  EXPECT_FALSE(made->request.pue);
  EXPECT_FALSE(made->request.price);
  EXPECT_FALSE(made->reserved);
}

TEST_F(FootprintSettings, BecomeWhatTheMeterIsAsked) {
  ASSERT_TRUE(options("zone", "US-CA"));
  ASSERT_TRUE(options("pue", "1.2"));
  ASSERT_TRUE(options("intensity", "direct"));
  const auto made = options("price", "0.3 USD", {.persona = {}, .note = {}, .reserved = true});
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->request.pue, 1.2);
  EXPECT_EQ(made->request.price->currency, "USD");
  EXPECT_EQ(made->request.kind.boundary, footprint::Boundary::direct);
  EXPECT_TRUE(made->reserved);
}

TEST_F(FootprintSettings, ErrorsNameTheSettingTheyComeFrom) {
  EXPECT_THAT(failure("zone", "Germny"), HasSubstr("--zone: no zone 'Germny'"));
  ASSERT_TRUE(options("zone", "DE"));
  EXPECT_THAT(failure("price", "cheap"), HasSubstr("--price: the price 'cheap'"));
}

TEST_F(FootprintSettings, AFolderWithoutTablesIsToldBeforeTheCommandRuns) {
  EXPECT_THAT(failure("data", "/proc/self/fd"), HasSubstr("--data: '/proc/self/fd' holds none"));
}

TEST_F(FootprintSettings, AFolderThatIsNotThereIsTold) {
  EXPECT_THAT(failure("data", "/no/such/folder"), HasSubstr("'/no/such/folder' does not exist"));
}

TEST_F(FootprintSettings, AFileInPlaceOfAFolderIsTold) {
  EXPECT_THAT(failure("data", "/proc/self/stat"), HasSubstr("'/proc/self/stat' is no folder"));
}

TEST_F(FootprintSettings, ANoteWithoutAScoreIsAMistake) {
  EXPECT_FALSE(options("", "", {.persona = {}, .note = "x", .reserved = false}));
  EXPECT_FALSE(options("", "", {.persona = "both", .note = {}, .reserved = false}));
}

TEST_F(FootprintSettings, AnImportIsListedAndReplacesTheOneBefore) {
  const std::string file = home_.path("prices.csv");
  const auto import = [&](const char* price, const char* source) {
    std::ofstream(file) << "country_iso3,region,name,usd_per_kwh,year,sector,source_id\nDEU,,Germany,"
                        << price << ",2024,industrial,mine\n";
    return import_data(*application_, file, {.table = "", .licence = "CC0", .source = source, .year = {}});
  };
  ASSERT_TRUE(import("0.2", "first"));
  ASSERT_TRUE(import("0.3", "second"));
  EXPECT_FALSE(import("-1", "third"));
  int imported = 0;
  for (const TableInUse& table : tables_in_use(*application_)) {
    if (table.origin != "imported") continue;
    ++imported;
    EXPECT_EQ(table.name, "electricity_price");
    EXPECT_EQ(table.sources, std::vector<std::string>{"second, CC0"});
    EXPECT_EQ(table.rows, 1U);
  }
  EXPECT_EQ(imported, 1);
}

TEST_F(FootprintSettings, ARefusedImportLeavesTheTableInUseAsItIs) {
  const std::string good(footprint::embedded_table(footprint::TableId::grid_country));
  const std::string file = home_.path("countries.csv");
  const auto import = [&](const std::string& text, const char* source) {
    std::ofstream(file) << text;
    return import_data(*application_, file, {.table = "", .licence = "CC0", .source = source, .year = {}});
  };
  const auto imported = import(good, "first");
  ASSERT_TRUE(imported) << imported.error().message;
  const auto records = [&] {
    return *read_file(application_->folders().data + "/data/imports.csv", 1 << 20);
  };
  const std::string before = records();

  std::size_t third_line = 0;
  for (int line = 0; line < 3; ++line) third_line = good.find('\n', third_line) + 1;
  const auto refused = import(good.substr(0, third_line), "second");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, testing::AllOf(HasSubstr(file), HasSubstr("no row 'WORLD'")));
  EXPECT_THAT(refused.error().hint,
              testing::AllOf(HasSubstr("add that row"), HasSubstr("nothing was changed"),
                             testing::Not(HasSubstr("delete"))));
  EXPECT_TRUE(*read_file(*imported, 1 << 20) == good);
  EXPECT_EQ(records(), before);
  EXPECT_TRUE(options("zone", "FR"));
}

TEST_F(FootprintSettings, AnImportThatDoesNotFitAnotherTableNamesTheFileGiven) {
  const std::string file = home_.path("table.csv");
  const auto import = [&](const std::string& text) {
    std::ofstream(file) << text;
    return import_data(*application_, file, {.table = "", .licence = "CC0", .source = "x", .year = {}});
  };
  const std::string head = "country_iso3,region,name,usd_per_kwh,year,sector,source_id\n";
  ASSERT_TRUE(import(head + "DEU,,Germany,0.2,2024,industrial,mine\n"));
  // Germany goes from the countries, but the prices that were imported before name it.
  const auto countries = import(
      "iso3,iso2,name,year,gco2e_per_kwh,method,basis,source_id\n"
      "WORLD,,World,2024,480,lifecycle,production,x\nUSA,US,United States,2024,380,lifecycle,production,x\n");
  ASSERT_FALSE(countries);
  EXPECT_THAT(countries.error().message, HasSubstr(file));
  EXPECT_THAT(countries.error().hint, HasSubstr("nothing was changed"));
  const auto prices = import(head + "ZZZ,,Nowhere,0.2,2024,industrial,mine\n");
  ASSERT_FALSE(prices);
  EXPECT_THAT(prices.error().message, HasSubstr(file + ":2: country_iso3 'ZZZ' is not in"));
  EXPECT_TRUE(application_->data().check());
}

}  // namespace
}  // namespace joulery::app
