#include "http/response_reader.hpp"

#include <gtest/gtest.h>

namespace joulery::http {
namespace {

class Collected final : public ResponseSink {
 public:
  void on_head(const ResponseHead& received) override {
    head = received;
    ++heads;
  }
  void on_body(std::string_view bytes) override { body += bytes; }
  ResponseHead head;
  int heads = 0;
  std::string body;
};

TEST(ResponseReader, AChunkedAnswerIsTheSameHoweverItIsCut) {
  const std::string text =
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n"
      "5;q=1\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\nTrailer: x\r\n\r\n";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    Collected collected;
    ResponseReader reader({}, collected);
    for (std::size_t at = 0; at < text.size(); at += piece) {
      EXPECT_FALSE(reader.done());
      ASSERT_TRUE(reader.push(std::string_view(text).substr(at, piece)));
    }
    EXPECT_TRUE(reader.done());
    EXPECT_TRUE(reader.keep_alive());
    EXPECT_EQ(collected.heads, 1);
    EXPECT_EQ(collected.head.status, 200);
    EXPECT_EQ(collected.head.find("x-a"), "b");
    EXPECT_EQ(collected.body, "hello world") << piece;
  }
}

TEST(ResponseReader, AnEmptyChunkedBodyMayComeInBytes) {
  const std::string text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
  Collected collected;
  ResponseReader reader({}, collected);
  for (const char c : text) ASSERT_TRUE(reader.push({&c, 1}));
  EXPECT_TRUE(reader.done());
  EXPECT_TRUE(reader.keep_alive());
}

TEST(ResponseReader, ABodyWithoutALengthEndsWithTheConnection) {
  Collected collected;
  ResponseReader reader({}, collected);
  ASSERT_TRUE(reader.push("HTTP/1.0 200 OK\r\n\r\nabc"));
  EXPECT_FALSE(reader.done());
  ASSERT_TRUE(reader.finish());
  EXPECT_TRUE(reader.done());
  EXPECT_FALSE(reader.keep_alive());
  EXPECT_EQ(collected.body, "abc");
}

TEST(ResponseReader, ACutAnswerIsAnError) {
  for (const char* text : {"", "HTTP/1.1 20", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
                           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"}) {
    Collected collected;
    ResponseReader reader({}, collected);
    ASSERT_TRUE(reader.push(text));
    EXPECT_FALSE(reader.finish()) << text;
    EXPECT_FALSE(reader.done());
  }
}

TEST(ResponseReader, LimitsHold) {
  Collected collected;
  ResponseReader headers({.most_header_bytes = 1000, .most_body_bytes = 10}, collected);
  EXPECT_FALSE(headers.push("HTTP/1.1 200 OK\r\nA: " + std::string(2000, 'x')));
  EXPECT_TRUE(headers.too_large());
  ResponseReader length({.most_header_bytes = 1000, .most_body_bytes = 10}, collected);
  EXPECT_FALSE(length.push("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n"));
  EXPECT_TRUE(length.too_large());
  ResponseReader chunks({.most_header_bytes = 1000, .most_body_bytes = 10}, collected);
  EXPECT_FALSE(chunks.push("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n"));
  EXPECT_TRUE(chunks.too_large());
  ResponseReader until_end({.most_header_bytes = 1000, .most_body_bytes = 10}, collected);
  EXPECT_FALSE(until_end.push("HTTP/1.0 200 OK\r\n\r\n01234567890"));
  EXPECT_TRUE(until_end.too_large());
}

TEST(ResponseReader, WhatIsNoHttpIsAnError) {
  for (const char* text : {"SSH-2.0-OpenSSH_9.2\r\n\r\n", "\x15\x03\x01\x02\x03\x04\x05\x06\x07",
                           "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
                           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}) {
    Collected collected;
    ResponseReader reader({}, collected);
    EXPECT_FALSE(reader.push(text)) << text;
    EXPECT_FALSE(reader.done());
  }
}

TEST(ResponseReader, BytesAfterTheEndMakeTheConnectionUseless) {
  Collected collected;
  ResponseReader reader({}, collected);
  ASSERT_TRUE(reader.push("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n"));
  EXPECT_TRUE(reader.done());
  EXPECT_FALSE(reader.keep_alive());
  EXPECT_EQ(collected.body, "ok");
}

}  // namespace
}  // namespace joulery::http
