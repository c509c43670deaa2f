#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "evaluate/outputs.hpp"
#include "evaluate/scorer_fixture.hpp"
#include "stats/distributions.hpp"

namespace joulery::evaluate {
namespace {

using data::DataType;
using data::Label;
using data::Shape;
using data::Tensor;
using testing::HasSubstr;

/// Answers that are right where `right` says so; labels alternate between two classes.
Scored answered(const std::vector<bool>& right, const std::vector<std::string>& groups = {},
                const TaskOptions& options = {}) {
  std::vector<double> values;
  std::vector<Label> labels;
  for (std::size_t i = 0; i < right.size(); ++i) {
    const bool one = i % 2 == 1;
    values.push_back(one == right[i] ? 0.2 : 0.8);
    values.push_back(one == right[i] ? 0.8 : 0.2);
    labels.emplace_back(one ? std::int64_t{1} : std::int64_t{0});
  }
  Scored scored(TaskKind::classify, options, {{.name = "y", .type = DataType::f64, .shape = Shape{-1, 2}}});
  const Tensor tensor = tensor_of({std::ssize(right), 2}, values, DataType::f64);
  scored.add({&tensor}, labels, groups);
  return scored;
}

const Slice* find(const std::vector<Slice>& slices, std::string_view dimension, std::string_view value) {
  const auto found = std::ranges::find_if(
      slices, [&](const Slice& slice) { return slice.dimension == dimension && slice.value == value; });
  return found == slices.end() ? nullptr : &*found;
}

TEST(SlicesTest, GroupsClassesAndColumnsAreSlices) {
  std::vector<bool> right;
  std::vector<std::string> groups;
  std::vector<double> ages;
  for (std::size_t i = 0; i < 200; ++i) {
    right.push_back(i % 2 == 0 || i % 4 == 1);
    groups.emplace_back(i < 120 ? "north" : "south");
    ages.push_back(static_cast<double>(i));
  }
  Scored scored = answered(right, groups);
  scored.scorer().add_column({.name = "age", .values = ages});
  const auto report = scored.report();
  ASSERT_TRUE(report);
  const Slice* zero = find(report->slices, "class", "0");
  ASSERT_NE(zero, nullptr);
  EXPECT_EQ(zero->samples, 100U);
  EXPECT_EQ(zero->metric.value, 1);
  EXPECT_EQ(find(report->slices, "class", "1")->metric.value, 0.5);
  EXPECT_EQ(find(report->slices, "group", "north")->samples, 120U);
  EXPECT_FALSE(zero->declared);
  std::uint64_t in_quarters = 0;
  std::size_t quarters = 0;
  for (const Slice& slice : report->slices) {
    if (slice.dimension != "age") continue;
    ++quarters;
    in_quarters += slice.samples;
    EXPECT_NEAR(static_cast<double>(slice.samples), 50, 2);
  }
  EXPECT_EQ(quarters, 4U);
  EXPECT_EQ(in_quarters, 200U);
}

TEST(SlicesTest, SmallOnesArePutTogether) {
  std::vector<bool> right(100, true);
  std::vector<std::string> kinds(100, "large");
  for (std::size_t i = 0; i < 10; ++i) kinds[i] = "small" + std::to_string(i % 5);
  Scored scored = answered(right);
  scored.scorer().add_column({.name = "kind", .values = kinds});
  const auto report = scored.report();
  const Slice* others = find(report->slices, "kind", "(others: 5)");
  ASSERT_NE(others, nullptr);
  EXPECT_EQ(others->samples, 10U);
  EXPECT_EQ(others->merged, 5U);
  EXPECT_EQ(find(report->slices, "kind", "large")->samples, 90U);
}

TEST(SlicesTest, DeclaredOnesHoldTogether) {
  std::vector<bool> right;
  for (std::size_t i = 0; i < 400; ++i) right.push_back(i % 10 != 0);
  std::vector<std::string> places;
  for (std::size_t i = 0; i < 400; ++i) places.push_back("p" + std::to_string(i / 100));
  Scored plain = answered(right);
  plain.scorer().add_column({.name = "place", .values = places});
  Scored declared = answered(right);
  declared.scorer().add_column({.name = "place", .values = places, .declared = true});
  const auto loose = plain.report();
  const auto strict = declared.report();
  const Metric& narrow = find(loose->slices, "place", "p0")->metric;
  const Metric& wide = find(strict->slices, "place", "p0")->metric;
  EXPECT_NEAR(wide.level, 1 - 0.1 / 4, 1e-12);
  EXPECT_LT(wide.low, narrow.low);
  EXPECT_GT(wide.high, narrow.high);
  EXPECT_TRUE(find(strict->slices, "place", "p0")->declared);
  EXPECT_THAT(answered(right, {}, {.declared_slices = {"group"}}).error(), HasSubstr("declared"));
}

TEST(SlicesTest, AColumnOfTheWrongLengthIsAnError) {
  Scored scored = answered(std::vector<bool>(10, true));
  scored.scorer().add_column({.name = "age", .values = std::vector<double>{1, 2}});
  EXPECT_THAT(scored.error(), HasSubstr("2 values for 10 samples"));
}

TEST(SlicesTest, DeclaredIntervalsAllHoldAsOftenAsTheySay) {
  stats::RandomStream random(41);
  constexpr int kSimulations = 300;
  int all_hold = 0;
  std::vector<std::string> places;
  for (std::size_t i = 0; i < 400; ++i) places.push_back("p" + std::to_string(i % 5));
  for (int simulation = 0; simulation < kSimulations; ++simulation) {
    std::vector<bool> right;
    for (std::size_t i = 0; i < 400; ++i) right.push_back(random.unit() < 0.8);
    Scored scored = answered(right, {}, {.resamples = 1});
    scored.scorer().add_column({.name = "place", .values = places, .declared = true});
    const auto report = scored.report();
    bool hold = true;
    for (const Slice& slice : report->slices) {
      if (slice.declared) hold = hold && slice.metric.low <= 0.8 && 0.8 <= slice.metric.high;
    }
    if (hold) ++all_hold;
  }
  EXPECT_GT(all_hold, kSimulations * 0.87);
}

TEST(IntervalsTest, GroupsThatAgreeWidenTheInterval) {
  stats::RandomStream random(43);
  constexpr int kSimulations = 200;
  int exact_holds = 0;
  int clustered_holds = 0;
  for (int simulation = 0; simulation < kSimulations; ++simulation) {
    std::vector<bool> right;
    std::vector<std::string> groups;
    for (int group = 0; group < 40; ++group) {
      // Half of the groups are easy and half are hard: right for 0.7 in the mean.
      const double chance = random.unit() < 0.5 ? 0.95 : 0.45;
      for (int member = 0; member < 10; ++member) {
        right.push_back(random.unit() < chance);
        groups.push_back(std::to_string(group));
      }
    }
    const TaskOptions options{.resamples = 199, .smallest_slice = 1000};
    const auto holds = [](const Metric& metric) { return metric.low <= 0.7 && 0.7 <= metric.high; };
    if (holds(answered(right, {}, options).report()->primary)) ++exact_holds;
    const auto grouped = answered(right, groups, options).report();
    EXPECT_EQ(grouped->groups, 40U);
    EXPECT_EQ(grouped->primary.method, "cluster bootstrap (approximate)");
    if (holds(grouped->primary)) ++clustered_holds;
  }
  EXPECT_GT(clustered_holds, kSimulations * 0.82);
  EXPECT_LT(clustered_holds, kSimulations * 0.97);
  EXPECT_LT(exact_holds, kSimulations * 0.82);
}

TEST(IntervalsTest, FewGroupsAreWarnedOf) {
  std::vector<std::string> groups;
  for (std::size_t i = 0; i < 100; ++i) groups.push_back(std::to_string(i % 4));
  EXPECT_TRUE(mentions(answered(std::vector<bool>(100, true), groups).report()->warnings, "only 4 groups"));
}

TEST(OutputsTest, EveryTypeIsReadAndWritten) {
  for (int type = 1; type < data::kDataTypes; ++type) {
    const auto data_type = static_cast<DataType>(type);
    auto tensor = Tensor::create(data_type, {2, 3});
    const auto rows = Rows::create(tensor->view(), 2, "y");
    ASSERT_TRUE(rows);
    const std::vector<double> values{0, 1, data_type == DataType::boolean ? 1.0 : 100.0};
    rows->write(1, values);
    std::vector<double> read(3);
    rows->read(1, read);
    EXPECT_EQ(read, values) << data::data_type_name(data_type);
    rows->read(0, read);
    EXPECT_EQ(read, std::vector<double>(3, 0.0));
  }
  // Half precision: numpy 2.4.6 float16(1e-7), float16(0.1), float16(65519), float16(-6e-5)
  auto half = Tensor::create(DataType::f16, {1, 5});
  const auto rows = Rows::create(half->view(), 1, "y");
  rows->write(0, std::vector<double>{1e-7, 0.1, 65519, -6e-5, 1e6});
  std::vector<double> read(5);
  rows->read(0, read);
  EXPECT_DOUBLE_EQ(read[0], 1.1920928955078125e-07);
  EXPECT_DOUBLE_EQ(read[1], 0.0999755859375);
  EXPECT_DOUBLE_EQ(read[2], 65504);
  EXPECT_DOUBLE_EQ(read[3], -6.002187728881836e-05);
  EXPECT_TRUE(std::isinf(read[4]));
}

TEST(OutputsTest, BrokenTensorsAreErrors) {
  auto tensor = Tensor::create(DataType::f32, {2, 3});
  data::TensorView view = tensor->view();
  EXPECT_FALSE(Rows::create(view, 3, "y"));
  view.bytes = 20;
  EXPECT_FALSE(Rows::create(view, 2, "y"));
  view.shape = Shape{-1, 3};
  EXPECT_FALSE(Rows::create(view, 1, "y"));
}

}  // namespace
}  // namespace joulery::evaluate
