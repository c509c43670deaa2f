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

}  // namespace
}  // namespace joulery
