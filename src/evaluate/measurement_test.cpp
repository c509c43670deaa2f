#include "evaluate/measurement.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <numbers>

#include "stats/random_stream.hpp"

namespace joulery::evaluate {
namespace {

using testing::HasSubstr;

double normal(stats::RandomStream& random) {
  return std::sqrt(-2 * std::log(1 - random.unit())) * std::cos(2 * std::numbers::pi * random.unit());
}

/// A made-up machine whose models cost what is told, on a clock of its own.
struct MadeUpWorld {
  ManualClock clock;
  SystemRoot nowhere{"/no/such/folder"};
  stats::RandomStream random{7};
  double true_seconds = 0.002;
  /// Of a process as a whole, and of a block.
  double process_deviation = 0.01;
  double block_deviation = 0.02;
  int loads = 0;
  int fails_at_load = -1;
  std::string order;
  std::vector<engine::BlockPlan> plans;
  std::vector<std::string> plan_labels;
  /// Inputs of the blocks in `plans`, and what was given last.
  std::vector<std::uint64_t> inputs;
  std::uint64_t input = 0;
  /// The block that fails, counted over all.
  int fails_at_block = -1;
  int blocks = 0;
  /// Blocks, counted over all, that something slows down, and by how much the model is slowed in them.
  std::function<bool(int block)> disturbed;
  double slowdown = 1.4;
  double hertz = 3e9;
  /// Are there slices, with looks at the core's speed, in a block?
  bool looks = true;
  int stop_after = -1;
  int questions = 0;

  MeasureWorld world() {
    return {.clock = clock, .sensors = nowhere, .should_stop = [this](const MeasureProgress&) {
              return stop_after >= 0 && ++questions > stop_after;
            }};
  }
  Subject subject(const std::string& label, double factor = 1, std::int64_t batch = 1);
};

class MadeUpSession final : public engine::Session {
 public:
  MadeUpSession(MadeUpWorld& world, std::string label, double factor)
      : world_(world),
        label_(std::move(label)),
        seconds_(world.true_seconds * factor *
                 std::max(0.1, 1 + world.process_deviation * normal(world.random))) {}
  std::span<const engine::Port> inputs() const override { return {}; }
  std::span<const engine::Port> outputs() const override { return {}; }
  std::span<const engine::EffectiveOption> effective_options() const override { return {}; }
  Status bind_input(std::size_t, const data::TensorView&) override { return {}; }
  Status bind_output(std::size_t, const data::TensorView&) override { return {}; }
  Status run() override { return {}; }
  Result<data::TensorView> output(std::size_t) override { return internal_error("none"); }
  Result<engine::BlockResult> run_block(const engine::BlockPlan& plan) override {
    if (++world_.blocks == world_.fails_at_block) return environment_error("the engine crashed");
    const bool slowed = world_.disturbed && world_.disturbed(world_.blocks);
    const double one = seconds_ * (slowed ? world_.slowdown : 1) *
                       std::max(0.1, 1 + world_.block_deviation * normal(world_.random));
    const auto calls =
        std::clamp<std::uint64_t>(static_cast<std::uint64_t>(plan.seconds / one), 1, plan.calls);
    if (calls > 1) {
      world_.order += label_;
      world_.plans.push_back(plan);
      world_.plan_labels.push_back(label_);
      world_.inputs.push_back(world_.input);
    }
    world_.clock.advance_seconds(one * static_cast<double>(calls));
    const auto wall = one * static_cast<double>(calls);
    std::vector<engine::Slice> slices;
    std::vector<engine::CoreSpeed> speeds;
    if (plan.slice_seconds > 0 && world_.looks) {
      slices = {{.calls = calls, .cpu_seconds = wall, .wall_seconds = wall}};
      speeds.assign(2, {.hertz = world_.hertz, .work_cycles = slowed ? 1.3e6 : 1e6});
    }
    return engine::BlockResult{
        .calls = calls,
        .wall_seconds = one * static_cast<double>(calls),
        .cpu_seconds = one * static_cast<double>(calls),
        .latencies_ns = std::vector<std::int64_t>(calls, static_cast<std::int64_t>(one * 1e9)),
        .slices = std::move(slices),
        .speeds = std::move(speeds)};
  }
  Result<engine::ProcessUsage> usage() override {
    return engine::ProcessUsage{
        .pid = 1, .cpu_seconds = 0.25, .resident_bytes = 1e6, .peak_resident_bytes = 2e6};
  }

 private:
  MadeUpWorld& world_;
  std::string label_;
  double seconds_;
};

Subject MadeUpWorld::subject(const std::string& label, double factor, std::int64_t batch) {
  return {.label = label,
          .load = [this, label, factor]() -> Result<std::unique_ptr<engine::Session>> {
            if (++loads == fails_at_load) return environment_error("the engine is gone");
            clock.advance_seconds(0.05);
            return std::make_unique<MadeUpSession>(*this, label, factor);
          },
          .bind =
              [this](engine::Session&, std::uint64_t block) {
                input = block;
                return Status();
              },
          .batch = batch};
}

TEST(Measure, SpreadsItsBlocksOverProcesses) {
  MadeUpWorld made_up;
  const std::vector subjects{made_up.subject("A", 1, 4)};
  const auto result = measure(subjects, {}, made_up.world());
  ASSERT_TRUE(result);
  const SubjectResult& subject = result->subjects[0];
  EXPECT_EQ(result->ending, Ending::target_reached);
  EXPECT_GE(made_up.loads, 6);
  EXPECT_EQ(subject.cold_starts.size(), static_cast<std::size_t>(made_up.loads));
  EXPECT_EQ(subject.cpu_blocks.groups(), static_cast<std::size_t>(made_up.loads));
  EXPECT_GE(subject.cpu_blocks.values.size(), 60U);
  ASSERT_TRUE(subject.cpu_seconds && subject.cpu_seconds->has_interval);
  EXPECT_LE(subject.cpu_seconds->relative_half_width(), 0.02);
  // A call is four inferences.
  EXPECT_NEAR(subject.cpu_seconds->value, made_up.true_seconds / 4, made_up.true_seconds / 4 * 0.03);
  EXPECT_EQ(subject.latencies_ns.size(), subject.calls);
  EXPECT_TRUE(std::ranges::is_sorted(subject.latencies_ns));
  EXPECT_GT(subject.cold_starts[0].wall_seconds, 0.05);
  EXPECT_EQ(subject.cold_starts[0].cpu_seconds, 0.25);
  EXPECT_FALSE(subject.energy.known);
}

TEST(Measure, GoesOnUntilTheIntervalIsNarrowOrTheBudgetSpent) {
  MadeUpWorld noisy;
  noisy.process_deviation = 0.04;
  const std::vector subjects{noisy.subject("A")};
  const auto long_enough = measure(subjects, {.budget_seconds = 1000}, noisy.world());
  ASSERT_TRUE(long_enough);
  EXPECT_EQ(long_enough->ending, Ending::target_reached);
  EXPECT_GT(long_enough->subjects[0].cpu_blocks.groups(), 6U);
  MadeUpWorld hopeless;
  hopeless.process_deviation = 0.3;
  const std::vector others{hopeless.subject("A")};
  const auto short_of_it = measure(others, {.budget_seconds = 20}, hopeless.world());
  ASSERT_TRUE(short_of_it);
  EXPECT_EQ(short_of_it->ending, Ending::budget_spent);
  EXPECT_GT(short_of_it->subjects[0].cpu_seconds->relative_half_width(), 0.02);
  EXPECT_LT(short_of_it->seconds, 30);
}

TEST(Measure, ASlowModelStillGivesAFigure) {
  MadeUpWorld made_up;
  made_up.true_seconds = 30;
  const std::vector subjects{made_up.subject("A")};
  const auto result = measure(subjects, {.budget_seconds = 10}, made_up.world());
  ASSERT_TRUE(result);
  ASSERT_TRUE(result->subjects[0].cpu_seconds);
  EXPECT_FALSE(result->subjects[0].cpu_seconds->has_interval);
  EXPECT_NEAR(result->subjects[0].cpu_seconds->value, 30, 4);
}

TEST(Measure, TwoRunInTurn) {
  MadeUpWorld made_up;
  const std::vector subjects{made_up.subject("A"), made_up.subject("B", 0.5)};
  const auto result = measure(subjects, {.least_blocks = 24, .least_processes = 6}, made_up.world());
  ASSERT_TRUE(result);
  EXPECT_THAT(made_up.order, HasSubstr("ABBAABBA"));
  ASSERT_TRUE(result->cpu_ratio);
  EXPECT_GT(result->cpu_ratio->low, 0.47);
  EXPECT_LT(result->cpu_ratio->high, 0.53);
  EXPECT_EQ(result->subjects[0].cpu_blocks.values.size(), result->subjects[1].cpu_blocks.values.size());
}

TEST(Measure, CanBeInterruptedAtAnyQuestion) {
  for (int stop_after = 0; stop_after < 40; ++stop_after) {
    MadeUpWorld made_up;
    made_up.stop_after = stop_after;
    const std::vector subjects{made_up.subject("A"), made_up.subject("B")};
    const auto result = measure(subjects, {}, made_up.world());
    ASSERT_TRUE(result) << stop_after;
    EXPECT_EQ(result->ending, Ending::interrupted);
    EXPECT_EQ(result->subjects[0].cpu_blocks.values.size(), result->subjects[1].cpu_blocks.values.size());
  }
}

TEST(Measure, BothOfAPairGetTheSameInputsAndTheSameLoad) {
  MadeUpWorld made_up;
  const std::vector subjects{made_up.subject("A"), made_up.subject("B")};
  const auto result = measure(subjects, {.budget_seconds = 60, .arrivals = Arrivals::poisson, .rate_hz = 100},
                              made_up.world());
  ASSERT_TRUE(result);
  std::map<std::string, std::vector<std::uint64_t>> inputs;
  std::map<std::string, std::vector<std::vector<std::int64_t>>> loads;
  for (std::size_t i = 0; i < made_up.plans.size(); ++i) {
    // Warming up is a closed loop.
    if (made_up.plans[i].arrivals_ns.empty()) continue;
    inputs[made_up.plan_labels[i]].push_back(made_up.inputs[i]);
    loads[made_up.plan_labels[i]].push_back(made_up.plans[i].arrivals_ns);
  }
  ASSERT_GE(inputs["A"].size(), 20U);
  EXPECT_EQ(inputs["A"], inputs["B"]);
  EXPECT_EQ(loads["A"], loads["B"]);
  EXPECT_NE(inputs["A"][0], inputs["A"][1]);
}

TEST(Measure, ALoadThatHardlyComesIsRefused) {
  MadeUpWorld made_up;
  const std::vector subjects{made_up.subject("A")};
  for (const double rate : {1e-300, 1e-6, 0.01}) {
    const auto slow = measure(subjects, {.arrivals = Arrivals::poisson, .rate_hz = rate}, made_up.world());
    ASSERT_FALSE(slow) << rate;
    EXPECT_THAT(slow.error().hint, HasSubstr("--budget"));
  }
  const auto endless =
      measure(subjects, {.arrivals = Arrivals::trace, .trace_ns = {0, 1'000'000'000'000}}, made_up.world());
  ASSERT_FALSE(endless);
  EXPECT_THAT(endless.error().message, HasSubstr("trace lasts"));
  const auto long_trace =
      measure(subjects, {.arrivals = Arrivals::trace, .trace_ns = std::vector<std::int64_t>(200'001)},
              made_up.world());
  EXPECT_FALSE(long_trace) << "its end would be cut off without a word";
  EXPECT_EQ(made_up.loads, 0) << "nothing was measured before";
}

TEST(Measure, ATraceIsPlayedAsAWhole) {
  MadeUpWorld made_up;
  made_up.true_seconds = 1e-5;
  const std::vector subjects{made_up.subject("A")};
  Protocol protocol{.budget_seconds = 10, .arrivals = Arrivals::trace};
  for (int i = 0; i < 50'000; ++i) protocol.trace_ns.push_back(i * std::int64_t{10'000});
  const auto result = measure(subjects, protocol, made_up.world());
  ASSERT_TRUE(result);
  EXPECT_EQ(made_up.plans.back().arrivals_ns.size(), 50'000U);
  EXPECT_EQ(made_up.plans.back().arrivals_ns.back(), 499'990'000);
  EXPECT_EQ(result->subjects[0].unserved_calls, 0U);
}

TEST(Measure, AModelThatCanNotKeepUpIsNotWaitedForForEver) {
  MadeUpWorld made_up;
  made_up.true_seconds = 1;
  const std::vector subjects{made_up.subject("A")};
  const auto result = measure(subjects, {.budget_seconds = 5, .arrivals = Arrivals::poisson, .rate_hz = 1e6},
                              made_up.world());
  ASSERT_TRUE(result);
  EXPECT_LT(result->seconds, 60);
  EXPECT_GT(result->subjects[0].unserved_calls, 1000U);
}

TEST(Measure, TheMemoryOfItsLatenciesIsBounded) {
  MadeUpWorld made_up;
  made_up.true_seconds = 1e-6;
  made_up.process_deviation = 0.5;
  const std::vector subjects{made_up.subject("A")};
  const auto result = measure(subjects, {.budget_seconds = 8, .target_half_width = 1e-6}, made_up.world());
  ASSERT_TRUE(result);
  const SubjectResult& subject = result->subjects[0];
  ASSERT_GT(subject.calls, 2 * kMostLatencies);
  EXPECT_EQ(subject.latencies_ns.size(), kMostLatencies);
  // What is kept is of all processes alike: of each about as much as it had calls.
  double kept = 0;
  for (const std::int64_t latency : subject.latencies_ns) kept += static_cast<double>(latency);
  double all = 0;
  for (const double seconds : subject.wall_blocks.values) all += seconds * 1e9;
  kept /= static_cast<double>(subject.latencies_ns.size());
  all /= static_cast<double>(subject.wall_blocks.values.size());
  EXPECT_NEAR(kept / all, 1, 0.1);
}

TEST(Measure, AnErrorLaterOnLosesNoProcessThatWasMeasured) {
  MadeUpWorld made_up;
  made_up.fails_at_load = 5;
  const std::vector subjects{made_up.subject("A"), made_up.subject("B")};
  const auto result = measure(subjects, {}, made_up.world());
  ASSERT_TRUE(result);
  EXPECT_EQ(result->ending, Ending::failed);
  ASSERT_TRUE(result->failure);
  EXPECT_THAT(result->failure->message, HasSubstr("the engine is gone"));
  EXPECT_EQ(result->subjects[0].cpu_blocks.groups(), 2U);
  ASSERT_TRUE(result->cpu_ratio);
  EXPECT_TRUE(result->cpu_ratio->has_interval);
}

TEST(Measure, ACrashInABlockLeavesWholePairsOnly) {
  int kept = 0;
  for (int block = 1; block < 120; ++block) {
    MadeUpWorld made_up;
    made_up.fails_at_block = block;
    const std::vector subjects{made_up.subject("A"), made_up.subject("B")};
    const auto result = measure(subjects, {}, made_up.world());
    if (!result) {
      EXPECT_THAT(result.error().message, HasSubstr("the engine crashed"));
      continue;
    }
    ++kept;
    EXPECT_EQ(result->ending, Ending::failed);
    EXPECT_EQ(result->subjects[0].cpu_blocks.group_starts, result->subjects[1].cpu_blocks.group_starts);
    EXPECT_EQ(result->subjects[0].cpu_blocks.values.size(), result->subjects[1].cpu_blocks.values.size());
    EXPECT_TRUE(result->cpu_ratio);
    EXPECT_TRUE(result->wall_ratio);
  }
  EXPECT_GT(kept, 50);
}

TEST(Measure, AnErrorOfTheSubjectIsTold) {
  MadeUpWorld made_up;
  made_up.fails_at_load = 1;
  const std::vector subjects{made_up.subject("A")};
  const auto result = measure(subjects, {}, made_up.world());
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr("the engine is gone"));
}

TEST(Measure, ArrivalsAtRandomComeAtTheirRateAndTheSameForBoth) {
  MadeUpWorld made_up;
  const std::vector subjects{made_up.subject("A"), made_up.subject("B")};
  const auto result = measure(subjects, {.budget_seconds = 30, .arrivals = Arrivals::poisson, .rate_hz = 100},
                              made_up.world());
  ASSERT_TRUE(result);
  double arrivals = 0;
  double seconds = 0;
  std::vector<std::vector<std::int64_t>> blocks;
  for (const engine::BlockPlan& plan : made_up.plans) {
    if (plan.arrivals_ns.empty()) continue;
    EXPECT_TRUE(std::ranges::is_sorted(plan.arrivals_ns));
    EXPECT_EQ(plan.calls, plan.arrivals_ns.size());
    blocks.push_back(plan.arrivals_ns);
    arrivals += static_cast<double>(plan.arrivals_ns.size());
    seconds += 0.2;
  }
  ASSERT_GE(blocks.size(), 8U);
  EXPECT_NEAR(arrivals / seconds, 100, 15);
  EXPECT_EQ(blocks[0], blocks[1]) << "A and B of a pair meet the same load";
  EXPECT_NE(blocks[0], blocks[2]);
}

TEST(Measure, ProtocolsThatMakeNoSenseAreRefused) {
  MadeUpWorld made_up;
  const std::vector subjects{made_up.subject("A")};
  EXPECT_FALSE(measure(subjects, {.arrivals = Arrivals::poisson}, made_up.world()));
  EXPECT_FALSE(measure(subjects, {.arrivals = Arrivals::trace}, made_up.world()));
  EXPECT_FALSE(measure(subjects, {.arrivals = Arrivals::trace, .trace_ns = {1'000'000'000, 500'000'000}},
                       made_up.world()));
  EXPECT_FALSE(measure(subjects, {.arrivals = Arrivals::trace, .trace_ns = {-1'000'000'000, 500'000'000}},
                       made_up.world()));
  EXPECT_FALSE(measure({}, {}, made_up.world()));
}

/// What an interval promises: it holds the truth in 95 of 100 cases, although the blocks of a process are
/// alike.
TEST(GroupedMean, HoldsTheTruthAsOftenAsItSays) {
  constexpr int kTrials = 400;
  int held = 0;
  int held_without_groups = 0;
  stats::RandomStream random(11);
  for (int trial = 0; trial < kTrials; ++trial) {
    GroupedValues values;
    for (int process = 0; process < 8; ++process) {
      values.begin_group();
      const double mean = 1 + 0.02 * normal(random);
      for (int block = 0; block < 10; ++block) values.values.push_back(mean * (1 + 0.01 * normal(random)));
    }
    const auto figure = grouped_mean(values, 0.95, static_cast<std::uint64_t>(trial));
    ASSERT_TRUE(figure);
    held += figure->low <= 1 && figure->high >= 1 ? 1 : 0;
    GroupedValues shuffled{.values = {}, .group_starts = {0}};
    for (std::size_t i = 0; i < values.values.size(); ++i)
      shuffled.values.push_back(values.values[(i * 37) % values.values.size()]);
    const auto naive = grouped_mean(shuffled, 0.95, static_cast<std::uint64_t>(trial));
    held_without_groups += naive->low <= 1 && naive->high >= 1 ? 1 : 0;
  }
  EXPECT_GE(held, kTrials * 93 / 100);
  // A test that can't fail would show nothing: without the groups the interval is too narrow.
  EXPECT_LT(held_without_groups, kTrials * 75 / 100);
}

TEST(GroupedMean, SaysWhenRepetitionTellsNothing) {
  const auto one = grouped_mean({.values = {2}, .group_starts = {0}}, 0.95, 1);
  ASSERT_TRUE(one);
  EXPECT_FALSE(one->has_interval);
  EXPECT_EQ(one->value, 2);
  EXPECT_EQ(one->low, 2);
  EXPECT_EQ(one->relative_half_width(), 0);
  EXPECT_FALSE(grouped_mean({}, 0.95, 1));
  EXPECT_FALSE(grouped_mean({.values = {1, -1}, .group_starts = {0}}, 0.95, 1));
  EXPECT_FALSE(grouped_mean({.values = {0, 0}, .group_starts = {0}}, 0.95, 1));
}

TEST(Measure, LeavesOutBlocksThatSomethingElseSlowed) {
  MadeUpWorld made_up;
  // Half of the time, for some seconds each.
  made_up.disturbed = [](int block) { return block / 20 % 2 == 1; };
  const std::vector subjects{made_up.subject("A")};
  const auto result = measure(subjects, {.budget_seconds = 200}, made_up.world());
  ASSERT_TRUE(result);
  const SubjectResult& subject = result->subjects[0];
  EXPECT_EQ(result->ending, Ending::target_reached);
  EXPECT_GT(result->speed.disturbed, 20U);
  EXPECT_GE(result->speed.undisturbed(), 60U);
  EXPECT_EQ(subject.slices.size(), subject.cpu_blocks.values.size());
  ASSERT_TRUE(subject.cpu_seconds && subject.cpu_seconds_as_run && subject.wall_seconds);
  EXPECT_EQ(subject.cpu_seconds->blocks, result->speed.undisturbed());
  EXPECT_NEAR(subject.cpu_seconds->value, made_up.true_seconds, made_up.true_seconds * 0.03);
  EXPECT_NEAR(subject.wall_seconds->value, made_up.true_seconds, made_up.true_seconds * 0.03);
  EXPECT_GT(subject.cpu_seconds_as_run->value, 1.1 * made_up.true_seconds);
  EXPECT_EQ(subject.cpu_seconds_as_run->blocks, subject.cpu_blocks.values.size());
}

TEST(Measure, SaysWhenItWasDisturbedAllTheTime) {
  MadeUpWorld made_up;
  made_up.disturbed = [](int) { return true; };
  made_up.slowdown = 1.28;
  const std::vector subjects{made_up.subject("A")};
  MeasureWorld world = made_up.world();
  world.speed_history = {.work_cycles = {1e6, 1.01e6, 1e6}, .hertz = {3e9, 3e9, 3e9}};
  const auto result = measure(subjects, {.budget_seconds = 20}, world);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->ending, Ending::budget_spent) << "no number of such blocks is enough";
  EXPECT_TRUE(result->speed.always_disturbed);
  const Figure& figure = *result->subjects[0].cpu_seconds;
  EXPECT_GT(figure.value, 1.2 * made_up.true_seconds);
  EXPECT_LT(figure.low, made_up.true_seconds);
}

TEST(Measure, TimesOfTwoBenchesAreAtOneClock) {
  std::vector<double> found;
  for (const double hertz : {3e9, 2.85e9, 3.1e9}) {
    MadeUpWorld made_up;
    made_up.hertz = hertz;
    made_up.true_seconds = 6e6 / hertz;
    const std::vector subjects{made_up.subject("A")};
    MeasureWorld world = made_up.world();
    world.speed_history = {.work_cycles = {1e6}, .hertz = {3e9, 3e9, 3e9}};
    const auto result = measure(subjects, {}, world);
    ASSERT_TRUE(result);
    EXPECT_NEAR(result->speed.hertz, hertz, 1);
    EXPECT_NEAR(result->speed.usual_hertz, 3e9, 1);
    found.push_back(result->subjects[0].cpu_seconds->value);
    EXPECT_NEAR(result->subjects[0].cpu_seconds_as_run->value, made_up.true_seconds,
                0.02 * made_up.true_seconds);
  }
  EXPECT_NEAR(found[1] / found[0], 1, 1e-9);
  EXPECT_NEAR(found[2] / found[0], 1, 0.01);
}

TEST(Measure, UnderArrivalsTimesAreAsTheyWere) {
  for (const Arrivals arrivals : {Arrivals::closed_loop, Arrivals::poisson}) {
    MadeUpWorld made_up;
    made_up.hertz = 2.85e9;
    const std::vector subjects{made_up.subject("A"), made_up.subject("B")};
    MeasureWorld world = made_up.world();
    world.speed_history = {.work_cycles = {1e6}, .hertz = {3e9, 3e9, 3e9}};
    const auto result =
        measure(subjects, {.budget_seconds = 30, .arrivals = arrivals, .rate_hz = 100}, world);
    ASSERT_TRUE(result && result->cpu_ratio && result->wall_ratio);
    const SubjectResult& subject = result->subjects[0];
    const bool scaled = arrivals == Arrivals::closed_loop;
    const double expected = made_up.true_seconds * (scaled ? 0.95 : 1);
    for (const auto* figure : {&subject.cpu_seconds, &subject.wall_seconds}) {
      EXPECT_NEAR((*figure)->value, expected, 0.02 * expected);
      EXPECT_EQ((*figure)->provenance, scaled ? Provenance::derived : Provenance::measured);
    }
    EXPECT_EQ(result->cpu_ratio->provenance, subject.cpu_seconds->provenance);
    EXPECT_EQ(result->wall_ratio->provenance, subject.wall_seconds->provenance);
    EXPECT_EQ(result->speed.counts.empty(), !scaled);
    EXPECT_EQ(subject.cpu_seconds_as_run->provenance, Provenance::measured);
  }
}

TEST(Measure, NobodyLooksAtACoreThatASubjectKeepsBusyItself) {
  MadeUpWorld made_up;
  std::vector subjects{made_up.subject("A"), made_up.subject("B")};
  subjects[1].quiet_between_calls = false;
  const auto result = measure(subjects, {.budget_seconds = 30}, made_up.world());
  ASSERT_TRUE(result && result->cpu_ratio);
  for (const engine::BlockPlan& plan : made_up.plans) EXPECT_EQ(plan.slice_seconds, 0);
  EXPECT_TRUE(result->speed.counts.empty());
  EXPECT_EQ(result->subjects[0].cpu_seconds->value, result->subjects[0].cpu_seconds_as_run->value);
}

TEST(Measure, ABlockWithoutALookAtTheCoreIsAnError) {
  MadeUpWorld made_up;
  made_up.looks = false;
  const std::vector subjects{made_up.subject("A")};
  EXPECT_FALSE(measure(subjects, {}, made_up.world()));
}

TEST(Measure, RatiosRestOnUndisturbedPairs) {
  MadeUpWorld made_up;
  made_up.disturbed = [](int block) { return block % 7 == 3; };
  made_up.slowdown = 2;
  const std::vector subjects{made_up.subject("A"), made_up.subject("B", 0.5)};
  const auto result = measure(subjects, {.budget_seconds = 200}, made_up.world());
  ASSERT_TRUE(result && result->cpu_ratio);
  EXPECT_NEAR(result->cpu_ratio->value, 0.5, 0.015);
  EXPECT_EQ(result->cpu_ratio->blocks, result->speed.undisturbed());
}

}  // namespace
}  // namespace joulery::evaluate
