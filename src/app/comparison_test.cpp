#include "app/comparison.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "base/ids.hpp"

namespace joulery::app {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

/// A run with CPU-like noise that repeats with its index, on a host whose power is modelled.
struct RunMaker {
  std::string host = "h1";
  bool modelled = true;
  std::string session = {};  // of pairs; empty: none
  double noise = 0.02;

  ComparedRun make(int index, double seconds, double joules) const {
    // Not drawn: the same in every run of the test. Mean 0 over eight.
    static constexpr double kNoise[8] = {0.3, -1, 0.8, -0.4, 1, -0.7, 0.4, -0.4};
    const double factor = 1 + noise * kNoise[index % 8];
    ComparedRun run;
    run.run_id = make_run_id(1'700'000'000'000'000'000);
    run.name = "job";
    run.command = "job --now";
    run.start_utc_ns = index * 1'000'000'000LL;
    run.host_id = host;
    run.host_name = "name of " + host;
    run.attribution = "process tree";
    run.idle_policy = "proportional";
    run.grid = "grid:world";
    if (!session.empty()) run.pair = session + ":" + std::to_string(index);
    run.duration_seconds = seconds * factor;
    run.cpu_seconds = 2 * seconds * factor;
    std::vector<SystematicSource> sources;
    if (modelled) {
      sources.push_back({.id = "host-power-model:" + host,
                         .low = 0.35,
                         .high = 2.1,
                         .provenance = Provenance::modelled,
                         .basis = "a model"});
    }
    run.energy = UncertainValue(joules * factor, Provenance::measured, 0, sources);
    run.carbon = run.energy->times(UncertainValue(1e-4, Provenance::assumed, 0,
                                                  {{.id = "grid:world",
                                                    .low = 0.1,
                                                    .high = 1.7,
                                                    .provenance = Provenance::assumed,
                                                    .basis = "a grid"}}));
    return run;
  }
};

RunGroup group(const std::string& label, const RunMaker& maker, int count, double seconds, double joules) {
  RunGroup result{.label = label, .runs = {}, .left_out = {}};
  for (int i = 0; i < count; ++i) result.runs.push_back(maker.make(i, seconds, joules));
  return result;
}

const FigureComparison& figure(const Comparison& comparison, const std::string& key) {
  for (const FigureComparison& candidate : comparison.figures) {
    if (candidate.key == key) return candidate;
  }
  ADD_FAILURE() << key;
  return comparison.figures.front();
}

Comparison compare(RunGroup a, RunGroup b, const ComparisonOptions& options = {}) {
  auto comparison = compare_groups(std::move(a), std::move(b), options);
  EXPECT_TRUE(comparison) << comparison.error().message;
  return std::move(*comparison);
}

std::string warnings_of(const Comparison& comparison) {
  std::string text;
  for (const meter::Warning& warning : comparison.warnings) text += warning.text + "\n";
  return text;
}

TEST(Comparison, AModelThatBothShareCancels) {
  const Comparison result = compare(group("a", {}, 6, 10, 100), group("b", {}, 6, 10, 80));
  const FigureComparison& energy = figure(result, "energy_joules");
  EXPECT_NEAR(energy.repeated->ratio, 0.8, 1e-9);
  EXPECT_GT(energy.range->low, 0.75);
  EXPECT_LT(energy.range->high, 0.85);
  EXPECT_EQ(energy.verdict, Verdict::less);
  EXPECT_EQ(energy.systematic_high, 1);
  EXPECT_EQ(energy.provenance, Provenance::modelled);
  EXPECT_THAT(energy.text, HasSubstr("B uses 20 % less energy ("));
  // The means themselves are as uncertain as ever.
  EXPECT_GT(energy.mean_a->interval().high, 150);
  const FigureComparison& carbon = figure(result, "carbon_gco2e");
  EXPECT_EQ(carbon.verdict, Verdict::less);
  EXPECT_THAT(carbon.text, HasSubstr("B emits 20 % less carbon"));
}

TEST(Comparison, ModelsOfTwoHostsDoNotCancel) {
  const Comparison result = compare(group("a", {}, 6, 10, 100), group("b", {.host = "h2"}, 6, 10, 80));
  const FigureComparison& energy = figure(result, "energy_joules");
  EXPECT_LT(energy.range->low, 0.4);
  EXPECT_GT(energy.range->high, 1.6);
  EXPECT_FALSE(energy.range->is_confidence);
  EXPECT_EQ(energy.verdict, Verdict::no_common_base);
  EXPECT_THAT(energy.text, HasSubstr("more runs do not mend that"));
  // Two unknown places are two places.
  EXPECT_GT(figure(result, "carbon_gco2e").range->high, energy.range->high);
  EXPECT_THAT(warnings_of(result), HasSubstr("hosts differ: A name of h1, B name of h2"));
}

TEST(Comparison, MeasuredOnTwoHostsIsStillMeasured) {
  const Comparison result = compare(group("a", {.modelled = false}, 6, 10, 100),
                                    group("b", {.host = "h2", .modelled = false}, 6, 10, 80));
  EXPECT_EQ(figure(result, "energy_joules").verdict, Verdict::less);
  EXPECT_TRUE(figure(result, "energy_joules").range->is_confidence);
}

TEST(Comparison, PairsAreFoundAndOddOnesLeftOut) {
  RunGroup a = group("A", {.session = "s"}, 8, 10, 100);
  RunGroup b = group("B", {.session = "s"}, 8, 9, 90);
  std::swap(b.runs[1], b.runs[6]);
  a.runs.erase(a.runs.begin() + 2);
  b.runs.push_back(RunMaker{}.make(20, 9, 90));
  const Comparison result = compare(std::move(a), std::move(b));
  EXPECT_TRUE(result.paired);
  ASSERT_EQ(result.a.runs.size(), 7U);
  ASSERT_EQ(result.b.runs.size(), 7U);
  for (std::size_t i = 0; i < 7; ++i) EXPECT_EQ(result.a.runs[i].pair, result.b.runs[i].pair);
  EXPECT_EQ(result.b.left_out.size(), 2U);
  EXPECT_THAT(warnings_of(result),
              AllOf(HasSubstr("runs of B that are left out: 2"), Not(HasSubstr("interleaved"))));
  // Noise that pairs share is gone.
  EXPECT_LT(figure(result, "duration_seconds").repeated->log_standard_error, 1e-9);
  EXPECT_GT(*figure(result, "duration_seconds").noise_floor, 0.01);
}

TEST(Comparison, GroupsThatWereNotInterleavedAreSaidToBeWeaker) {
  const Comparison result = compare(group("a", {}, 6, 10, 100), group("b", {}, 5, 9, 90));
  EXPECT_FALSE(result.paired);
  EXPECT_THAT(warnings_of(result), HasSubstr("not interleaved"));
}

TEST(Comparison, OneRunEachSaysNothingOfChance) {
  const Comparison result = compare(group("a", {}, 1, 10, 100), group("b", {}, 1, 5, 50));
  for (const FigureComparison& each : result.figures) {
    EXPECT_EQ(each.verdict, Verdict::single_runs) << each.key;
    EXPECT_THAT(each.text, HasSubstr("50 % less"));
    EXPECT_THAT(each.text, HasSubstr("no range: one run each says nothing of chance: repeat them, 4 more"));
    EXPECT_FALSE(each.runs_needed);
    EXPECT_FALSE(each.range) << each.key;
  }
  const std::string document = comparison_document({result});
  EXPECT_THAT(document, HasSubstr("\"low\": null"));
  EXPECT_THAT(document, HasSubstr("\"interval\": null"));
}

TEST(Comparison, RunsWithoutAnyScatterSayNothingOfChance) {
  for (const ComparisonOptions& options : {ComparisonOptions{}, ComparisonOptions{.margin = 0.5}}) {
    for (const char* session : {"", "s"}) {
      const RunMaker maker{.modelled = false, .session = session, .noise = 0};
      const Comparison result =
          compare(group("a", maker, 12, 10, 100), group("b", maker, 12, 8, 80), options);
      for (const FigureComparison& each : result.figures) {
        EXPECT_EQ(each.verdict, Verdict::no_scatter) << each.key;
        EXPECT_FALSE(each.range);
        EXPECT_FALSE(each.noise_floor);
        EXPECT_FALSE(each.runs_needed);
        EXPECT_THAT(each.text,
                    AllOf(HasSubstr("in these runs B had 20 % less"),
                          HasSubstr("no range: the runs do not differ at all"), HasSubstr("coarse")));
      }
      EXPECT_THAT(comparison_document({result}),
                  AllOf(HasSubstr("\"method\": \"none\""), HasSubstr("\"verdict\": \"no_scatter\"")));
    }
  }
}

TEST(Comparison, FiguresWithoutARangeAreOnlyToldApartFromChance) {
  const RunMaker maker{.modelled = false};
  RunGroup a = group("a", maker, 6, 10, 100);
  const RunGroup b = group("b", maker, 6, 10, 177);
  a.runs[3].energy_has_range = false;
  const Comparison result = compare(a, b);
  const FigureComparison& energy = figure(result, "energy_joules");
  EXPECT_EQ(energy.verdict, Verdict::beyond_chance);
  EXPECT_THAT(energy.text,
              AllOf(HasSubstr("in these runs B had 77 % more energy ("), HasSubstr("chance alone"),
                    HasSubstr("how far the figures themselves are off is not known")));
  EXPECT_THAT(energy.basis, HasSubstr("chance alone"));
  ASSERT_TRUE(energy.range);
  EXPECT_NE(figure(result, "carbon_gco2e").verdict, Verdict::beyond_chance);

  const Comparison same = compare(a, group("b", maker, 6, 10, 100.1), {.margin = 0.5});
  EXPECT_EQ(figure(same, "energy_joules").verdict, Verdict::beyond_chance);
  EXPECT_THAT(figure(same, "energy_joules").text,
              AllOf(HasSubstr("as far as chance goes, no difference in energy (within ±50 %)"),
                    HasSubstr("is not known")));
  EXPECT_THAT(
      figure(compare(a, group("b", {.modelled = false, .noise = 0.4}, 6, 10, 100)), "energy_joules").text,
      AllOf(HasSubstr("too few runs"), HasSubstr("how far the figures themselves are off is not known")));

  a.runs.resize(4);
  a.runs.erase(a.runs.begin(), a.runs.begin() + 3);
  const std::string document = comparison_document({compare(a, b)});
  // A single value without a range is not one from itself to itself.
  EXPECT_THAT(document,
              HasSubstr("\"value\": 99.2,\n            \"low\": null,\n            \"high\": null"));
}

TEST(Comparison, ARangeNeedsChanceOnBothSides) {
  const Comparison result = compare(group("a", {}, 1, 10, 100), group("b", {.host = "h2"}, 3, 5, 50));
  EXPECT_FALSE(figure(result, "energy_joules").range);
  EXPECT_THAT(figure(result, "energy_joules").text,
              AllOf(HasSubstr("one run of A says nothing"), HasSubstr("4 more of A and 2 of B would do")));
}

/// Runs of which each may be off by itself, as attribution and idle power are.
RunGroup group_of_errors(const std::string& label, int count, double joules, const char* id,
                         Provenance provenance = Provenance::derived,
                         const RunMaker& maker = {.noise = 0.01}) {
  RunGroup result = group(label, maker, count, 10, joules);
  for (ComparedRun& run : result.runs) {
    run.energy = run.energy->times(UncertainValue(1, provenance, 0,
                                                  {{.id = fmt::format(fmt::runtime(id), run.run_id),
                                                    .low = 0.8,
                                                    .high = 1.2,
                                                    .provenance = provenance,
                                                    .basis = "others ran"}}));
  }
  return result;
}

TEST(Comparison, MoreRunsMendWhatEachRunIsOffByForItself) {
  for (const char* id : {"attribution:{}", "idle-power:{}", "attribution:{}:gpu0"}) {
    const Comparison same = compare(group_of_errors("a", 5, 100, id), group_of_errors("b", 5, 101, id));
    const FigureComparison& energy = figure(same, "energy_joules");
    EXPECT_EQ(energy.verdict, Verdict::too_few_runs) << id;
    EXPECT_THAT(energy.text, AllOf(HasSubstr("more runs of each would show"), Not(HasSubstr("mend"))));
    ASSERT_TRUE(energy.runs_needed);
    // As many as it says do, and a few do not.
    const auto enough = static_cast<int>(*energy.runs_needed);
    EXPECT_GT(enough, 20);
    const Comparison more =
        compare(group_of_errors("a", enough, 100, id), group_of_errors("b", enough, 106, id));
    EXPECT_EQ(figure(more, "energy_joules").verdict, Verdict::more) << id << " " << enough;
  }
}

TEST(Comparison, ErrorsOfOneRunAreThoseOfOneRunOnTwoHostsToo) {
  for (const char* id : {"attribution:{}", "idle-power:{}", "idle-power:{}:gpu0"}) {
    RunGroup a = group_of_errors("a", 5, 100, id, Provenance::assumed, {.modelled = false, .noise = 0.01});
    RunGroup b = group_of_errors("b", 5, 101, id, Provenance::assumed,
                                 {.host = "h2", .modelled = false, .noise = 0.01});
    const Comparison result = compare(std::move(a), std::move(b));
    const FigureComparison& energy = figure(result, "energy_joules");
    EXPECT_EQ(energy.verdict, Verdict::too_few_runs) << id;
    EXPECT_EQ(energy.lasting, 0) << id;
    EXPECT_THAT(energy.text, AllOf(HasSubstr("more runs of each would show"), Not(HasSubstr("mend"))));
    // Two places that are not known are two places, and stay so.
    EXPECT_EQ(figure(result, "carbon_gco2e").verdict, Verdict::no_common_base) << id;
  }
}

TEST(Comparison, MoreRunsDoNotMendWhatAllRunsOfASideShareNorWhatIsUnknown) {
  for (const auto& [of_a, of_b] :
       {std::pair{"model:a", "model:b"}, {"run:{}:energy_joules", "run:{}:energy_joules"}}) {
    const Comparison result = compare(group_of_errors("a", 5, 100, of_a), group_of_errors("b", 5, 101, of_b));
    EXPECT_EQ(figure(result, "energy_joules").verdict, Verdict::no_common_base) << of_a;
    EXPECT_FALSE(figure(result, "energy_joules").runs_needed);
  }
}

TEST(Comparison, TooFewRunsSayHowManyMore) {
  const Comparison result =
      compare(group("a", {.noise = 0.2}, 4, 10, 100), group("b", {.noise = 0.2}, 5, 10, 100));
  const FigureComparison& wall = figure(result, "duration_seconds");
  EXPECT_EQ(wall.verdict, Verdict::too_few_runs);
  ASSERT_TRUE(wall.runs_needed);
  EXPECT_THAT(wall.text, HasSubstr("no difference in wall time found: too few runs; " +
                                   std::to_string(*wall.runs_needed - 4) +
                                   " more runs of each would show one of 5.0 %"));
}

TEST(Comparison, NoDifferenceIsSaidOnlyByTheEquivalenceTest) {
  const RunMaker maker{.noise = 0.01};
  const auto a = group("a", maker, 8, 10, 100);
  const auto b = group("b", maker, 8, 10.02, 100.2);
  const FigureComparison plain = figure(compare(a, b), "duration_seconds");
  EXPECT_EQ(plain.verdict, Verdict::not_found);
  EXPECT_FALSE(plain.equivalence_p_value);
  EXPECT_THAT(plain.text, AllOf(HasSubstr("found"), HasSubstr("--margin"), Not(HasSubstr("within"))));

  const FigureComparison shown = figure(compare(a, b, {.margin = 0.05}), "duration_seconds");
  EXPECT_EQ(shown.verdict, Verdict::equivalent);
  EXPECT_LE(*shown.equivalence_p_value, 0.05);
  EXPECT_THAT(shown.text, HasSubstr("no difference in wall time (within ±5.0 %)"));

  const FigureComparison tight = figure(compare(a, b, {.margin = 0.001}), "duration_seconds");
  EXPECT_EQ(tight.verdict, Verdict::too_few_runs);
  EXPECT_THAT(tight.text, HasSubstr("none within ±0.1 % shown"));
}

TEST(Comparison, AMarginIsNotMetByWhatMayBeFarOff) {
  const RunMaker maker{.noise = 0.001};
  const Comparison result = compare(group("a", maker, 8, 10, 100),
                                    group("b", {.host = "h2", .noise = 0.001}, 8, 10, 100), {.margin = 0.05});
  EXPECT_EQ(figure(result, "cpu_seconds").verdict, Verdict::equivalent);
  EXPECT_EQ(figure(result, "energy_joules").verdict, Verdict::no_common_base);
}

TEST(Comparison, AGroupOfFailuresDoesNotBlockTheOthers) {
  RunGroup failed = group("broken", {}, 0, 1, 1);
  failed.left_out = {{"x", "failed"}, {"y", "failed"}};
  std::vector<RunGroup> groups = {failed, group("a", {}, 2, 1, 1), group("b", {}, 2, 1, 1)};
  const auto warnings = leave_out_empty_groups(groups, false);
  ASSERT_TRUE(warnings);
  ASSERT_EQ(groups.size(), 2U);
  EXPECT_EQ(groups[0].label, "a");
  ASSERT_EQ(warnings->size(), 1U);
  EXPECT_EQ(warnings->front().text, "'broken' is left out: none of its 2 runs ended well");
  // A baseline that was asked for is not replaced.
  groups.insert(groups.begin(), failed);
  ASSERT_TRUE(leave_out_empty_groups(groups, true));
  EXPECT_EQ(groups.front().label, "broken");
  groups = {group("a", {}, 2, 1, 1), failed};
  EXPECT_THAT(leave_out_empty_groups(groups, false).error().message,
              HasSubstr("fewer than two groups are left to compare: 'broken' is left out"));
}

TEST(Comparison, LargeRatiosAreSaidAsTimes) {
  const Comparison result = compare(group("a", {}, 6, 1, 1), group("b", {}, 6, 3.2, 3.2));
  EXPECT_THAT(figure(result, "duration_seconds").text, HasSubstr("B takes 3.2 times as much wall time ("));
}

TEST(Comparison, WhatIsNotKnownOfOneRunIsNotCompared) {
  RunGroup a = group("a", {}, 3, 10, 100);
  RunGroup b = group("b", {}, 3, 10, 80);
  b.runs[1].energy.reset();
  b.runs[1].carbon.reset();
  a.runs[0].cpu_seconds = std::numeric_limits<double>::quiet_NaN();
  const Comparison result = compare(std::move(a), std::move(b));
  EXPECT_EQ(figure(result, "energy_joules").verdict, Verdict::unknown);
  EXPECT_TRUE(figure(result, "energy_joules").mean_a);
  EXPECT_FALSE(figure(result, "energy_joules").mean_b);
  EXPECT_EQ(figure(result, "cpu_seconds").verdict, Verdict::unknown);
  EXPECT_NE(figure(result, "duration_seconds").verdict, Verdict::unknown);
}

TEST(Comparison, ZerosHaveNoRatio) {
  const Comparison result = compare(group("a", {}, 3, 10, 0), group("b", {}, 3, 10, 80));
  EXPECT_EQ(figure(result, "energy_joules").verdict, Verdict::unknown);
  EXPECT_FALSE(figure(result, "energy_joules").repeated);
  EXPECT_EQ(figure(result, "energy_joules").text, "A had no energy (0 J): there is no ratio to zero");
  const Comparison nothing = compare(group("a", {}, 3, 0, 1), group("b", {}, 3, 0, 1));
  EXPECT_EQ(figure(nothing, "duration_seconds").text,
            "A and B had no wall time (0 s): there is no ratio to zero");
}

TEST(Comparison, NumbersHaveAsManyDigitsAsSaySomething) {
  const auto text = [](double of_b, int count) {
    return figure(compare(group("a", {.noise = 0.001}, count, 1, 100),
                          group("b", {.noise = 0.001}, count, 1, of_b)),
                  "carbon_gco2e")
        .text;
  };
  EXPECT_THAT(text(100, 1), HasSubstr("in these runs B had the same carbon; no range"));
  EXPECT_THAT(text(100.01, 1), HasSubstr("B had 0.01 % more carbon"));
  EXPECT_THAT(text(1e26, 1), HasSubstr("B had 1e+24 times as much carbon"));
  EXPECT_THAT(text(1e-22, 6), HasSubstr("B emits more than 99.9 % less carbon"));
}

TEST(Comparison, OfOneUnitIfAllSayHowManyTheyDid) {
  RunGroup a = group("a", {}, 3, 10, 100);
  RunGroup b = group("b", {}, 3, 10, 100);
  for (auto& run : a.runs) run.per = {.count = 1000, .unit = "images"};
  for (auto& run : b.runs) run.per = {.count = 500, .unit = "images"};
  const Comparison result = compare(a, b);
  EXPECT_EQ(result.per_unit, "images");
  EXPECT_NEAR(figure(result, "energy_joules").repeated->ratio, 2, 1e-9);
  b.runs[0].per->unit = "tokens";
  const Comparison mixed = compare(a, b);
  EXPECT_EQ(mixed.per_unit, "");
  EXPECT_NEAR(figure(mixed, "energy_joules").repeated->ratio, 1, 1e-9);
  EXPECT_THAT(warnings_of(mixed), HasSubstr("not all runs did work of the same unit"));
}

TEST(Comparison, WarnsOfWhatElseDiffers) {
  RunGroup a = group("a", {}, 3, 10, 100);
  RunGroup b = group("b", {}, 3, 10, 100);
  for (auto& run : b.runs) {
    run.idle_policy = "all";
    run.attribution = "cgroup";
    run.grid = "grid:FR";
  }
  b.runs[0].idle_policy = "none";
  EXPECT_THAT(
      warnings_of(compare(a, b)),
      AllOf(HasSubstr("idle policies differ: A proportional, B all, none"),
            HasSubstr("tiers of attribution differ: A process tree, B cgroup"),
            HasSubstr("grid factors of carbon differ: A grid:world, B grid:FR"), Not(HasSubstr("hosts"))));
}

TEST(Comparison, TheSameRunsOrNoneAreRefused) {
  const RunGroup a = group("a", {}, 3, 10, 100);
  EXPECT_THAT(compare_groups(a, a, {}).error().message, HasSubstr("in common"));
  RunGroup none{.label = "none", .runs = {}, .left_out = {{"x", "failed"}}};
  EXPECT_THAT(compare_groups(a, none, {}).error().message, HasSubstr("'none' has no run that ended well"));
}

}  // namespace
}  // namespace joulery::app
