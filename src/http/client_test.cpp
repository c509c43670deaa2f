#include "http/client.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <optional>

#include "http/scripted_server.hpp"

namespace joulery::http {
namespace {

constexpr const char* kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

class Seen final : public Exchange {
 public:
  void on_connected(std::int64_t /*begin_ns*/, std::int64_t /*now_ns*/) override { ++connects; }
  void on_send(std::int64_t now_ns) override { sent_ns = now_ns; }
  void on_head(const ResponseHead& head, std::int64_t now_ns) override {
    status = head.status;
    head_ns = now_ns;
  }
  void on_body(std::string_view bytes, std::int64_t now_ns) override {
    body += bytes;
    times.push_back(now_ns);
  }
  void on_end(const Failure* end, std::int64_t now_ns) override {
    ++ends;
    end_ns = now_ns;
    if (end != nullptr) failure = *end;
  }
  int connects = 0;
  int ends = 0;
  int status = 0;
  std::int64_t sent_ns = 0, head_ns = 0, end_ns = 0;
  std::string body;
  std::vector<std::int64_t> times;
  std::optional<Failure> failure;
};

Url local(std::uint16_t port) {
  return *parse_url(fmt::format("http://127.0.0.1:{}/", port));
}

/// A server, a loop and a client for it.
struct Setting {
  explicit Setting(std::vector<std::vector<Piece>> script, const ClientOptions& options = {})
      : server(std::move(script)), client(*Client::create(loop, local(server.port), options)) {}
  std::shared_ptr<Seen> send(const Request& request = {}) {
    auto seen = std::make_shared<Seen>();
    client->send(request, seen);
    return seen;
  }
  SystemClock clock;
  EventLoop loop{clock};
  ScriptedServer server;
  std::unique_ptr<Client> client;
};

TEST(HttpClient, AConnectionIsKeptForTheNextRequest) {
  Setting setting({{{kOk}}});
  for (int i = 0; i < 3; ++i) {
    const auto response = fetch(setting.loop, *setting.client,
                                {.method = "POST", .target = "/x", .headers = {{"A", "b"}}, .body = "hi"});
    ASSERT_TRUE(response) << response.error().message;
    EXPECT_EQ(response->head.status, 200);
    EXPECT_EQ(response->body, "ok");
  }
  EXPECT_EQ(setting.server.connections(), 1);
  EXPECT_EQ(setting.client->connections_made(), 1U);
  const std::string request = setting.server.requests().front();
  EXPECT_TRUE(request.starts_with("POST /x HTTP/1.1\r\nHost: 127.0.0.1:")) << request;
  EXPECT_TRUE(request.ends_with("A: b\r\nContent-Length: 2\r\n\r\nhi")) << request;
}

TEST(HttpClient, TimesGrowAlongAStream) {
  Setting setting({{{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
                    {"1\r\na\r\n", 30},
                    {"1\r\nb\r\n0\r\n\r\n", 30}}});
  const auto seen = setting.send();
  setting.loop.run();
  ASSERT_FALSE(seen->failure);
  EXPECT_EQ(seen->body, "ab");
  ASSERT_EQ(seen->times.size(), 2U);
  EXPECT_LE(seen->sent_ns, seen->head_ns);
  EXPECT_LT(seen->head_ns, seen->times[0]);
  // The server waits 30 ms between the two.
  EXPECT_GT(seen->times[1] - seen->times[0], 15'000'000);
  EXPECT_EQ(seen->end_ns, seen->times[1]);
}

TEST(HttpClient, AKeptConnectionThatWasClosedIsReplaced) {
  Setting setting({{{kOk, 0, true}}});
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(fetch(setting.loop, *setting.client, {}));
  EXPECT_EQ(setting.server.connections(), 3);
}

TEST(HttpClient, ACutAnswerIsClosedAndNotSentAgain) {
  Setting setting({{{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", 0, true}}});
  const auto seen = setting.send();
  setting.loop.run();
  ASSERT_TRUE(seen->failure);
  EXPECT_EQ(seen->failure->kind, Failure::Kind::closed);
  EXPECT_EQ(seen->ends, 1);
  EXPECT_EQ(setting.server.requests().size(), 1U);
}

TEST(HttpClient, NoAnswerInTimeIsATimeout) {
  Setting setting({{{"HTTP/1.1 200 OK\r\n"}, {"", 500}}}, {.total_seconds = 0.1});
  const auto seen = setting.send();
  setting.loop.run();
  ASSERT_TRUE(seen->failure);
  EXPECT_EQ(seen->failure->kind, Failure::Kind::timeout);
}

TEST(HttpClient, NobodyListensIsAConnectError) {
  std::uint16_t port = 0;
  {
    port = ScriptedServer({{{kOk}}}).port;
  }
  SystemClock clock;
  EventLoop loop(clock);
  const auto client = Client::create(loop, local(port), {});
  ASSERT_TRUE(client);
  const auto response = fetch(loop, **client, {});
  ASSERT_FALSE(response);
  EXPECT_NE(response.error().message.find("Connection refused"), std::string::npos)
      << response.error().message;
}

TEST(HttpClient, PlainTextIsNoTls) {
  Setting setting({{{kOk}}});
  Url url = local(setting.server.port);
  url.tls = true;
  const auto client = Client::create(setting.loop, url, {.total_seconds = 5});
  if (!client) GTEST_SKIP() << client.error().message;
  const auto seen = std::make_shared<Seen>();
  (*client)->send({}, seen);
  // The server waits for the rest of what it takes to be a request.
  setting.loop.at(setting.clock.monotonic_ns() + 200'000'000, [&] { (*client)->cancel_all(); });
  setting.loop.run();
  ASSERT_TRUE(seen->failure);
  EXPECT_EQ(seen->failure->kind, Failure::Kind::cancelled);
}

TEST(HttpClient, MoreThanTheConnectionsWait) {
  Setting setting({{{kOk, 5}}}, {.most_connections = 1});
  std::vector<std::shared_ptr<Seen>> all;
  for (int i = 0; i < 5; ++i) all.push_back(setting.send());
  setting.loop.run();
  for (const auto& seen : all) EXPECT_EQ(seen->body, "ok");
  EXPECT_EQ(setting.server.connections(), 1);
}

TEST(HttpClient, CancellingEndsEveryRequestOnce) {
  Setting setting({{{kOk, 2000}}}, {.most_connections = 2});
  std::vector<std::shared_ptr<Seen>> all;
  for (int i = 0; i < 4; ++i) all.push_back(setting.send());
  setting.loop.at(setting.clock.monotonic_ns() + 50'000'000, [&] { setting.client->cancel_all(); });
  setting.loop.run();
  for (const auto& seen : all) {
    EXPECT_EQ(seen->ends, 1);
    ASSERT_TRUE(seen->failure);
    EXPECT_EQ(seen->failure->kind, Failure::Kind::cancelled);
  }
}

TEST(HttpClient, WhatIsCancelledBeforeItBeganEndsToo) {
  Setting setting({{{kOk, 2000}}});
  const auto seen = setting.send();
  setting.client->cancel_all();
  setting.loop.run();
  EXPECT_EQ(seen->ends, 1);
  ASSERT_TRUE(seen->failure);
  EXPECT_EQ(seen->failure->kind, Failure::Kind::cancelled);
  EXPECT_TRUE(setting.server.requests().empty());
}

TEST(HttpClient, ARedirectIsAnAnswerThatIsNotFollowed) {
  Setting setting({{{"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"}}});
  const auto response = fetch(setting.loop, *setting.client, {});
  ASSERT_TRUE(response);
  EXPECT_EQ(response->head.status, 302);
  EXPECT_EQ(setting.server.requests().size(), 1U);
}

TEST(HttpClient, TooLargeAnAnswerIsRefused) {
  Setting setting({{{"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"}}},
                  {.limits = {.most_header_bytes = 1000, .most_body_bytes = 10}});
  const auto seen = setting.send();
  setting.loop.run();
  ASSERT_TRUE(seen->failure);
  EXPECT_EQ(seen->failure->kind, Failure::Kind::too_large);
}

}  // namespace
}  // namespace joulery::http
