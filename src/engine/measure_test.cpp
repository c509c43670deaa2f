#include "engine/measure.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <numeric>

#include "engine/contained.hpp"
#include "engine/fake_engine_fixture.hpp"
#include "engine/message.hpp"

namespace joulery::engine {
namespace {

using testing::HasSubstr;

/// A session whose calls take as long as told.
class NappingSession final : public Session {
 public:
  explicit NappingSession(int nap_us, int fails_at = -1) : nap_us_(nap_us), fails_at_(fails_at) {}
  std::span<const Port> inputs() const override { return {}; }
  std::span<const Port> outputs() const override { return {}; }
  std::span<const EffectiveOption> effective_options() const override { return {}; }
  Status bind_input(std::size_t, const data::TensorView&) override { return {}; }
  Status bind_output(std::size_t, const data::TensorView&) override { return {}; }
  Status run() override {
    if (++calls == fails_at_) return environment_error("this call fails");
    if (nap_us_ > 0) ::usleep(static_cast<useconds_t>(nap_us_));
    return {};
  }
  Result<data::TensorView> output(std::size_t) override { return internal_error("none"); }
  int calls = 0;

 private:
  int nap_us_;
  int fails_at_;
};

double seconds_of(const BlockResult& block) {
  return static_cast<double>(
             std::accumulate(block.latencies_ns.begin(), block.latencies_ns.end(), std::int64_t{0})) *
         1e-9;
}

TEST(RunBlock, MakesAsManyCallsAsToldAndTimesEach) {
  NappingSession session(2000);
  const auto block = run_block(session, {.calls = 20, .seconds = 60});
  ASSERT_TRUE(block);
  EXPECT_EQ(block->calls, 20U);
  EXPECT_EQ(session.calls, 20);
  ASSERT_EQ(block->latencies_ns.size(), 20U);
  EXPECT_GE(*std::ranges::min_element(block->latencies_ns), 2'000'000);
  // In a closed loop a call begins when the one before has ended: nothing is lost between them.
  EXPECT_NEAR(seconds_of(*block), block->wall_seconds, 1e-6);
  // A sleeping call takes wall time, not CPU time.
  EXPECT_LT(block->cpu_seconds, block->wall_seconds / 2);
}

/// A session whose calls keep a CPU busy.
class BusySession final : public Session {
 public:
  std::span<const Port> inputs() const override { return {}; }
  std::span<const Port> outputs() const override { return {}; }
  std::span<const EffectiveOption> effective_options() const override { return {}; }
  Status bind_input(std::size_t, const data::TensorView&) override { return {}; }
  Status bind_output(std::size_t, const data::TensorView&) override { return {}; }
  Status run() override {
    const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(300);
    while (std::chrono::steady_clock::now() < end) {
    }
    return {};
  }
  Result<data::TensorView> output(std::size_t) override { return internal_error("none"); }
};

TEST(RunBlock, CpuTimeOfAShortBlockIsSeenUnderALimitToo) {
  // A worker's CPU time is limited, and then the kernel adds up a process's time at its ticks only.
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_CPU, &before), 0);
  const rlimit limited{.rlim_cur = 1'000'000, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_CPU, &limited), 0);
  BusySession session;
  for (int i = 0; i < 50; ++i) {
    const auto block = run_block(session, {.calls = 1, .seconds = 60});
    ASSERT_TRUE(block);
    EXPECT_GT(block->cpu_seconds, 0) << "block " << i;
  }
  ASSERT_EQ(::setrlimit(RLIMIT_CPU, &before), 0);
}

TEST(RunBlock, BeginsNoCallAfterItsTime) {
  NappingSession session(10'000);
  const auto block = run_block(session, {.seconds = 0.05});
  ASSERT_TRUE(block);
  EXPECT_GE(block->calls, 1U);
  EXPECT_LE(block->calls, 5U);
  const auto one = run_block(session, {.seconds = 1e-9});
  ASSERT_TRUE(one);
  EXPECT_EQ(one->calls, 1U);
}

TEST(RunBlock, ACallThatFailsEndsIt) {
  NappingSession session(0, 5);
  const auto block = run_block(session, {.calls = 20});
  ASSERT_FALSE(block);
  EXPECT_THAT(block.error().message, HasSubstr("this call fails"));
  EXPECT_EQ(session.calls, 5);
}

TEST(RunBlock, AQueueIsPartOfTheLatency) {
  // Each call takes 5 ms, and one is due every 2 ms: the n-th waits for n times 3 ms, although each by itself
  // is fast. A load that waits for the answer before would not show it.
  NappingSession session(5000);
  BlockPlan plan{.calls = 20, .seconds = 60};
  for (std::int64_t i = 0; i < 20; ++i) plan.arrivals_ns.push_back(i * 2'000'000);
  const auto block = run_block(session, plan);
  ASSERT_TRUE(block);
  ASSERT_EQ(block->calls, 20U);
  EXPECT_GE(block->latencies_ns.back(), 5'000'000 + 19 * 3'000'000);
  EXPECT_TRUE(std::ranges::is_sorted(block->latencies_ns));
}

TEST(RunBlock, WaitsForACallThatIsNotDueYet) {
  NappingSession session(0);
  const auto block =
      run_block(session, {.calls = 3, .seconds = 60, .arrivals_ns = {0, 20'000'000, 60'000'000}});
  ASSERT_TRUE(block);
  EXPECT_GE(block->wall_seconds, 0.06);
  EXPECT_LT(block->latencies_ns[1], 20'000'000);
  // Waiting is no CPU time.
  EXPECT_LT(block->cpu_seconds, 0.03);
}

TEST(RunBlock, SeveralAtATimeShareTheCalls) {
  NappingSession a(5000);
  NappingSession b(5000);
  NappingSession c(5000);
  const std::vector<Session*> sessions{&a, &b, &c};
  const auto block = run_block(sessions, {.calls = 30, .seconds = 60});
  ASSERT_TRUE(block);
  EXPECT_EQ(block->calls, 30U);
  EXPECT_EQ(a.calls + b.calls + c.calls, 30);
  // Each takes 5 ms whoever else is at it, and three go on at a time.
  EXPECT_GE(*std::ranges::min_element(block->latencies_ns), 5'000'000);
  EXPECT_LT(block->wall_seconds, seconds_of(*block) * 0.6);
  EXPECT_GE(block->wall_seconds, 10 * 0.005);
}

TEST(RunBlock, SeveralAtATimeWorkOffAQueue) {
  NappingSession a(5000);
  NappingSession b(5000);
  const std::vector<Session*> sessions{&a, &b};
  BlockPlan plan{.calls = 20, .seconds = 60};
  for (std::int64_t i = 0; i < 20; ++i) plan.arrivals_ns.push_back(i * 1'000'000);
  const auto block = run_block(sessions, plan);
  ASSERT_TRUE(block);
  EXPECT_EQ(block->calls, 20U);
  // Two of them do 400 a second, and 1,000 a second come: the last has waited for about 30 ms.
  EXPECT_GE(block->latencies_ns.back(), 25'000'000);
}

TEST(RunBlock, AnErrorOfOneEndsAll) {
  NappingSession a(1000, 5);
  NappingSession b(1000);
  const std::vector<Session*> sessions{&a, &b};
  const auto block = run_block(sessions, {.calls = 100'000, .seconds = 60});
  ASSERT_FALSE(block);
  EXPECT_THAT(block.error().message, HasSubstr("this call fails"));
}

TEST(RunBlock, APlanWithoutCallsIsAnError) {
  NappingSession session(0);
  EXPECT_FALSE(run_block(session, {.calls = 0}));
  EXPECT_FALSE(run_block(session, {.calls = 1, .seconds = 0}));
  EXPECT_EQ(session.calls, 0);
}

TEST(RunBlock, MessagesThatCanNotBeAreNotBelieved) {
  BlockResult good{.calls = 2, .wall_seconds = 1, .cpu_seconds = 2, .latencies_ns = {1, 2}};
  BlockResult read;
  EXPECT_TRUE(decode(encode(good), 2, read));
  EXPECT_EQ(read.latencies_ns, good.latencies_ns);
  EXPECT_EQ(read.calls, 2U);
  EXPECT_FALSE(decode(encode(good), 1, read)) << "more calls than were asked for";
  good.latencies_ns = {1, -2};
  EXPECT_FALSE(decode(encode(good), 2, read));
  good.latencies_ns = {1, 2};
  good.cpu_seconds = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(decode(encode(good), 2, read));
  good.cpu_seconds = 1;
  good.latencies_ns = {};
  EXPECT_FALSE(decode(encode(good), 2, read));
  const std::string bytes = encode(BlockPlan{.calls = 3, .seconds = 2, .arrivals_ns = {1, 2, 3}});
  BlockPlan plan;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decode(bytes.substr(0, size), plan)) << size;
  }
  EXPECT_TRUE(decode(bytes, plan));
  EXPECT_EQ(plan.arrivals_ns, (std::vector<std::int64_t>{1, 2, 3}));
}

TEST(RunBlock, SlicesMakeUpTheBlock) {
  NappingSession session(100);
  const auto block = run_block(session, {.calls = 40, .seconds = 60, .slice_seconds = 0.001});
  ASSERT_TRUE(block);
  EXPECT_EQ(block->calls, 40U);
  EXPECT_GT(block->slices.size(), 1U);
  ASSERT_EQ(block->speeds.size(), block->slices.size() + 1);
  std::uint64_t calls = 0;
  double wall = 0;
  for (const Slice& slice : block->slices) {
    calls += slice.calls;
    wall += slice.wall_seconds;
    EXPECT_GT(slice.calls, 0U);
  }
  EXPECT_EQ(calls, 40U);
  EXPECT_NEAR(wall, block->wall_seconds, 1e-12);
  for (const CoreSpeed& speed : block->speeds) EXPECT_GT(speed.hertz, 0);
}

TEST(RunBlock, ABlockWithArrivalsIsOneSlice) {
  NappingSession session(0);
  const auto block = run_block(
      session, {.calls = 3, .seconds = 60, .arrivals_ns = {0, 3'000'000, 6'000'000}, .slice_seconds = 0.001});
  ASSERT_TRUE(block);
  ASSERT_EQ(block->slices.size(), 1U);
  EXPECT_EQ(block->slices[0].calls, 3U);
  EXPECT_EQ(block->speeds.size(), 2U);
  EXPECT_TRUE(run_block(session, {.calls = 3, .seconds = 60})->slices.empty());
}

TEST(RunBlock, SlicesThatCanNotBeAreNotBelieved) {
  const CoreSpeed speed{.hertz = 3e9, .work_cycles = 5e4};
  const BlockResult good{.calls = 2,
                         .wall_seconds = 1,
                         .cpu_seconds = 1,
                         .latencies_ns = {1, 2},
                         .slices = {{.calls = 1, .cpu_seconds = 0.5, .wall_seconds = 0.5},
                                    {.calls = 1, .cpu_seconds = 0.5, .wall_seconds = 0.5}},
                         .speeds = {speed, speed, speed}};
  BlockResult read;
  ASSERT_TRUE(decode(encode(good), 2, read));
  EXPECT_EQ(read.slices.size(), 2U);
  EXPECT_EQ(read.speeds[2].work_cycles, 5e4);
  const std::string bytes = encode(good);
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(decode(bytes.substr(0, size), 2, read));
  const auto refused = [&](auto change) {
    BlockResult bad = good;
    change(bad);
    EXPECT_FALSE(decode(encode(bad), 2, read));
  };
  refused([](BlockResult& bad) { bad.slices[1].calls = 0; });
  refused([](BlockResult& bad) { bad.slices[1].calls = 2; });
  refused([](BlockResult& bad) { bad.slices[0].cpu_seconds = -1; });
  refused([](BlockResult& bad) { bad.speeds[1].hertz = 0; });
  refused([](BlockResult& bad) { bad.speeds[1].work_cycles = -1; });
  refused([](BlockResult& bad) { bad.speeds.pop_back(); });
}

class ContainedBlockTest : public FakeEngineTest {
 protected:
  Result<std::unique_ptr<Session>> load(std::string_view words) {
    JOULERY_ASSIGN(engine_, open_contained_engine(location(), {.path = JOULERY_ENGINE_WORKER}, limits_));
    JOULERY_ASSIGN(std::unique_ptr<Session> session, engine_->load(model(words), {.batch = 2}));
    JOULERY_CHECK_OK(session->bind_input(0, {.type = data::DataType::f32,
                                             .shape = {2, 3},
                                             .data = reinterpret_cast<std::byte*>(input_.data()),
                                             .bytes = sizeof(input_)}));
    return session;
  }
  WorkerLimits limits_;
  std::array<float, 6> input_{1, 2, 3, 4, 5, 6};
  std::unique_ptr<Engine> engine_;
};

TEST_F(ContainedBlockTest, RunsAndTimesWhereTheEngineIs) {
  auto session = load("fine");
  ASSERT_TRUE(session) << session.error().message;
  const auto block = (*session)->run_block({.calls = 1000, .seconds = 30});
  ASSERT_TRUE(block) << block.error().message;
  EXPECT_EQ(block->calls, 1000U);
  EXPECT_GT(block->wall_seconds, 0);
  EXPECT_NEAR(seconds_of(*block), block->wall_seconds, 1e-6);
  // A message to the worker and back takes more than ten of these calls: they were made there.
  EXPECT_FALSE((*session)->output(0)) << "what a block computed is nobody's output";
  ASSERT_TRUE((*session)->run());
  const auto output = (*session)->output(0);
  ASSERT_TRUE(output);
  EXPECT_EQ(output->elements<float>()[5], 12);
}

TEST_F(ContainedBlockTest, TellsWhatItsProcessUsed) {
  auto session = load("fine");
  ASSERT_TRUE(session);
  const auto before = (*session)->usage();
  ASSERT_TRUE(before);
  EXPECT_NE(before->pid, ::getpid());
  EXPECT_GT(before->cpu_seconds, 0);
  EXPECT_GT(before->peak_resident_bytes, 100'000);
  const auto block = (*session)->run_block({.seconds = 0.05});
  ASSERT_TRUE(block);
  const auto after = (*session)->usage();
  ASSERT_TRUE(after);
  EXPECT_GE(after->cpu_seconds - before->cpu_seconds, block->cpu_seconds * 0.99);
}

TEST_F(ContainedBlockTest, TimesThatCanNotBeAreDistrusted) {
  for (const char* words : {"long_wall_run", "long_cpu_run", "long_latency_run"}) {
    auto session = load(words);
    ASSERT_TRUE(session) << session.error().message;
    const auto block = (*session)->run_block({.calls = 1});
    ASSERT_FALSE(block) << words;
    EXPECT_THAT(block.error().message, HasSubstr("makes no sense")) << words;
  }
}

TEST_F(ContainedBlockTest, ABlockWithoutTheSlicesThatWereAskedForIsDistrusted) {
  auto session = load("short_block_run");
  ASSERT_TRUE(session);
  const auto believed = (*session)->run_block({.calls = 1});
  ASSERT_TRUE(believed) << believed.error().message;
  EXPECT_DOUBLE_EQ(believed->wall_seconds, 1e-9);
  session = load("short_block_run");
  ASSERT_TRUE(session);
  const auto block = (*session)->run_block({.calls = 1, .slice_seconds = 0.001});
  ASSERT_FALSE(block);
  EXPECT_THAT(block.error().message, HasSubstr("makes no sense"));
}

TEST_F(ContainedBlockTest, ACrashInABlockIsAnError) {
  auto session = load("crash_run");
  ASSERT_TRUE(session);
  const auto block = (*session)->run_block({.calls = 10});
  ASSERT_FALSE(block);
  EXPECT_THAT(block.error().message, HasSubstr("running the model"));
}

TEST(OwnUsage, IsOfThisProcess) {
  const ProcessUsage usage = own_usage();
  EXPECT_EQ(usage.pid, ::getpid());
  EXPECT_GT(usage.cpu_seconds, 0);
  EXPECT_GE(usage.peak_resident_bytes, usage.resident_bytes);
}

}  // namespace
}  // namespace joulery::engine
