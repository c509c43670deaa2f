#include "power/kernel_text.hpp"

#include <gtest/gtest.h>

namespace joulery::power {
namespace {

TEST(CpuList, RangesAndSingles) {
  EXPECT_EQ(parse_cpu_list("0,24\n"), (std::vector<int>{0, 24}));
  EXPECT_EQ(parse_cpu_list("0-1"), (std::vector<int>{0, 1}));
  EXPECT_EQ(parse_cpu_list("0-2,8,10-11\n"), (std::vector<int>{0, 1, 2, 8, 10, 11}));
}

TEST(CpuList, RefusesWhatIsNoList) {
  for (const char* text : {"", "\n", "a", "1-", "-1", "3-1", "0,,1", "0-99999999", "1 2", "0x1"}) {
    EXPECT_FALSE(parse_cpu_list(text).has_value()) << text;
  }
}

TEST(Counter, NumbersOnly) {
  EXPECT_EQ(parse_counter("262143328850\n"), 262143328850U);
  EXPECT_EQ(parse_counter("18446744073709551615"), 18446744073709551615U);
  for (const char* text : {"", "-1", "18446744073709551616", "12abc", "1.5", "0x10"}) {
    EXPECT_FALSE(parse_counter(text).has_value()) << text;
  }
}

TEST(KeyedCounter, MatchesWholeKeys) {
  EXPECT_EQ(parse_keyed_counter("usage_usec 12\nuser_usec 7\n", "user_usec"), 7U);
  EXPECT_EQ(parse_keyed_counter("MemTotal:       24684092 kB\n", "MemTotal:"), 24684092U);
  EXPECT_FALSE(parse_keyed_counter("user_usec 7\n", "user").has_value());
  EXPECT_FALSE(parse_keyed_counter("usage_usec\n", "usage_usec").has_value());
  EXPECT_FALSE(parse_keyed_counter("usage_usec x\n", "usage_usec").has_value());
}

TEST(Scale, PositiveAndFinite) {
  EXPECT_DOUBLE_EQ(*parse_scale("2.3283064365386962890625e-10\n"), 0x1p-32);
  for (const char* text : {"", "0", "-1", "nan", "inf", "1e999", "1 2"})
    EXPECT_FALSE(parse_scale(text)) << text;
}

TEST(Event, TermsGoWhereTheFormatsSay) {
  const std::map<std::string, std::string> formats{{"event", "config:0-7"},
                                                   {"umask", "config:8-15,40-43"},
                                                   {"offset", "config1:0-63"},
                                                   {"flag", "config2:5"}};
  EXPECT_EQ(parse_event("event=0x02", formats)->config, 2U);
  EXPECT_EQ(parse_event("event=0x3,umask=0xfff", formats)->config, 0xF000000FF03U);
  EXPECT_EQ(parse_event("offset=0xffffffffffffffff", formats)->config1, ~std::uint64_t{0});
  EXPECT_EQ(parse_event("flag", formats)->config2, 32U);
  EXPECT_EQ(parse_event("config=0x05", {})->config, 5U);
}

TEST(Event, RefusesUnknownTermsAndValuesThatDoNotFit) {
  const std::map<std::string, std::string> formats{
      {"event", "config:0-7"}, {"bad", "config:7-3"}, {"odd", "elsewhere"}};
  for (const char* text : {"", "event=0x100", "umask=1", "event=x", "event=0x", "bad=1", "odd=1", "=1"}) {
    EXPECT_FALSE(parse_event(text, formats).has_value()) << text;
  }
}

TEST(CpuMax, QuotaOverPeriod) {
  EXPECT_DOUBLE_EQ(*parse_cpu_max("150000 100000\n"), 1.5);
  for (const char* text : {"max 100000\n", "", "0 100000", "100000 0", "-1 100000", "x"}) {
    EXPECT_FALSE(parse_cpu_max(text).has_value()) << text;
  }
}

TEST(CpuTicks, GuestIsNotCountedTwiceAndStealApart) {
  const auto ticks = parse_cpu_ticks("cpu  100 10 20 5000 7 1 2 30 40 5\ncpu0 1 1 1 1\n");
  ASSERT_TRUE(ticks.has_value());
  EXPECT_EQ(ticks->busy, 100U + 10 + 20 + 1 + 2);
  EXPECT_EQ(ticks->steal, 30U);
}

TEST(CpuTicks, OldKernelsHaveFewerColumns) {
  EXPECT_EQ(parse_cpu_ticks("cpu 1 2 3 4\n")->busy, 6U);
  for (const char* text : {"", "cpu", "cpu0 1 2 3 4", "cpu 1 2 3", "cpu 1 2 x 4"}) {
    EXPECT_FALSE(parse_cpu_ticks(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace joulery::power
