#include "http/url.hpp"

#include <gtest/gtest.h>

namespace joulery::http {
namespace {

TEST(Url, PartsAreRead) {
  const auto url = parse_url("http://LocalHost:8000/v1/models?limit=1#top");
  ASSERT_TRUE(url);
  EXPECT_FALSE(url->tls);
  EXPECT_EQ(url->host, "localhost");
  EXPECT_EQ(url->port, 8000);
  EXPECT_EQ(url->target, "/v1/models?limit=1");
  EXPECT_EQ(url->path(), "/v1/models");
  EXPECT_EQ(url->text(), "http://localhost:8000/v1/models?limit=1");
}

TEST(Url, DefaultsOfTheSchemes) {
  const auto plain = parse_url("http://a");
  const auto tls = parse_url("HTTPS://a?x");
  ASSERT_TRUE(plain && tls);
  EXPECT_EQ(plain->port, 80);
  EXPECT_EQ(plain->target, "/");
  EXPECT_TRUE(tls->tls);
  EXPECT_EQ(tls->port, 443);
  EXPECT_EQ(tls->target, "/?x");
  EXPECT_EQ(tls->authority(), "a");
}

TEST(Url, AddressesOfIpv6HaveBrackets) {
  const auto url = parse_url("http://[::1]:81/");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->host, "::1");
  EXPECT_EQ(url->authority(), "[::1]:81");
}

TEST(Url, ASecretIsRefusedAndNotRepeated) {
  const auto url = parse_url("http://me:hunter2@host/");
  ASSERT_FALSE(url);
  EXPECT_EQ(url.error().message.find("hunter2"), std::string::npos);
  EXPECT_NE(url.error().hint.find("--api-key-file"), std::string::npos);
}

TEST(Url, WhatIsNoAddressIsRefused) {
  for (const char* text :
       {"", "host:8000", "ftp://a/", "http://", "http:///x", "http://a:0/", "http://a:65536/", "http://a:x/",
        "http://a b/", "http://a/b c", "http://a/\r\nX: y", "http://[::1/", "http://[1.2]/", "http://[::1]x/",
        "http://a/\xc3\xa9"}) {
    EXPECT_FALSE(parse_url(text)) << text;
  }
  EXPECT_FALSE(parse_url("http://a/" + std::string(9000, 'x')));
}

}  // namespace
}  // namespace joulery::http
