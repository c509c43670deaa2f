#include "app/footprint.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace joulery::app {
namespace {

using testing::HasSubstr;

class FootprintSettings : public testing::Test {
 protected:
  FootprintSettings() {
    std::filesystem::create_directories(home_);
    config::Environment environment;
    environment.home = home_;
    environment.working_directory = home_;
    application_ =
        std::move(*Application::create(std::move(environment), meter::InheritedSignals::capture()));
  }
  ~FootprintSettings() override { std::filesystem::remove_all(home_); }

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

  std::string home_ =
      (std::filesystem::temp_directory_path() / ("app_footprint." + std::to_string(::getpid()))).string();
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
  const std::string file = home_ + "/prices.csv";
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

}  // namespace
}  // namespace joulery::app
