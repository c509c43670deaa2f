#include "record/iso_time.hpp"

#include <gtest/gtest.h>

#include <string>

#include "base/text.hpp"

namespace joulery::record {
namespace {

TEST(IsoTime, ReadsDatesAndTimesAsUtc) {
  EXPECT_EQ(parse_iso_time_ms("1970-01-01"), 0);
  EXPECT_EQ(parse_iso_time_ms("2026-11-20"), 1795132800000);
  EXPECT_EQ(parse_iso_time_ms("2026-11-20T10:00"), 1795132800000 + 36'000'000);
  for (const char* same : {"2026-11-20T10:00:00Z", "2026-11-20 10:00:00", "2026-11-20t10:00:00.000z",
                           "2026-11-20T11:30:00+01:30", "2026-11-20T05:00-0500"}) {
    EXPECT_EQ(parse_iso_time_ms(same), 1795132800000 + 36'000'000) << same;
  }
  EXPECT_EQ(parse_iso_time_ms("2026-11-20T00:00:00.5"), 1795132800500);
  EXPECT_EQ(parse_iso_time_ms("2026-11-20T00:00:00.123456789Z"), 1795132800123);
  EXPECT_EQ(parse_iso_time_ms("2024-02-29").value() + 86'400'000, parse_iso_time_ms("2024-03-01"));
}

TEST(IsoTime, ReadsWhatTheProgramPrints) {
  for (const std::int64_t seconds : {0LL, 951'782'400LL, 1'795'132'799LL, 4'102'444'800LL}) {
    EXPECT_EQ(parse_iso_time_ms(format_utc(seconds * 1'000'000'000)), seconds * 1000);
  }
}

TEST(IsoTime, RefusesEverythingElse) {
  for (const char* wrong : {"",
                            "2026",
                            "2026-11",
                            "2026-11-2",
                            "2026-13-01",
                            "2026-02-29",
                            "1969-12-31",
                            "12026-01-01",
                            "2026-11-20T",
                            "2026-11-20T10",
                            "2026-11-20T24:00",
                            "2026-11-20T10:60",
                            "2026-11-20T10:00:61",
                            "2026-11-20T10:00:00.",
                            "2026-11-20T10:00:00.1234567890",
                            "2026-11-20T10:00:00 UTC",
                            "2026-11-20T10:00:00+1",
                            "2026-11-20Z",
                            " 2026-11-20",
                            "2026-11-20 ",
                            "20/11/2026",
                            "-026-11-20"}) {
    EXPECT_FALSE(parse_iso_time_ms(wrong).has_value()) << wrong;
  }
}

TEST(IsoTime, KnowsADateFromATime) {
  EXPECT_TRUE(is_iso_date("2026-11-20"));
  EXPECT_FALSE(is_iso_date("2026-11-20T00:00"));
  EXPECT_FALSE(is_iso_date("2026-11-99"));
}

}  // namespace
}  // namespace joulery::record
