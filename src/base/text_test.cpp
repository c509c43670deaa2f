#include "base/text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace joulery {
namespace {

using testing::ElementsAre;

TEST(Text, OneOfWhatAUnitCounts) {
  EXPECT_EQ(singular("images"), "image");
  EXPECT_EQ(singular("training tokens"), "training token");
  EXPECT_EQ(singular("queries"), "query");
  EXPECT_EQ(singular("batches"), "batch");
  EXPECT_EQ(singular("classes"), "class");
  for (const char* same : {"image", "analysis", "series", "class", "bus", "FLOPS", "gas", "ms", "s", ""}) {
    EXPECT_EQ(singular(same), same);
  }
  EXPECT_EQ(format_count(1, "images"), "1 image");
  EXPECT_EQ(format_count(1000, "unit"), "1000 units");
  EXPECT_EQ(format_count(6, "matmuls"), "6 matmuls");
  EXPECT_EQ(format_count(0.5, "images"), "0.5 images");
  EXPECT_EQ(format_count(3e18, "FLOP"), "3e+18 FLOP");
}

TEST(Text, ParsesWholeNumbersOnly) {
  EXPECT_EQ(parse_double("1e3"), 1000);
  EXPECT_EQ(parse_double("+2.5"), 2.5);
  for (const char* bad : {"", " 1", "1 ", "1x", "nan", "inf", "1e999", "+", "--1"})
    EXPECT_FALSE(parse_double(bad)) << bad;
  EXPECT_EQ(parse_int64("-9223372036854775808"), INT64_MIN);
  EXPECT_FALSE(parse_int64("9223372036854775808"));
  EXPECT_EQ(parse_uint64("18446744073709551615"), UINT64_MAX);
  EXPECT_FALSE(parse_uint64("-1"));
}

TEST(Text, Splits) {
  EXPECT_THAT(split("a::b", ':'), ElementsAre("a", "", "b"));
  EXPECT_THAT(split("", ':'), ElementsAre(""));
  EXPECT_THAT(split_blanks("  a \t b\n"), ElementsAre("a", "b"));
  EXPECT_EQ(trim(" \t x y \r\n"), "x y");
}

TEST(Text, EditDistanceCountsASwapAsOne) {
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
  EXPECT_EQ(edit_distance("dotcor", "doctor"), 1U);
  EXPECT_EQ(edit_distance("", "abc"), 3U);
}

TEST(Text, SuggestsOnlyWhatIsNear) {
  const std::array<std::string, 3> verbs = {"doctor", "run", "runs"};
  EXPECT_EQ(did_you_mean("dotcor", verbs), "doctor");
  EXPECT_EQ(did_you_mean("rnu", verbs), "run");
  EXPECT_FALSE(did_you_mean("frobnicate", verbs));
}

TEST(Text, FormatsThreeDigitsWithAPrefix) {
  EXPECT_EQ(format_si(3421, "J"), "3.42 kJ");
  EXPECT_EQ(format_si(0.0871, "J"), "87.1 mJ");
  EXPECT_EQ(format_si(0, "W"), "0 W");
  EXPECT_EQ(format_si(-12.34, "J"), "-12.3 J");
  EXPECT_EQ(format_si(999.7, "J"), "1.00 kJ");
  EXPECT_EQ(format_duration(3720), "1 h 02 min");
  EXPECT_EQ(format_duration(61.3), "61.3 s");
  EXPECT_EQ(format_duration(119.6), "2 min 00 s");
  EXPECT_EQ(format_duration(0.0041), "4.10 ms");
  EXPECT_EQ(format_duration(90000), "1 d 01 h");
  EXPECT_EQ(format_bytes(512), "512 B");
  EXPECT_EQ(format_bytes(3.25 * 1024 * 1024), "3.25 MiB");
  EXPECT_EQ(format_utc(1'763'710'147'000'000'000), "2025-11-21T07:29:07Z");
}

TEST(Text, PrintableHasNoControlCharacters) {
  EXPECT_EQ(printable("a\x1b[31mb\n\x7f"), "a?[31mb??");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            "?31m");
  EXPECT_EQ(printable("größe µ"), "größe µ");
}

TEST(Text, PrintableSpellsOutWhatIsNotSeen) {
  EXPECT_EQ(printable("evil\u202Egpj.sh"), "evil<U+202E>gpj.sh");
  for (const std::string text : {"\u200B", "\u200E", "\u200F", "\u2028", "\u2029", "\u202A",    "\u202B",
                                 "\u202C", "\u202D", "\u202E", "\u2060", "\u2061", "\u2066",    "\u2067",
                                 "\u2068", "\u2069", "\uFEFF", "\u061C", "\u00AD", "\U000E0041"}) {
    const std::string shown = printable("a" + text + "b");
    EXPECT_EQ(shown.find(text), std::string::npos) << shown;
    EXPECT_EQ(shown.rfind("a<U+", 0), 0U) << shown;
    EXPECT_EQ(shown.substr(shown.size() - 2), ">b") << shown;
    EXPECT_EQ(printable(shown), shown);
  }
  for (const std::string text :
       {"日本語", "\u2010\u2026\u2030", "\u205F", "\u2070", "😀", "\uFFFD", "é\u0301"})
    EXPECT_EQ(printable(text), text);
}

TEST(Text, PrintableTakesBytesThatAreNoUtf8) {
  for (const std::string text : {"\xe2", "\xff\xfe", "\xc3(", "caf\xe9", "\xe2\xa0z"})
    EXPECT_EQ(printable(text), text);
  EXPECT_EQ(printable("\x9b"
                      "31m\xe2\x80"),
            "?31m\xe2?");
  EXPECT_EQ(printable("\xe2\x1b[31m"), "\xe2?[31m");
  EXPECT_EQ(printable("\xe2\xe2\x80\xae"), "\xe2<U+202E>");
}

TEST(Text, PrintableLinesKeepsNewlinesOnly) {
  EXPECT_EQ(printable_lines("a\n\x1b[31m\r\n\n"), "a\n?[31m?\n\n");
  EXPECT_EQ(printable_lines(""), "");
  EXPECT_EQ(printable_lines("\n"), "\n");
}

}  // namespace
}  // namespace joulery
