#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/dataset_fixture.hpp"

namespace joulery::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const InputSpec kThree{.name = "features", .type = DataType::f32, .shape = Shape{-1, 3}};

std::string outcome(Format format, const std::string& text, const DatasetRequest& request) {
  const auto dataset = open_bytes(format, text, request);
  if (!dataset) return dataset.error().message + " hint: " + dataset.error().hint;
  const auto all = read_all<float>(**dataset, 10);
  return all.error.empty() ? "read" : all.error;
}

TEST(Csv, NumericColumnsInTheirOrderMakeAVector) {
  auto request = request_for("t.csv", {kThree});
  request.group = "who";
  const auto dataset = open_bytes(
      Format::csv, "a,who,b,comment,y,c\n1,ann,2,fine,cat,3\n\n4,bob,5.5,\"so, so\",dog,-6e1\n", request);
  ASSERT_TRUE(dataset) << dataset.error().message;
  EXPECT_THAT((*dataset)->info().note, HasSubstr("3 numeric columns in their order: 'a', 'b', 'c'"));
  EXPECT_THAT((*dataset)->info().note, HasSubstr("left out, for they are not numbers: 'comment'"));
  const auto all = read_all<float>(**dataset, 10);
  EXPECT_THAT(all.values, ElementsAre(1, 2, 3, 4, 5.5, -60));
  EXPECT_THAT(all.labels, ElementsAre(Label("cat"), Label("dog")));
  EXPECT_THAT(all.groups, ElementsAre("ann", "bob"));
}

TEST(Csv, AWrongNumberOfColumnsNamesThem) {
  EXPECT_THAT(outcome(Format::csv, "a,b,target\n1,2,3\n", request_for("t.csv", {kThree})), HasSubstr("read"));
  EXPECT_THAT(outcome(Format::csv, "a,b,c,target\n1,2,3,4\n", request_for("t.csv", {kThree})),
              HasSubstr("has 4 numeric columns beside labels and groups: 'a', 'b', 'c', 'target'"));
}

TEST(Csv, ColumnsNamedLikeTheInputsAreThose) {
  auto request = request_for("t.csv", {{.name = "b", .type = DataType::i64, .shape = Shape{-1, 1}},
                                       {.name = "a", .type = DataType::f32, .shape = Shape{-1}}});
  const auto dataset = open_bytes(Format::csv, "a,b,y\n0.5,9007199254740993,1.5\n", request);
  ASSERT_TRUE(dataset) << dataset.error().message;
  const auto batch = (*dataset)->read(5);
  ASSERT_TRUE(batch) << batch.error().message;
  EXPECT_EQ((*batch)->inputs[0].elements<std::int64_t>()[0], 9007199254740993);
  EXPECT_EQ((*batch)->inputs[0].shape, (Shape{1, 1}));
  EXPECT_EQ((*batch)->inputs[1].elements<float>()[0], 0.5F);
  EXPECT_EQ((*batch)->labels[0], Label(std::vector<double>{1.5}));
}

TEST(Csv, WhatIsWrongIsNamedByLineAndColumn) {
  const auto request = request_for("t.csv", {kThree});
  EXPECT_THAT(outcome(Format::csv, "a,b,c\n1,2,3\n1,,3\n", request),
              HasSubstr("'t.csv', line 3: 'b' has nothing where a number belongs"));
  EXPECT_THAT(outcome(Format::csv, "a,b,c\n1,2,3\n1,two,3\n", request), HasSubstr("'b' has 'two' where"));
  EXPECT_THAT(outcome(Format::csv, "a,b,c\n1,2,3\n1,2\n", request),
              HasSubstr("line 3: 2 fields where the heading has 3"));
  EXPECT_THAT(outcome(Format::csv, "1,2,3\n4,5,6\n", request),
              HasSubstr("where the names of the columns belong"));
  EXPECT_THAT(outcome(Format::csv, "a,b,a\n4,5,6\n", request), HasSubstr("two columns called 'a'"));
  EXPECT_THAT(outcome(Format::csv, "", request), HasSubstr("is empty"));
  EXPECT_THAT(outcome(Format::csv, "a,b,c\n1,2,\"3\n", request),
              HasSubstr("line 2: a quote that is never closed"));
  const auto whole = request_for("t.csv", {{.name = "n", .type = DataType::i32, .shape = Shape{-1, 3}}});
  EXPECT_THAT(outcome(Format::csv, "a,b,c\n1,2,3\n1,2.5,3\n", whole),
              HasSubstr("'b': 2.5 is no whole number"));
}

TEST(Csv, SeparatorsLineEndsQuotesAndMarksOfSpreadsheetsAreRead) {
  const auto values = [](const std::string& text) {
    const auto dataset = open_bytes(Format::csv, text, request_for("t.csv", {kThree}));
    return dataset ? read_all<float>(**dataset, 10).values : std::vector<float>();
  };
  EXPECT_THAT(values("\xef\xbb\xbf"
                     "a;b;c\r\n1;2;3\r\n"),
              ElementsAre(1, 2, 3));
  EXPECT_THAT(values("a\tb\tc\n1\t2\t3"), ElementsAre(1, 2, 3));
  EXPECT_THAT(values("\"a\nx\",b,c\n\"1\",2,3\n"), ElementsAre(1, 2, 3));
}

TEST(Csv, ALineWithoutAnEndIsRefused) {
  auto request = request_for("t.csv", {kThree});
  request.limits.row_bytes = 100'000;
  EXPECT_THAT(outcome(Format::csv, std::string(1'000'000, 'x'), request), HasSubstr("a line of more than"));
  std::string quoted = "a,b,c\n\"";
  for (int i = 0; i < 100'000; ++i) quoted += "1,2\n";
  EXPECT_THAT(outcome(Format::csv, quoted, request), HasSubstr("a quote that is never closed"));
}

TEST(Jsonl, NestedArraysAreTensors) {
  const auto request =
      request_for("t.jsonl", {{.name = "in", .type = DataType::f32, .shape = Shape{-1, 2, -1}}});
  const auto dataset = open_bytes(Format::jsonl,
                                  "{\"in\": [[1,2],[3,4.5]], \"y\": 3, \"meta\": {\"in\": [1]}}\n\n"
                                  "{\"y\": \"cat\", \"in\": [[5,6],[7,8]]}\n"
                                  "{\"y\": [1, 2.5], \"in\": [[9],[10]]}\n"
                                  "{\"y\": null, \"in\": [[true],[false]]}",
                                  request);
  ASSERT_TRUE(dataset) << dataset.error().message;
  const auto all = read_all<float>(**dataset, 10);
  EXPECT_EQ(all.error, "");
  EXPECT_THAT(all.values, ElementsAre(1, 2, 3, 4.5, 5, 6, 7, 8, 9, 10, 1, 0));
  EXPECT_THAT(all.shapes, ElementsAre("[2, 2, 2]", "[2, 2, 1]"));
  EXPECT_THAT(all.labels,
              ElementsAre(Label(std::int64_t{3}), Label("cat"), Label(std::vector<double>{1, 2.5}), Label()));
}

TEST(Jsonl, SingleNumbersMakeAVector) {
  const auto dataset =
      open_bytes(Format::jsonl, "{\"a\":1,\"b\":2,\"y\":0,\"c\":3}\n", request_for("t.jsonl", {kThree}));
  ASSERT_TRUE(dataset) << dataset.error().message;
  EXPECT_THAT(read_all<float>(**dataset, 10).values, ElementsAre(1, 2, 3));
}

TEST(Jsonl, WhatIsWrongIsNamedByLine) {
  const auto request = request_for("t.jsonl", {{.name = "x", .type = DataType::i32, .shape = Shape{-1, -1}}});
  const std::string good = "{\"x\":[1,2]}\n";
  EXPECT_THAT(outcome(Format::jsonl, good + "{\"x\":[1,2}\n", request), HasSubstr("line 2: no JSON at byte"));
  EXPECT_THAT(outcome(Format::jsonl, good + "{\"x\":[1,2.5]}\n", request),
              HasSubstr("line 2: 'x': 2.5 is no whole"));
  EXPECT_THAT(outcome(Format::jsonl, good + "{\"z\":[1,2]}\n", request),
              HasSubstr("line 2: there is no 'x'"));
  EXPECT_THAT(outcome(Format::jsonl, good + "{\"x\":\"one\"}\n", request),
              HasSubstr("line 2: 'x' is a text where"));
  EXPECT_THAT(outcome(Format::jsonl, good + "{\"x\":null}\n", request),
              HasSubstr("'x' is null where numbers"));
  EXPECT_THAT(outcome(Format::jsonl, good + "{\"x\":[[1],[2,3]]}\n", request),
              HasSubstr("of unequal lengths"));
  EXPECT_THAT(outcome(Format::jsonl, good + "{\"x\":[1,[2]]}\n", request), HasSubstr("of unequal lengths"));
  EXPECT_THAT(outcome(Format::jsonl, good + "{\"x\":[1],\"x\":[2]}\n", request),
              HasSubstr("'x' is there twice"));
  EXPECT_THAT(outcome(Format::jsonl, good + "[1,2]\n", request), HasSubstr("where an object belongs"));
  EXPECT_THAT(outcome(Format::jsonl, good + "{\"x\":[1e400]}\n", request), HasSubstr("line 2"));
  EXPECT_THAT(outcome(Format::jsonl, good + "{\"x\":" + std::string(100'000, '[') + "\n", request),
              HasSubstr("nested deeper than"));
  EXPECT_THAT(outcome(Format::jsonl, good + "{\"x\":[]}\n{\"x\":[3]}", request), HasSubstr("read"));
}

}  // namespace
}  // namespace joulery::data
