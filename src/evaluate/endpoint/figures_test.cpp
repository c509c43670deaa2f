#include "evaluate/endpoint/figures.hpp"

#include <gtest/gtest.h>

#include "evaluate/endpoint/energy.hpp"

namespace joulery::evaluate::endpoint {
namespace {

constexpr std::int64_t kMs = 1'000'000;

/// Sent at `at` ms, its pieces at these times after that, its end at `end`.
RequestRecord record(std::int64_t at, const std::vector<std::int64_t>& pieces, std::int64_t end,
                     std::optional<std::uint64_t> tokens = std::nullopt) {
  RequestRecord made;
  made.intended_ns = made.sent_ns = at * kMs;
  for (const std::int64_t piece : pieces) made.answer.content_ns.push_back((at + piece) * kMs);
  made.end_ns = (at + end) * kMs;
  made.answer.status = 200;
  made.answer.output_tokens = tokens;
  made.answer.prompt_tokens = 10;
  return made;
}

RequestRecord failure(std::int64_t at, std::int64_t end, std::string kind) {
  RequestRecord made = record(at, {}, end);
  made.answer.error_kind = std::move(kind);
  made.answer.error = "text of " + made.answer.error_kind;
  return made;
}

TEST(Figures, EachFollowsItsDefinition) {
  // Two pieces a token apart, and 9 tokens in all by the server's count.
  const std::vector records{record(0, {100, 140, 180}, 200, 9), record(1000, {50, 60}, 70, 2)};
  const LoadFigures figures = compute_figures(records, 0, 2000 * kMs, {});
  EXPECT_EQ(figures.completed, 2U);
  EXPECT_DOUBLE_EQ(figures.window_seconds, 2);
  EXPECT_DOUBLE_EQ(figures.time_to_first_token->mean, 0.075);
  EXPECT_DOUBLE_EQ(figures.time_to_first_token->minimum, 0.05);
  EXPECT_DOUBLE_EQ(figures.time_to_first_token->maximum, 0.1);
  EXPECT_DOUBLE_EQ(figures.time_to_second_token->maximum, 0.04);
  EXPECT_EQ(figures.inter_chunk_latency->count, 3U);
  EXPECT_DOUBLE_EQ(figures.inter_chunk_latency->mean, (0.04 + 0.04 + 0.01) / 3);
  // (200 - 100) / 8 and (70 - 50) / 1
  EXPECT_DOUBLE_EQ(figures.time_per_output_token->minimum, 0.0125);
  EXPECT_DOUBLE_EQ(figures.time_per_output_token->maximum, 0.02);
  EXPECT_DOUBLE_EQ(figures.output_tokens_per_second_per_user->maximum, 80);
  EXPECT_DOUBLE_EQ(figures.request_latency->mean, 0.135);
  EXPECT_DOUBLE_EQ(figures.requests_per_second.value, 1);
  EXPECT_DOUBLE_EQ(*figures.total_output_tokens, 11);
  EXPECT_DOUBLE_EQ(figures.output_tokens_per_second->value, 5.5);
  EXPECT_DOUBLE_EQ(figures.total_tokens_per_second->value, (11 + 20) / 2.0);
  EXPECT_EQ(figures.counted_by, TokenCount::usage);
  EXPECT_FALSE(figures.goodput);
}

TEST(Figures, LatencyCountsFromWhenARequestWasToBeSent) {
  RequestRecord late = record(0, {500}, 600, 1);
  late.sent_ns = 400 * kMs;
  const LoadFigures figures = compute_figures(std::vector{late}, 0, 600 * kMs, {});
  EXPECT_DOUBLE_EQ(figures.time_to_first_token->mean, 0.5);
  EXPECT_DOUBLE_EQ(figures.request_latency->mean, 0.6);
  EXPECT_DOUBLE_EQ(figures.send_delay->mean, 0.4);
}

TEST(Figures, WithoutAServersCountPiecesAreCounted) {
  const std::vector records{record(0, {10, 20, 30}, 40), record(0, {10, 20, 30}, 40, 6)};
  EXPECT_EQ(compute_figures(std::span(records).first(1), 0, kMs, {}).counted_by, TokenCount::chunks);
  const LoadFigures figures = compute_figures(records, 0, 1000 * kMs, {});
  EXPECT_EQ(figures.counted_by, TokenCount::both);
  EXPECT_DOUBLE_EQ(*figures.total_output_tokens, 9);
}

TEST(Figures, WhatIsNotKnownIsAbsent) {
  RequestRecord whole = record(0, {}, 40);
  whole.answer.prompt_tokens.reset();
  const LoadFigures figures = compute_figures(std::vector{whole, record(0, {5}, 40, 1)}, 0, 1000 * kMs, {});
  EXPECT_EQ(figures.time_to_first_token->count, 1U);
  EXPECT_FALSE(figures.inter_chunk_latency);
  EXPECT_FALSE(figures.time_per_output_token) << "one token has no time between tokens";
  EXPECT_FALSE(figures.total_output_tokens) << "tokens of one request are not known";
  EXPECT_FALSE(figures.output_tokens_per_second);
  EXPECT_EQ(figures.request_latency->count, 2U);
  const LoadFigures none = compute_figures({}, 0, 1000 * kMs, {.ttft_seconds = 1});
  EXPECT_FALSE(none.request_latency);
  EXPECT_FALSE(none.slo_share);
  EXPECT_DOUBLE_EQ(none.requests_per_second.value, 0);
}

TEST(Figures, ErrorsAreCountedByKindAndKeptOutOfTheTimes) {
  RequestRecord cancelled = failure(0, 1, "cancelled");
  cancelled.cancelled = true;
  const std::vector records{failure(0, 9000, "http_503"), record(0, {10}, 20, 1), failure(0, 1, "timeout"),
                            failure(0, 1, "http_503"), cancelled};
  const LoadFigures figures = compute_figures(records, 0, 1000 * kMs, {.latency_seconds = 1});
  EXPECT_EQ(figures.requests, 5U);
  EXPECT_EQ(figures.completed, 1U);
  EXPECT_EQ(figures.failed, 3U);
  EXPECT_EQ(figures.cancelled, 1U);
  ASSERT_EQ(figures.errors.size(), 2U);
  EXPECT_EQ(figures.errors[0].kind, "http_503");
  EXPECT_EQ(figures.errors[0].count, 2U);
  EXPECT_EQ(figures.errors[0].example, "text of http_503");
  EXPECT_DOUBLE_EQ(figures.request_latency->maximum, 0.02);
  EXPECT_DOUBLE_EQ(*figures.slo_share, 0.25);
}

TEST(Figures, GoodputCountsRequestsThatKeepEveryLimit) {
  Slo slo;
  ASSERT_TRUE(parse_slo("ttft:100ms", slo));
  ASSERT_TRUE(parse_slo("TPOT:10ms", slo));
  ASSERT_TRUE(parse_slo("e2e:1s", slo));
  const std::vector records{
      record(0, {100, 105}, 110, 2),    // at every limit
      record(0, {101, 105}, 110, 2),    // TTFT
      record(0, {100, 105}, 111, 2),    // TPOT
      record(0, {90, 900}, 1001, 200),  // latency
      record(0, {100}, 900, 1),         // one token: no TPOT to miss
  };
  const LoadFigures figures = compute_figures(records, 0, 4000 * kMs, slo);
  EXPECT_DOUBLE_EQ(figures.goodput->value, 0.5);
  EXPECT_DOUBLE_EQ(*figures.slo_share, 0.4);
}

TEST(Figures, LimitsAndTimesAreRead) {
  EXPECT_DOUBLE_EQ(*parse_seconds("200ms"), 0.2);
  EXPECT_DOUBLE_EQ(*parse_seconds("1.5 min"), 90);
  EXPECT_DOUBLE_EQ(*parse_seconds("2m"), 120);
  EXPECT_DOUBLE_EQ(*parse_seconds("3"), 3);
  EXPECT_DOUBLE_EQ(*parse_seconds("500us"), 0.0005);
  for (const char* text : {"", "s", "-1s", "0", "1e99s", "nan", "1x"})
    EXPECT_FALSE(parse_seconds(text)) << text;
  Slo slo;
  for (const char* text : {"", "ttft", "ttft:", "itl:1s", "ttft:0ms", "200ms"})
    EXPECT_FALSE(parse_slo(text, slo));
  EXPECT_TRUE(slo.empty());
}

TEST(Energy, EveryUnitFollowsFromTheWindow) {
  const std::vector records{record(0, {100, 140}, 200, 9), record(1000, {50, 60}, 70, 2)};
  const LoadFigures load = compute_figures(records, 0, 2000 * kMs, {.latency_seconds = 0.1});
  EnergyReading reading;
  reading.seconds = 2;
  reading.total = Quantity<Joules>(66, Provenance::measured);
  reading.active = Quantity<Joules>(44, Provenance::measured);
  const auto figures = energy_figures(reading, load);
  ASSERT_TRUE(figures);
  EXPECT_DOUBLE_EQ(figures->per_output_token->gross.value(), 6);
  EXPECT_DOUBLE_EQ(figures->per_output_token->idle_subtracted->value(), 4);
  EXPECT_DOUBLE_EQ(figures->per_total_token->gross.value(), 66.0 / 31);
  EXPECT_DOUBLE_EQ(figures->per_request->gross.value(), 33);
  EXPECT_DOUBLE_EQ(figures->watt_hours_per_1k_output_tokens->value(), 6000.0 / 3600);
  EXPECT_DOUBLE_EQ(*figures->output_tokens_per_joule, 11.0 / 66);
  EXPECT_DOUBLE_EQ(*figures->total_tokens_per_joule, 31.0 / 66);
  EXPECT_DOUBLE_EQ(figures->mean_watts, 33);
  EXPECT_DOUBLE_EQ(*figures->output_tokens_per_second_per_watt, 5.5 / 33);
  EXPECT_DOUBLE_EQ(*figures->goodput_per_watt, 0.5 / 33);
  EXPECT_DOUBLE_EQ(*figures->energy_delay_product_joule_seconds, 33 * 0.135);
  EXPECT_FALSE(energy_figures(EnergyReading{}, load));
}

TEST(Energy, StatedPowerIsAssumedWithItsRange) {
  ManualClock clock;
  const auto power = parse_assumed_power("250-350");
  ASSERT_TRUE(power);
  const auto window = assumed_power_window(*power, clock);
  ASSERT_TRUE(window->start());
  clock.advance_seconds(10);
  const auto reading = window->stop();
  ASSERT_TRUE(reading);
  EXPECT_DOUBLE_EQ(reading->total.value(), 3000);
  EXPECT_EQ(reading->total.provenance(), Provenance::assumed);
  EXPECT_NEAR(reading->total.interval().low, 2500, 1);
  EXPECT_NEAR(reading->total.interval().high, 3500, 1);
  EXPECT_FALSE(reading->active);
  for (const char* text : {"", "0", "-5", "a", "300-250", "1-", "nan"})
    EXPECT_FALSE(parse_assumed_power(text));
}

}  // namespace
}  // namespace joulery::evaluate::endpoint
