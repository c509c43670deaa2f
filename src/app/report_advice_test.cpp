#include <gmock/gmock.h>

#include <algorithm>

#include "app/report.hpp"

namespace joulery::app {
namespace {

using testing::HasSubstr;

ReportFigure figure(double value, double low, double high, const std::string& unit, Provenance provenance) {
  return {.value = value,
          .low = low,
          .high = high,
          .has_range = true,
          .confidence = false,
          .provenance = provenance,
          .basis = {},
          .unit = unit};
}

/// 10 s on 4 CPUs of which one was busy; 20 W idle, of which all fell on the run: 200 J of its 300 J.
RunReport quarter_busy() {
  RunReport run;
  run.run.name = "job";
  run.run.id = std::string(32, 'a');
  run.run.start_utc_ns = 1'767'225'600'000'000'000;  // 2026
  run.end = "went through";
  run.duration_seconds = 10;
  run.cpu_seconds = 10;
  run.machine_cpus = 4;
  run.idle_watts = 20;
  run.idle_policy = "proportional";
  run.energy = figure(300, 150, 600, "J", Provenance::modelled);
  run.energy_idle_share = figure(200, 100, 400, "J", Provenance::modelled);
  return run;
}

void put_in(RunReport& run, const std::string& zone, const std::string& name, double grams_per_kwh) {
  run.zone = zone;
  run.zone_name = name;
  run.intensity_kind = "average lifecycle location-based";
  run.pue = 1;
  run.carbon = figure(36, 18, 72, "g", Provenance::assumed);
  footprint::Derivation carbon;
  carbon.figure = "carbon";
  carbon.factors = {
      {.key = "pue", .label = "PUE", .value = 1, .unit = "", .low = 1, .high = 1, .basis = {}, .source = {}},
      {.key = "grid_intensity",
       .label = "grid",
       .value = grams_per_kwh,
       .unit = "g/kWh",
       .low = grams_per_kwh * 0.7,
       .high = grams_per_kwh * 1.4,
       .provenance = Provenance::derived,
       .basis = {},
       .source = {}}};
  run.derivations = {carbon};
}

const Advice* find(const std::vector<Advice>& all, const std::string& key) {
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const Advice& each) { return each.key == key; });
  return found == all.end() ? nullptr : &*found;
}

class ReportAdvice : public testing::Test {
 protected:
  std::vector<Advice> advise(const RunReport& run) const { return find_advice(data_, run); }
  footprint::DataSet data_;
};

TEST_F(ReportAdvice, IdleSavesWhatAFullMachineWouldNotHave) {
  const RunReport run = quarter_busy();
  const auto all = advise(run);
  const Advice* idle = find(all, "idle");
  ASSERT_NE(idle, nullptr);
  // 20 W × 10 s of CPU / 4 CPUs = 50 J are left of 200 J: 150 J of 300 J.
  EXPECT_DOUBLE_EQ(idle->share_low, 0);
  EXPECT_NEAR(idle->share_high, 0.5, 1e-12);
  // At most half of what the energy may be.
  EXPECT_EQ(idle->effect, "saves 0 to 50 % of its energy: at most 300 J");
  EXPECT_THAT(idle->text, HasSubstr("67 %"));
}

TEST_F(ReportAdvice, IdleOfGpusIsToldApart) {
  RunReport run = quarter_busy();
  // 120 J of the 200 J idle are a GPU's, which the run used for 2 of its 10 s.
  run.idle_watts = 35;
  run.gpus = {{.name = "card", .idle_share_joules = 120, .idle_watts = 15, .busy_seconds = 2}};
  const auto all = advise(run);
  ASSERT_NE(find(all, "idle_gpus"), nullptr);
  EXPECT_NEAR(find(all, "idle_gpus")->share_high, (120 - 30) / 300.0, 1e-12);
  ASSERT_NE(find(all, "idle"), nullptr);
  EXPECT_NEAR(find(all, "idle")->share_high, (80 - 50) / 300.0, 1e-12);
}

TEST_F(ReportAdvice, ABusyMachineHasNothingToGainFromIdle) {
  RunReport run = quarter_busy();
  run.cpu_seconds = 40;
  EXPECT_EQ(find(advise(run), "idle"), nullptr);
  run = quarter_busy();
  run.idle_policy = "none";
  EXPECT_EQ(find(advise(run), "idle"), nullptr);
}

TEST_F(ReportAdvice, WhereIdlePowerIsAGuessNothingIsPromisedOfIt) {
  RunReport run = quarter_busy();
  run.idle_watts_low = 0;
  run.idle_watts_high = 480;
  const auto all = advise(run);
  EXPECT_EQ(find(all, "idle"), nullptr);
  ASSERT_NE(find(all, "idle_power"), nullptr);
  EXPECT_THAT(find(all, "idle_power")->text, HasSubstr("between 0 W and 480 W"));
}

TEST_F(ReportAdvice, WithoutFiguresThereIsNone) {
  RunReport run;
  run.run.id = std::string(32, 'a');
  EXPECT_TRUE(advise(run).empty());
  run.duration_seconds = 0;
  run.cpu_seconds = 0;
  run.machine_cpus = 0;
  run.energy = figure(0, 0, 0, "J", Provenance::measured);
  run.carbon = figure(0, 0, 0, "g", Provenance::derived);
  EXPECT_TRUE(advise(run).empty());
}

TEST_F(ReportAdvice, UnknownEnergyAsksForTheDoctor) {
  RunReport run = quarter_busy();
  run.energy.reset();
  const auto all = advise(run);
  ASSERT_NE(find(all, "sensor"), nullptr);
  EXPECT_EQ(find(all, "sensor")->command, "joulery doctor");
  EXPECT_EQ(find(all, "idle"), nullptr);
}

TEST_F(ReportAdvice, ARunThatWasCutOffBeforeItsEnergyWasKnownIsToBeRunAgain) {
  RunReport run;
  run.run.id = std::string(32, 'a');
  run.run.status = record::RunStatus::killed;
  run.end = "was cut off: its meter was killed";
  const auto all = advise(run);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].key, "cut_off");
  EXPECT_EQ(all[0].title, "Run it again to the end");
  run = quarter_busy();
  run.run.status = record::RunStatus::killed;
  EXPECT_EQ(find(advise(run), "cut_off"), nullptr);
}

TEST_F(ReportAdvice, ACleanerPlaceIsOneThatIsCleanerWhateverTheRanges) {
  RunReport run = quarter_busy();
  put_in(run, "ZAF", "South Africa", 700);
  const auto all = advise(run);
  const Advice* place = find(all, "place");
  ASSERT_NE(place, nullptr);
  EXPECT_GT(place->share_low, 0.5);
  EXPECT_LE(place->share_high, 1);
  EXPECT_LT(place->share_low, place->share_high);
  EXPECT_THAT(place->text, HasSubstr("South Africa is taken at 700 g"));
  // Where it is nearly the best there is, the ranges overlap.
  put_in(run, "NOR", "Norway", 28);
  EXPECT_EQ(find(advise(run), "place"), nullptr);
  // Of an unknown place nothing can be saved by going elsewhere.
  put_in(run, "WORLD", "World", 473);
  EXPECT_EQ(find(advise(run), "place"), nullptr);
}

TEST_F(ReportAdvice, ARunInACloudStaysInIt) {
  RunReport run = quarter_busy();
  put_in(run, "aws:af-south-1", "aws:af-south-1 (Cape Town)", 700);
  const auto all = advise(run);
  ASSERT_NE(find(all, "place"), nullptr);
  EXPECT_THAT(find(all, "place")->text, HasSubstr("With the electricity of aws:"));
}

TEST_F(ReportAdvice, PowerUsageEffectivenessAgainstTheLowestOfTheTables) {
  RunReport run = quarter_busy();
  put_in(run, "FRA", "France", 44);
  run.derivations[0].factors[0].value = 2.16;
  const auto all = advise(run);
  ASSERT_NE(find(all, "building"), nullptr);
  EXPECT_NEAR(find(all, "building")->share_high, 0.5, 1e-9);
  run.derivations[0].factors[0].value = 1.0;
  EXPECT_EQ(find(advise(run), "building"), nullptr);
}

TEST_F(ReportAdvice, TheRangeWithoutTheModelIsWhatASensorWouldLeave) {
  RunReport run = quarter_busy();
  const SystematicSource model{.id = "host-power-model:h",
                               .low = 0.5,
                               .high = 2,
                               .provenance = Provenance::modelled,
                               .basis = "a model"};
  const SystematicSource share{
      .id = "attribution:r", .low = 0.8, .high = 1.25, .provenance = Provenance::derived, .basis = "shared"};
  run.energy_parts = UncertainValue(300, Provenance::modelled, 0, {model, share});
  const auto all = advise(run);
  const Advice* sensor = find(all, "sensor");
  const Advice* quiet = find(all, "quiet");
  ASSERT_TRUE(sensor != nullptr && quiet != nullptr);
  const Interval now = run.energy_parts->interval();
  EXPECT_NEAR(sensor->range_factor, (1.25 / 0.8) / (now.high / now.low), 1e-9);
  EXPECT_NEAR(quiet->range_factor, 4 / (now.high / now.low), 1e-9);
  EXPECT_THAT(sensor->effect, HasSubstr("240 J to 380 J"));
  // What narrows most comes first, after what saves.
  EXPECT_LT(sensor, quiet);
  EXPECT_EQ(all.front().kind, Advice::Kind::saves);
}

TEST_F(ReportAdvice, AFailureComesFirst) {
  RunReport run = quarter_busy();
  run.failed = true;
  run.end = "failed with exit code 3";
  const auto all = advise(run);
  ASSERT_FALSE(all.empty());
  EXPECT_EQ(all.front().key, "failure");
  EXPECT_EQ(find(all, "repeat"), nullptr);
}

TEST_F(ReportAdvice, RepeatsAreForSingleRuns) {
  RunReport run = quarter_busy();
  ASSERT_NE(find(advise(run), "repeat"), nullptr);
  EXPECT_THAT(find(advise(run), "repeat")->text, HasSubstr("50.0 s and 1.5 kJ"));
  run.run.tags["joulery.series"] = "x";
  EXPECT_EQ(find(advise(run), "repeat"), nullptr);
}

TEST_F(ReportAdvice, ALongerLifeSpreadsTheMaking) {
  RunReport run = quarter_busy();
  run.host = record::Host{};
  run.carbon = figure(10, 5, 20, "g", Provenance::assumed);
  run.embodied = figure(30, 10, 60, "g", Provenance::assumed);
  constexpr double kYear = 365 * 86400.0;
  footprint::Derivation embodied;
  embodied.figure = "embodied";
  embodied.factors = {
      {.key = "cpu", .label = {}, .value = 30 * 3 * kYear, .unit = "g", .basis = {}, .source = {}},
      {.key = "life_cpu", .label = {}, .value = 3 * kYear, .unit = "s", .basis = {}, .source = {}}};
  embodied.terms = {{.times = {"cpu"}, .over = {"life_cpu"}}};
  run.derivations = {embodied};
  const auto all = advise(run);
  ASSERT_NE(find(all, "longer_life"), nullptr);
  EXPECT_NEAR(find(all, "longer_life")->share_high, 0.25, 1e-12);
  run.host->virtual_machine = true;
  EXPECT_EQ(find(advise(run), "longer_life"), nullptr);
}

TEST(ReportText, HasTheDigitsThatTheRangeBears) {
  EXPECT_EQ(figure_text(figure(2.9301, 1.0178, 6.205, "J", Provenance::modelled)), "about 2.9 J");
  EXPECT_EQ(range_text(figure(2.9301, 1.0178, 6.205, "J", Provenance::modelled)), "between 1.0 J and 6.2 J");
  EXPECT_EQ(range_text(figure(3, -1, 6, "J", Provenance::derived)), "between 0 J and 6.0 J");
  EXPECT_EQ(figure_text(figure(2.9301, 2.9, 2.96, "J", Provenance::measured)), "2.93 J");
  EXPECT_EQ(figure_text(figure(7.2e6, 7.19e6, 7.21e6, "J", Provenance::measured)), "7.20 MJ (2.00 kWh)");
  EXPECT_EQ(amount_text(999.7, "J", 3), "1.00 kJ");
  EXPECT_EQ(amount_text(999.4, "J", 3), "999 J");
  EXPECT_EQ(amount_text(9.96e-7, "g", 2), "1.0 µg");
  EXPECT_EQ(amount_text(0, "J", 2), "0 J");
  EXPECT_EQ(amount_text(0.25, "EUR", 2), "0.25 EUR");
}

}  // namespace
}  // namespace joulery::app
