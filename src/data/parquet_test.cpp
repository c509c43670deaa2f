#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/dataset_fixture.hpp"

namespace joulery::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Parquet, WithoutThePluginTheHintHelps) {
  auto request =
      request_for(fixture("rows.parquet"), {{.name = "x", .type = DataType::f32, .shape = Shape{-1, 3}}});
  request.plugin_directory = "/nowhere";
  const auto dataset = open_dataset(request);
  ASSERT_FALSE(dataset);
  EXPECT_EQ(dataset.error().kind, Error::Kind::environment);
  EXPECT_THAT(dataset.error().hint, HasSubstr("convert the file to npz, CSV or JSONL"));
}

#ifdef JOULERY_HAS_ARROW

TEST(Parquet, RowsComeInTheirOrderOverRowGroups) {
  auto request =
      request_for(fixture("rows.parquet"), {{.name = "input", .type = DataType::f32, .shape = Shape{-1, 3}}});
  request.needs_labels = true;
  request.group = "who";
  for (const std::size_t most : {64U, 5000U}) {
    const auto dataset = open_dataset(request);
    ASSERT_TRUE(dataset) << dataset.error().message;
    EXPECT_EQ((*dataset)->info().count, 3000u);
    const auto all = read_all<float>(**dataset, most);
    EXPECT_EQ(all.error, "");
    ASSERT_EQ(all.values.size(), 9000u);
    for (std::size_t i = 0; i < 3000; ++i) {
      ASSERT_EQ(all.values[3 * i], static_cast<float>(i));
      ASSERT_EQ(all.values[3 * i + 1], static_cast<float>(i) + 0.5F);
      ASSERT_EQ(all.labels[i], Label(i % 2 == 1 ? "cat" : "dog"));
      ASSERT_EQ(all.groups[i], "p" + std::to_string(i % 7));
    }
    ASSERT_TRUE((*dataset)->rewind());
    EXPECT_EQ(read_all<float>(**dataset, 100).ids, all.ids);
  }
}

TEST(Parquet, SingleNumbersMakeAVector) {
  auto request = request_for(fixture("rows.parquet"),
                             {{.name = "features", .type = DataType::f64, .shape = Shape{-1, 2}}});
  const auto wrong = open_dataset(request);
  ASSERT_FALSE(wrong);
  // There is a column "x", which a model with one input takes.
  EXPECT_THAT(wrong.error().message, HasSubstr("column 'x'"));
  request.inputs = {{.name = "a", .type = DataType::f32, .shape = Shape{-1, 1}},
                    {.name = "flag", .type = DataType::f32, .shape = Shape{-1, 1}}};
  const auto dataset = open_dataset(request);
  ASSERT_TRUE(dataset) << dataset.error().message;
  EXPECT_THAT((*dataset)->info().note, HasSubstr("'a': i64 read as f32; 'flag': bool read as f32"));
  const auto batch = (*dataset)->read(10);
  ASSERT_TRUE(batch) << batch.error().message;
  EXPECT_EQ((*batch)->inputs[0].elements<float>()[9], 9.0F);
  EXPECT_EQ((*batch)->inputs[1].elements<float>()[9], 1.0F);
  EXPECT_EQ((*batch)->inputs[1].elements<float>()[8], 0.0F);
}

template <class Element>
Everything<Element> column(const std::string& name, DataType type, const Shape& shape) {
  const auto dataset =
      open_dataset(request_for(fixture("shapes.parquet"), {{.name = name, .type = type, .shape = shape}}));
  if (dataset) return read_all<Element>(**dataset, 10);
  Everything<Element> nothing;
  nothing.error = dataset.error().message;
  return nothing;
}

TEST(Parquet, ListsAreTensors) {
  const auto nested = column<std::int16_t>("m", DataType::i16, Shape{-1, -1, -1});
  EXPECT_THAT(nested.values, ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)) << nested.error;
  EXPECT_THAT(column<float>("f", DataType::f32, Shape{-1, 2}).values, ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(column<float>("h", DataType::f32, Shape{-1}).values, ElementsAre(1.5F, -2, 0.25F));
}

TEST(Parquet, WhatCannotBeReadIsExplained) {
  EXPECT_THAT(column<float>("gap", DataType::f32, Shape{-1}).error, HasSubstr("'gap': a value is missing"));
  EXPECT_THAT(column<float>("when", DataType::f32, Shape{-1}).error,
              HasSubstr("is of type timestamp[ms], which can't be read"));
}

TEST(Parquet, DamageIsAnError) {
  const auto bytes = read_file(fixture("rows.parquet"), 1U << 20U);
  ASSERT_TRUE(bytes);
  const TestFolder folder;
  for (std::size_t size = 4; size < bytes->size(); size += 1999) {
    const auto dataset =
        open_dataset(request_for(folder.write("cut.parquet", bytes->substr(0, size)),
                                 {{.name = "x", .type = DataType::f32, .shape = Shape{-1, 3}}}));
    ASSERT_FALSE(dataset) << size;
    EXPECT_EQ(dataset.error().kind, Error::Kind::user);
  }
}

#endif

}  // namespace
}  // namespace joulery::data
