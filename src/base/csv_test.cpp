#include "base/csv.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace joulery {
namespace {

using testing::ElementsAre;
using Rows = std::vector<std::vector<std::string>>;

Rows read_all(std::string_view text) {
  CsvReader reader(text);
  Rows rows;
  std::vector<std::string> row;
  while (reader.next(row)) rows.push_back(row);
  return rows;
}

TEST(Csv, ReadsQuotedFieldsWithSeparatorsQuotesAndLineBreaks) {
  EXPECT_THAT(read_all("a,\"b,\"\"c\"\"\nd\",e\r\n1,2,3\n"),
              ElementsAre(ElementsAre("a", "b,\"c\"\nd", "e"), ElementsAre("1", "2", "3")));
}
TEST(Csv, KeepsEmptyFieldsAndSkipsBlankLines) {
  EXPECT_THAT(read_all("a,,\n\n\r\n,b,"), ElementsAre(ElementsAre("a", "", ""), ElementsAre("", "b", "")));
}
TEST(Csv, AnUnclosedQuoteEndsWithTheText) {
  EXPECT_THAT(read_all("a,\"b\nc"), ElementsAre(ElementsAre("a", "b\nc")));
}
TEST(Csv, NothingHasNoRows) {
  EXPECT_TRUE(read_all("").empty());
  EXPECT_TRUE(read_all("\n\n").empty());
}

std::string failure(std::string_view text) {
  const auto table = parse_csv_table(text, "t.csv");
  return table ? "" : table.error().message;
}

TEST(CsvTable, RowsKeepTheirLinesAlsoAfterQuotedLineEnds) {
  const auto table =
      parse_csv_table("\xef\xbb\xbfkey,text\r\na,\"one\ntwo\"\r\nb,\"x \"\"y\"\", z\"\n", "t.csv");
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_EQ(table->columns, (std::vector<std::string>{"key", "text"}));
  ASSERT_EQ(table->rows.size(), 2U);
  EXPECT_EQ(table->rows[0].fields[1], "one\ntwo");
  EXPECT_EQ(table->rows[0].line, 2U);
  EXPECT_EQ(table->rows[1].fields[1], "x \"y\", z");
  EXPECT_EQ(table->rows[1].line, 4U);
  EXPECT_EQ(table->column("text"), 1U);
  EXPECT_EQ(table->column("none"), std::nullopt);
}

TEST(CsvTable, SaysWhichLineIsNotCsv) {
  EXPECT_EQ(failure(""), "t.csv:1: the file is empty");
  EXPECT_EQ(failure("a,a\n"), "t.csv:1: two columns are called 'a'");
  EXPECT_EQ(failure("a,\n"), "t.csv:1: a column without a name");
  EXPECT_EQ(failure("a,b\n1,2\n3\n"), "t.csv:3: 1 fields where the heading has 2");
  EXPECT_EQ(failure("a,b\n1,2\n\n"), "t.csv:3: 1 fields where the heading has 2");
  EXPECT_EQ(failure("a;b\n1,2\n"), "t.csv:2: 2 fields where the heading has 1");
  EXPECT_EQ(failure("a\n\"x\n"), "t.csv:2: a quote that is never closed");
  EXPECT_EQ(failure("a\n\"x\"y\n"), "t.csv:2: text after a closing quote");
  EXPECT_EQ(failure("a\nx\"y\n"), "t.csv:2: a quote inside a field that does not begin with one");
  EXPECT_EQ(failure(std::string_view("a\nx\0y\n", 6)), "t.csv:2: a control character");
  EXPECT_EQ(failure("a\nx\ry\n"), "t.csv:2: a carriage return in the middle of a line");
}

}  // namespace
}  // namespace joulery
