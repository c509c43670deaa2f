#include "app/workload.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace joulery::app {
namespace {

TEST(FunctionalUnit, ReadsACountAndAUnit) {
  const meter::FunctionalUnit images = parse_functional_unit("1000 images").value();
  EXPECT_EQ(images.count, 1000);
  EXPECT_EQ(images.unit, "images");
  EXPECT_EQ(parse_functional_unit("epoch")->count, 1);
  EXPECT_EQ(parse_functional_unit(" 2.5e6  input tokens ")->unit, "input tokens");
  EXPECT_EQ(parse_functional_unit("50")->unit, "unit");
}

TEST(FunctionalUnit, RefusesNothingAndLessThanNothing) {
  for (const char* bad : {"", "   ", "0 images", "-5 images", "1,000 images", "1000images"}) {
    const auto unit = parse_functional_unit(bad);
    ASSERT_FALSE(unit) << bad;
    EXPECT_THAT(unit.error().hint, testing::HasSubstr("--per"));
  }
}

TEST(Tier, NamesOfTheSettingAreKnown) {
  EXPECT_EQ(parse_tier("cgroup"), meter::Tier::cgroup);
  EXPECT_EQ(parse_tier("systemd"), meter::Tier::systemd_scope);
  EXPECT_EQ(parse_tier("perf"), meter::Tier::perf_task_clock);
  EXPECT_EQ(parse_tier("tree"), meter::Tier::process_tree);
  EXPECT_FALSE(parse_tier("auto"));
}

}  // namespace
}  // namespace joulery::app
