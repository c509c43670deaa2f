#include "http/sse.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace joulery::http {
namespace {

std::vector<std::string> parse(std::string_view text, std::size_t piece, bool finish = false) {
  SseParser parser;
  std::vector<std::string> events;
  const auto receive = [&](const SseParser::Event& event) {
    events.push_back(event.type + "|" + event.data);
  };
  for (std::size_t at = 0; at < text.size(); at += piece) {
    EXPECT_TRUE(parser.push(text.substr(at, piece), receive));
  }
  if (finish) {
    EXPECT_TRUE(parser.finish(receive));
  }
  return events;
}

TEST(Sse, EventsAreTheSameHoweverTheyAreCut) {
  const std::string text =
      "\xEF\xBB\xBF: keep-alive\n\ndata: {\"a\":1}\r\n\r\nevent: error\rdata:x\rdata: y\r\rid: 7\nretry: "
      "10\n\n"
      "data\n\ndata: [DONE]\n\n";
  const std::vector<std::string> expected{"message|{\"a\":1}", "error|x\ny", "message|", "message|[DONE]"};
  for (std::size_t piece = 1; piece <= text.size(); ++piece) EXPECT_EQ(parse(text, piece), expected) << piece;
}

TEST(Sse, AnEventWithoutItsEmptyLineIsToldAtTheEnd) {
  EXPECT_EQ(parse("data: [DONE]", 3), std::vector<std::string>{});
  EXPECT_EQ(parse("data: [DONE]", 3, true), std::vector<std::string>{"message|[DONE]"});
}

TEST(Sse, WhatIsTooLargeIsAnErrorAndEndsTheReading) {
  SseParser parser(100);
  int events = 0;
  const auto receive = [&](const SseParser::Event&) { ++events; };
  EXPECT_FALSE(parser.push("data: " + std::string(200, 'x'), receive));
  EXPECT_TRUE(parser.push("\n\ndata: y\n\n", receive));
  EXPECT_EQ(events, 0);

  SseParser many_lines(100);
  Status status;
  for (int i = 0; i < 100 && status; ++i) status = many_lines.push("data: 0123456789\n", receive);
  EXPECT_FALSE(status);
}

}  // namespace
}  // namespace joulery::http
