#include "evaluate/endpoint/load_generator.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/remote/oip.hpp"
#include "http/scripted_server.hpp"

namespace joulery::evaluate::endpoint {
namespace {

constexpr const char* kBody = R"({"outputs":[]})";
const std::string kOk =
    fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", std::string_view(kBody).size(), kBody);
const std::string kBusy = "HTTP/1.1 503 Busy\r\nRetry-After: 0.2\r\nContent-Length: 0\r\n\r\n";

class Watcher final : public LoadObserver {
 public:
  void on_begin() override { ++begins; }
  void on_end() override { ++ends; }
  bool interrupted() override { return interrupt; }
  int begins = 0;
  int ends = 0;
  bool interrupt = false;
};

/// A server that answers one request at a time, each after so many milliseconds.
struct Setting {
  explicit Setting(std::vector<std::vector<http::Piece>> script)
      : server(std::move(script)),
        client(*http::Client::create(loop, *http::parse_url(fmt::format("http://127.0.0.1:{}/", server.port)),
                                     {.most_connections = 64})),
        protocol(*engine::remote::oip_protocol({.model_path = "/v2/models/m", .model = "m"},
                                               {{"x", "FP32", {1}}})) {}
  LoadResult run(const LoadPlan& plan) { return run_load(loop, *client, *protocol, plan, watcher); }
  SystemClock clock;
  http::EventLoop loop{clock};
  http::ScriptedServer server;
  std::unique_ptr<http::Client> client;
  std::unique_ptr<engine::remote::Protocol> protocol;
  Watcher watcher;
};

TEST(LoadGenerator, AClosedLoopSendsTheNextAfterTheAnswer) {
  Setting setting({{{kOk, 2}}});
  const LoadResult result = setting.run({.concurrency = 1, .length = {.requests = 20}, .warmup = 3});
  ASSERT_EQ(result.records.size(), 20U);
  EXPECT_EQ(setting.server.requests().size(), 23U) << "warm-up is sent and not counted";
  EXPECT_EQ(setting.watcher.begins, 1);
  EXPECT_EQ(setting.watcher.ends, 1);
  for (std::size_t i = 0; i < result.records.size(); ++i) {
    const RequestRecord& record = result.records[i];
    EXPECT_TRUE(record.ok()) << record.answer.error;
    EXPECT_GE(record.end_ns - record.sent_ns, 2'000'000);
    if (i > 0) {
      EXPECT_GE(record.intended_ns, result.records[i - 1].end_ns);
    }
  }
  EXPECT_EQ(result.end_ns, result.records.back().end_ns);
  EXPECT_LE(result.start_ns, result.records.front().intended_ns);
  EXPECT_GT(result.client_cpu_seconds, 0);
}

TEST(LoadGenerator, AnOpenLoopDoesNotWaitForASlowServer) {
  // Due every 5 ms, served in 20 ms each, one after the other: request i waits for those before it.
  Setting setting({{{kOk, 20, true}}});
  const LoadResult result =
      setting.run({.concurrency = 0, .arrivals = constant_arrivals(200, {.requests = 24, .seconds = 0})});
  ASSERT_EQ(result.records.size(), 24U);
  const std::int64_t start = result.records.front().intended_ns;
  for (std::size_t i = 0; i < 24; ++i) {
    EXPECT_TRUE(result.records[i].ok()) << result.records[i].answer.error;
    EXPECT_EQ(result.records[i].intended_ns - start, static_cast<std::int64_t>(i) * 5'000'000);
  }
  // A closed loop would see 20 ms for each; here the k-th answer can't come before 20 k ms.
  std::vector<std::int64_t> ends;
  std::vector<double> latencies;
  for (const RequestRecord& record : result.records) {
    ends.push_back(record.end_ns);
    latencies.push_back(double(record.end_ns - record.intended_ns) / 1e9);
  }
  std::ranges::sort(ends);
  EXPECT_GE(ends.back() - start, 24 * 20'000'000LL);
  const auto all = describe(latencies);
  EXPECT_GT(all->maximum, 0.3) << "the last of 24 waits for 23 others, less the 115 ms until it was due";
  EXPECT_GT(all->mean, 0.1);
}

TEST(LoadGenerator, ATimeEndsAClosedLoop) {
  Setting setting({{{kOk, 10}}});
  const LoadResult result = setting.run({.concurrency = 1, .length = {.requests = 0, .seconds = 0.2}});
  EXPECT_GE(result.records.size(), 2U);
  EXPECT_LE(result.records.size(), 20U);
  EXPECT_LT(result.records.back().intended_ns - result.start_ns, 200'000'000);
}

TEST(LoadGenerator, ABusyServerIsSparedAsItAsks) {
  Setting setting({{{kBusy}}, {{kOk}}});
  const LoadResult result = setting.run({.concurrency = 1, .length = {.requests = 3}});
  ASSERT_EQ(result.records.size(), 3U);
  EXPECT_EQ(result.records[0].answer.error_kind, "http_503");
  EXPECT_TRUE(result.records[1].ok());
  EXPECT_EQ(result.held_back, 1U);
  EXPECT_GE(result.records[1].intended_ns - result.records[0].end_ns, 200'000'000);
}

TEST(LoadGenerator, AnInterruptionCancelsWhatIsUnderWay) {
  Setting setting({{{kOk, 3000}}});
  setting.watcher.interrupt = true;
  const LoadResult result = setting.run({.concurrency = 4, .length = {.requests = 100}});
  EXPECT_TRUE(result.interrupted);
  ASSERT_EQ(result.records.size(), 4U);
  for (const RequestRecord& record : result.records) EXPECT_TRUE(record.cancelled);
  EXPECT_EQ(setting.watcher.ends, 1);
}

TEST(LoadGenerator, LoadsFollowOneAnotherOnOneClient) {
  Setting setting({{{kOk}}});
  for (int i = 0; i < 3; ++i) {
    const LoadResult result = setting.run({.concurrency = 1, .length = {.requests = 5}});
    ASSERT_EQ(result.records.size(), 5U);
    for (const RequestRecord& record : result.records) EXPECT_TRUE(record.ok());
  }
}

}  // namespace
}  // namespace joulery::evaluate::endpoint
