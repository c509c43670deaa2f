#include "app/codecarbon_csv.hpp"

#include <gmock/gmock.h>

#include <algorithm>

namespace joulery::app {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const std::vector<std::string>& full_row() {
  static const std::vector<std::string> kRow = {"2026-01-31T12:34:56",
                                                "my project",
                                                "3f1b5b6e-1111-4222-8333-abcdefabcdef",
                                                "5b0fa12a-3dd7-45bb-9766-cc326314d9f1",
                                                "12.5",
                                                "0.001",
                                                "8e-05",
                                                "42.5",
                                                "0.0",
                                                "10.0",
                                                "0.00015",
                                                "0.0",
                                                "3.5e-05",
                                                "0.000185",
                                                "0.0",
                                                "France",
                                                "FRA",
                                                "bretagne",
                                                "aws",
                                                "eu-west-3",
                                                "Linux-6.1",
                                                "3.11.7",
                                                "3.3.0",
                                                "2",
                                                "AMD EPYC",
                                                "1",
                                                "1 x NVIDIA L4",
                                                "-1.6",
                                                "48.1",
                                                "7.7",
                                                "machine",
                                                "50.0",
                                                "0.0",
                                                "31.0",
                                                "2.5",
                                                "N",
                                                "1.0",
                                                "0.0"};
  return kRow;
}

std::vector<std::string> header() {
  std::vector<std::string> names;
  for (const CodeCarbonColumn& column : codecarbon_columns()) names.emplace_back(column.name);
  return names;
}

std::string line(const std::vector<std::string>& fields, char separator = ',') {
  std::string text;
  for (const std::string& field : fields) text += (text.empty() ? "" : std::string(1, separator)) + field;
  return text + "\n";
}

TEST(CodeCarbonCsv, AWholeFile) {
  const auto file = parse_codecarbon_csv("\xef\xbb\xbf" + line(header()) + line(full_row()));
  ASSERT_TRUE(file) << file.error().message;
  ASSERT_EQ(file->rows.size(), 1U);
  EXPECT_FALSE(file->rows[0].realigned);
  EXPECT_EQ(file->rows[0].values.size(), 38U);
  EXPECT_EQ(file->rows[0].values.at("gpu_model"), "1 x NVIDIA L4");
  EXPECT_TRUE(file->problems.empty());
}

/// What a version that dropped empty values wrote: every set of up to five of the columns that can be empty.
TEST(CodeCarbonCsv, ShortRowsAreRealigned) {
  const std::vector<std::string> names = header();
  const std::vector<std::string> may_drop = {"region", "gpu_count", "gpu_model", "longitude", "latitude"};
  int rows = 0;
  for (unsigned set = 1; set < 32; ++set) {
    // A place is known whole or not at all, and a model without a number of GPUs does not exist.
    const auto has = [&](unsigned bit) { return (set >> bit & 1U) != 0; };
    if (has(3) != has(4) || (has(1) && !has(2))) continue;
    std::vector<std::string> fields;
    std::map<std::string, std::string> expected;
    for (std::size_t i = 0; i < names.size(); ++i) {
      const auto place = std::find(may_drop.begin(), may_drop.end(), names[i]);
      if (place != may_drop.end() && has(static_cast<unsigned>(place - may_drop.begin()))) continue;
      fields.push_back(names[i] == "cloud_provider" || names[i] == "cloud_region" ? "" : full_row()[i]);
      if (!fields.back().empty()) expected[names[i]] = fields.back();
    }
    EXPECT_EQ(realign_codecarbon_row(names, fields), expected) << set;
    const auto file = parse_codecarbon_csv(line(names) + line(fields));
    ASSERT_EQ(file->rows.size(), 1U);
    EXPECT_TRUE(file->rows[0].realigned);
    ++rows;
  }
  EXPECT_GT(rows, 10);
}

TEST(CodeCarbonCsv, ForeignSeparatorsAndDecimalCommas) {
  for (const char separator : {';', '\t'}) {
    std::vector<std::string> fields = full_row();
    std::replace(fields[4].begin(), fields[4].end(), '.', ',');
    std::replace(fields[13].begin(), fields[13].end(), '.', ',');
    const auto file = parse_codecarbon_csv(line(header(), separator) + line(fields, separator));
    ASSERT_TRUE(file) << file.error().message;
    ASSERT_EQ(file->rows.size(), 1U);
    EXPECT_EQ(file->rows[0].values.at("duration"), "12.5");
    EXPECT_EQ(file->rows[0].values.at("energy_consumed"), "0.000185");
  }
}

TEST(CodeCarbonCsv, ALastLineThatWasCutOffIsLeftOut) {
  const std::string whole = line(header()) + line(full_row());
  const std::string last = line(full_row());
  for (std::size_t kept = 1; kept + 30 < last.size(); kept += 7) {
    const auto file = parse_codecarbon_csv(whole + last.substr(0, kept));
    ASSERT_TRUE(file);
    EXPECT_EQ(file->rows.size(), 1U) << kept;
    ASSERT_EQ(file->problems.size(), 1U) << kept;
    EXPECT_EQ(file->problems[0].row, 2U);
    EXPECT_THAT(file->problems[0].reason, HasSubstr("cut off"));
  }
}

TEST(CodeCarbonCsv, AQuoteThatIsNeverClosedIsNamed) {
  std::vector<std::string> fields = full_row();
  fields[1] = "\"my project";
  const auto file = parse_codecarbon_csv(line(header()) + line(full_row()) + line(fields) + line(full_row()));
  ASSERT_TRUE(file);
  EXPECT_EQ(file->rows.size(), 1U);
  ASSERT_EQ(file->problems.size(), 1U);
  EXPECT_EQ(file->problems[0].row, 2U);
  EXPECT_THAT(file->problems[0].reason, HasSubstr("a quote is never closed"));
  EXPECT_THAT(parse_codecarbon_csv("\"timestamp,duration\n1,2\n").error().message,
              HasSubstr("a quote in the first line is never closed"));
}

TEST(CodeCarbonCsv, RowsThatTwoStrayQuotesSwallowAreNamed) {
  std::string text = line(header());
  for (int i = 1; i <= 5; ++i) {
    std::vector<std::string> fields = full_row();
    fields[1] = i == 2 ? "\"q2" : i == 4 ? "q4\"" : "plain";
    text += line(fields);
  }
  const auto file = parse_codecarbon_csv(text);
  ASSERT_TRUE(file);
  ASSERT_EQ(file->rows.size(), 2U);
  EXPECT_EQ(file->rows[0].number, 1U);
  EXPECT_EQ(file->rows[1].number, 5U);
  ASSERT_EQ(file->problems.size(), 1U);
  EXPECT_EQ(file->problems[0].row, 2U);
  EXPECT_THAT(file->problems[0].reason,
              AllOf(HasSubstr("project_name has 2 line breaks"), HasSubstr("stray quote")));
}

TEST(CodeCarbonCsv, NoFieldHasALineBreak) {
  for (const std::size_t column : {0, 1, 2, 24, 37}) {
    for (const char* breaks : {"\n", "\r\n", "\r"}) {
      std::vector<std::string> fields = full_row();
      fields[column] = "\"" + fields[column] + breaks + "more\"";
      const auto file = parse_codecarbon_csv(line(header()) + line(fields) + line(full_row()));
      ASSERT_TRUE(file);
      EXPECT_EQ(file->rows.size(), 1U);
      ASSERT_EQ(file->problems.size(), 1U) << column;
      EXPECT_THAT(file->problems[0].reason, HasSubstr(header()[column] + " has a line break"));
    }
  }
}

TEST(CodeCarbonCsv, Utf32AndBinaryFilesAreCalledWhatTheyAre) {
  for (const std::string& text :
       {std::string("\xff\xfe\0\0t\0\0\0", 8), std::string("\0\0\xfe\xff\0\0\0t", 8),
        std::string("t\0\0\0i\0\0\0", 8), std::string("\0\0\0t\0\0\0i", 8)}) {
    const auto file = parse_codecarbon_csv(text);
    ASSERT_FALSE(file);
    EXPECT_THAT(file.error().message, HasSubstr("UTF-32"));
    EXPECT_THAT(file.error().hint, HasSubstr("iconv -f UTF-32"));
  }
  for (const std::string& text :
       {std::string("\0abc\1\2", 6), std::string("\0\0\0\0\0\0\0\0", 8), std::string("SQLite format 3\0", 16),
        std::string("a\0bc", 4), std::string(1, '\0')}) {
    const auto file = parse_codecarbon_csv(text);
    ASSERT_FALSE(file);
    EXPECT_THAT(file.error().message, HasSubstr("binary"));
  }
}

TEST(CodeCarbonCsv, Utf16IsNamedAndHasAWayOut) {
  for (const std::string& text :
       {std::string("\xff\xfet\0i\0", 6), std::string("\xfe\xff\0t\0i", 6), std::string("t\0i\0", 4)}) {
    const auto file = parse_codecarbon_csv(text);
    ASSERT_FALSE(file);
    EXPECT_THAT(file.error().message, HasSubstr("UTF-16"));
    EXPECT_THAT(file.error().hint, HasSubstr("iconv"));
  }
}

/// A later program went on writing after one was killed in the middle of a row.
TEST(CodeCarbonCsv, ALineThatWasCutOffInTheMiddleOfAFileIsNotGuessed) {
  const std::string last = line(full_row());
  for (std::size_t kept = 1; kept + 30 < last.size(); kept += 3) {
    const auto file = parse_codecarbon_csv(line(header()) + last.substr(0, kept) + "\n" + line(full_row()));
    ASSERT_TRUE(file);
    EXPECT_EQ(file->rows.size(), 1U) << kept;
    ASSERT_EQ(file->problems.size(), 1U) << kept;
    EXPECT_EQ(file->problems[0].row, 1U);
  }
}

TEST(CodeCarbonCsv, OurOwnRowsMayLackEnergy) {
  std::vector<std::string> own = full_row();
  own[5] = own[13] = "";
  own[22] = "joulery-0.1.0";
  const auto file = parse_codecarbon_csv(line(header()) + line(own));
  ASSERT_EQ(file->rows.size(), 1U);
  EXPECT_TRUE(file->rows[0].is_own());
  EXPECT_FALSE(file->rows[0].values.has("energy_consumed"));
}

TEST(CodeCarbonCsv, OtherVersionsByTheNamesOfTheirColumns) {
  const auto file = parse_codecarbon_csv(
      "energy_consumed,timestamp,emissions,duration,new_column\n0.5,2024-01-01T00:00:00,0.2,60,what\n");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->rows[0].values.at("new_column"), "what");
}

TEST(CodeCarbonCsv, NonsenseRowsAreNamedAndTheOthersKept) {
  std::vector<std::string> bad = full_row();
  bad[4] = "soon";
  std::vector<std::string> extra = full_row();
  extra.emplace_back("more");
  std::vector<std::string> gap = full_row();
  gap[13] = "";
  const auto file =
      parse_codecarbon_csv(line(header()) + line(bad) + line(extra) + line(gap) + "a,b\n" + line(full_row()));
  ASSERT_TRUE(file);
  EXPECT_EQ(file->rows.size(), 1U);
  EXPECT_EQ(file->rows[0].number, 5U);
  ASSERT_EQ(file->problems.size(), 4U);
  EXPECT_THAT(file->problems[0].reason, HasSubstr("duration is 'soon'"));
  EXPECT_THAT(file->problems[1].reason, HasSubstr("39 fields"));
  EXPECT_THAT(file->problems[2].reason, HasSubstr("no energy_consumed"));
}

TEST(CodeCarbonCsv, OtherFilesAreRefused) {
  EXPECT_FALSE(parse_codecarbon_csv(""));
  EXPECT_FALSE(parse_codecarbon_csv("\n\n"));
  EXPECT_THAT(parse_codecarbon_csv("a,b\n1,2\n").error().message, HasSubstr("no emissions file"));
  EXPECT_FALSE(parse_codecarbon_csv(std::string(1000, ',')));
}

}  // namespace
}  // namespace joulery::app
