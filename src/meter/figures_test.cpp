#include "meter/figures.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "power/sampler_bench.hpp"

namespace joulery::meter {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

power::SourceInfo package() {
  power::SourceInfo info;
  info.device_id = "rapl:package-0";
  info.name = "CPU package 0";
  info.via = "powercap (RAPL)";
  info.accuracy_low = 0.95;
  info.accuracy_high = 1.05;
  info.accuracy_basis = "RAPL against a wall meter";
  info.update_seconds = 0.001;
  info.resolution_joules = 15e-6;
  return info;
}

power::SourceInfo core_of_package() {
  power::SourceInfo info = package();
  info.device_id = "rapl:package-0:core";
  info.parent_id = "rapl:package-0";
  info.name = "cores";
  info.scope = power::Scope::core;
  return info;
}

class Figures : public testing::Test {
 protected:
  /// Ten seconds at 30 W, of which the cores draw 20 W; the machine idles at 10 W.
  void meter(double workload_share, double watts = 30, int ticks = 100, double core_watts = -1) {
    const double cores = core_watts < 0 ? watts * 2 / 3 : core_watts;
    bench_.add(package(), 5000);
    bench_.add(core_of_package(), 3000);
    if (other_) bench_.add(*other_, 0);
    bench_.start();
    EnergyAccount account;
    for (int i = 0; i < ticks; ++i) {
      const power::Tick& tick = bench_.step({0.1 * watts, 0.1 * cores}, 0.1);
      account.add({.seconds = tick.window_seconds,
                   .end_seconds = double(tick.boottime_ns) / 1e9,
                   .machine_joules = tick.machine_joules,
                   .busy_seconds = 0.1,
                   .workload_seconds = 0.1 * workload_share});
    }
    result_.duration_seconds = ticks / 10.0;
    result_.machine_cpus = 2;
    result_.ticks = static_cast<std::uint64_t>(ticks);
    result_.rest = split_account(account,
                                 {.watts = (idle_low_ + idle_high_) / 2,
                                  .low_watts = idle_low_,
                                  .high_watts = idle_high_,
                                  .basis = {}},
                                 policy_);
    result_.split = result_.rest.split;
    fill_figures(*bench_.sampler, result_);
    add_warnings(*bench_.sampler, result_);
  }
  /// Two seconds at 30 W, then eight in which the only counter, of at most 100 W, tells nothing.
  power::SourceInfo run_with_a_counter_that_dies() {
    power::SourceInfo info = package();
    info.max_plausible_watts = 100;
    const auto counter = bench_.add(info, 5000);
    bench_.start();
    for (int i = 0; i < 20; ++i) bench_.step({3}, 0.1);
    counter->valid = false;
    for (int i = 0; i < 80; ++i) bench_.tick(0.1);
    result_.duration_seconds = 10;
    return info;
  }
  /// Three seconds at 30 W, beside a device that tells nothing at all.
  void run_beside_a_dead_device(const power::SourceInfo& lost) {
    bench_.add(package(), 5000);
    bench_.add(lost, 9000)->valid = false;
    bench_.start();
    EnergyAccount account;
    for (int i = 0; i < 30; ++i) {
      const power::Tick& tick = bench_.step({3, 0}, 0.1);
      account.add({.seconds = 0.1,
                   .end_seconds = 0.1 * i,
                   .machine_joules = tick.machine_joules,
                   .busy_seconds = 0.1,
                   .workload_seconds = 0.1});
    }
    result_.duration_seconds = 3;
    result_.rest =
        split_account(account, {.watts = 10, .low_watts = 10, .high_watts = 10, .basis = {}}, policy_);
    fill_figures(*bench_.sampler, result_);
  }
  /// Of the record; -1 if it is not there.
  double value(const std::string& key) const {
    for (const auto& metric : result_.run.metrics) {
      if (metric.key == "joulery/" + key) return metric.point.value;
    }
    return -1.0;
  }
  std::vector<std::string> warnings() const {
    std::vector<std::string> texts;
    for (const Warning& warning : result_.warnings) texts.push_back(warning.text);
    return texts;
  }
  std::optional<power::SourceInfo> other_;
  double idle_low_ = 10;
  double idle_high_ = 10;
  IdlePolicy policy_ = IdlePolicy::proportional;
  power::Bench bench_;
  MeteredRun result_;
};

TEST_F(Figures, OnlyRootsAddUpToTheMachine) {
  meter(1);
  EXPECT_NEAR(result_.energy_machine.value(), 300, 1e-6);
  ASSERT_EQ(result_.devices.size(), 2U);
  EXPECT_TRUE(result_.devices[0].is_root);
  EXPECT_FALSE(result_.devices[1].is_root);
  EXPECT_NEAR(result_.devices[1].energy.value(), 200, 1e-6);
  EXPECT_NEAR(result_.machine_mean_watts, 30, 1e-6);
}

TEST_F(Figures, TheMachineIsMeasuredAndTheWorkloadDerived) {
  meter(1);
  EXPECT_EQ(result_.energy_machine.provenance(), Provenance::measured);
  EXPECT_EQ(result_.energy.provenance(), Provenance::derived);
  EXPECT_NEAR(result_.energy.value(), 300, 1e-6);
  // Alone on the machine: the range is the sensor's own, and a little of what the counter's steps add.
  EXPECT_NEAR(result_.energy.interval().low, 300 * 0.95, 0.1);
  EXPECT_NEAR(result_.energy.interval().high, 300 * 1.05, 0.1);
  EXPECT_TRUE(result_.warnings.empty());
}

TEST_F(Figures, SharingTheMachineWidensTheRangeAndSaysWhy) {
  meter(0.5);
  EXPECT_NEAR(result_.energy_active.value(), 100, 1e-6);
  EXPECT_NEAR(result_.energy_idle_share.value(), 50, 1e-6);
  EXPECT_NEAR(result_.energy_other_active.value(), 100, 1e-6);
  EXPECT_NEAR(result_.energy_idle.value(), 100, 1e-6);
  // An eighth of the active energy might be the others'; the share of idle is CPU time by definition.
  EXPECT_LT(result_.energy_active.interval().low, 100 * (1 - 0.125));
  EXPECT_LT(result_.energy_other_active.interval().low, 100 * (1 - 0.125));
  EXPECT_NEAR(result_.energy_idle_share.interval().low, 50 * 0.95, 0.1);
  EXPECT_LT(result_.energy.interval().low, 150 - 12.5);
  EXPECT_THAT(result_.energy.basis(), HasSubstr("others had 50 %"));
  // What the machine drew is known as well as before.
  EXPECT_NEAR(result_.energy_machine.interval().low, 300 * 0.95, 0.1);
}

TEST_F(Figures, UnknownIdlePowerWidensItsPartsButNotTheirSum) {
  idle_low_ = 0;
  idle_high_ = 30;
  meter(1);
  EXPECT_NEAR(result_.energy_active.value(), 150, 1e-6);
  EXPECT_NEAR(result_.energy_active.interval().low, 0, 1);
  EXPECT_GT(result_.energy_active.interval().high, 299);
  EXPECT_NEAR(result_.energy_idle_share.interval().low, 0, 1);
  EXPECT_GT(result_.energy_idle.interval().high, 299);
  EXPECT_EQ(result_.energy_active.provenance(), Provenance::assumed);
  EXPECT_THAT(result_.energy_active.basis(), HasSubstr("may be 0 W to 30.0 W"));
  // Whatever idle power is, it is the run's here.
  EXPECT_EQ(result_.energy.provenance(), Provenance::derived);
  EXPECT_NEAR(result_.energy.interval().low, 300 * 0.95, 0.1);
  EXPECT_NEAR(result_.energy.interval().high, 300 * 1.05, 0.1);
}

TEST_F(Figures, UnknownIdlePowerWidensTheRunThatDoesNotBearIt) {
  idle_low_ = 0;
  idle_high_ = 30;
  policy_ = IdlePolicy::none;
  meter(1);
  EXPECT_NEAR(result_.energy.value(), 150, 1e-6);
  EXPECT_NEAR(result_.energy.interval().low, 0, 1);
  EXPECT_GT(result_.energy.interval().high, 299);
  EXPECT_EQ(result_.energy.provenance(), Provenance::assumed);
}

TEST_F(Figures, TwoRunsOnOneModelCompareWithoutItsError) {
  const SystematicSource model{.id = "host-power-model:h",
                               .low = 0.35,
                               .high = 2.1,
                               .provenance = Provenance::modelled,
                               .basis = "TDP"};
  const Quantity<Joules> a(10, Provenance::modelled, 0, {model});
  const Quantity<Joules> b(20, Provenance::modelled, 0, {model});
  EXPECT_NEAR(ratio(b, a).interval().low, 2, 1e-9);
}

TEST_F(Figures, StealLeftOversAndSleepAreSaid) {
  result_.steal_seconds = 5;
  result_.left_running = 3;
  result_.suspended_seconds = 60;
  meter(1);
  std::vector<std::string> texts;
  for (const Warning& warning : result_.warnings) texts.push_back(warning.text);
  EXPECT_THAT(texts, ElementsAre(HasSubstr("slept for 60.0 s"), HasSubstr("25 % of the CPU time"),
                                 HasSubstr("3 of its processes still run")));
}

TEST_F(Figures, LeftOversOfATreeThatWasWaitedForAskForMoreTime) {
  result_.left_running = 1;
  result_.waited_for_tree = true;
  meter(1);
  ASSERT_EQ(result_.warnings.size(), 1U);
  EXPECT_THAT(result_.warnings[0].text, HasSubstr("1 of its processes still runs; what it uses"));
  EXPECT_THAT(result_.warnings[0].hint, HasSubstr("raise run.grace_seconds"));
  EXPECT_EQ(result_.warnings[0].hint.find("--wait tree"), std::string::npos);
}

TEST_F(Figures, RootThatGaveWayToItsPartsIsSaid) {
  meter(1, 5, 100, 20);
  EXPECT_THAT(warnings(), ElementsAre(HasSubstr("its parts count instead")));
  EXPECT_NEAR(result_.energy_machine.value(), 200, 1e-6);
}

TEST_F(Figures, EnergyByPowerSummedOverTimeIsSaid) {
  other_ = package();
  other_->device_id = "gpu:0";
  other_->name = "GPU 0";
  other_->scope = power::Scope::gpu;
  other_->integrated = true;
  other_->integrated_because = "stood still";
  meter(1);
  EXPECT_THAT(warnings(), testing::Contains(HasSubstr("energy counter of GPU 0 stood still")));
}

TEST_F(Figures, FilledInEnergyMayBeNothingOrTheMostThatTheDeviceCanDraw) {
  const power::SourceInfo info = run_with_a_counter_that_dies();
  fill_figures(*bench_.sampler, result_);
  const Quantity<Joules>& energy = result_.devices[0].energy;
  EXPECT_NEAR(energy.value(), 300, 1);
  EXPECT_LE(energy.interval().low, 60.1);
  EXPECT_GE(energy.interval().high, 60 + 8 * 100);
  EXPECT_EQ(energy.provenance(), Provenance::assumed);
  EXPECT_THAT(energy.basis(), HasSubstr("8.00 s of CPU package 0"));
  EXPECT_THAT(energy.basis(), HasSubstr("filled in"));
}

TEST_F(Figures, WhatWasFilledInIsNotMultipliedByADoubtOfTheCounter) {
  const power::SourceInfo info = run_with_a_counter_that_dies();
  GpuReport gpu;
  gpu.share.device_id = info.device_id;
  gpu.share.check = {.counter_joules = 600, .power_joules = 20, .seconds = 1, .power_stands_in = true};
  result_.gpus.push_back(gpu);
  fill_figures(*bench_.sampler, result_);
  // Power says 30 W for two seconds, the counter could be right with up to 100 W; then 8 s of up to 100 W.
  EXPECT_GE(result_.devices[0].energy.interval().high, 800);
  EXPECT_LE(result_.devices[0].energy.interval().high, 2500);
}

TEST_F(Figures, TimeThatNothingIsKnownOfIsInTheRange) {
  for (const double unknown : {0.2, 5.0}) {
    power::Bench bench;
    MeteredRun result;
    power::SourceInfo info = package();
    info.max_plausible_watts = 100;
    info.wrap_joules = 0;
    const auto counter = bench.add(info, 5000);
    bench.start();
    counter->valid = false;
    for (int i = 0; i + 0.5 < unknown * 10; ++i) bench.tick(0.1);
    counter->valid = true;
    counter->value = 0;
    for (int i = 0; i < 50; ++i) bench.step({3}, 0.1);
    result.duration_seconds = 5 + unknown;
    fill_figures(*bench.sampler, result);
    add_warnings(*bench.sampler, result);
    ASSERT_EQ(result.warnings.size(), 2U) << "no reading, and a counter that went backwards";
    if (unknown < 1) {
      // One that answers a moment late is no news.
      EXPECT_EQ(result.energy_machine.provenance(), Provenance::measured);
      EXPECT_LT(result.energy_machine.interval().high, 165);
      EXPECT_THAT(result.warnings[0].text, Not(HasSubstr("nothing is known")));
      continue;
    }
    for (const Quantity<Joules>& energy : {result.devices[0].energy, result.energy_machine}) {
      EXPECT_NEAR(energy.value(), 147, 4);
      EXPECT_GT(energy.interval().low, 135);
      EXPECT_GE(energy.interval().high, 147 + 5 * 100);
      EXPECT_LE(energy.interval().high, 180 + 5.2 * 100);
      EXPECT_EQ(energy.provenance(), Provenance::assumed);
      EXPECT_THAT(energy.basis(), HasSubstr("nothing is known of 5."));
    }
    EXPECT_THAT(result.warnings[0].text, HasSubstr("nothing is known of 5."));
    EXPECT_THAT(result.warnings[0].text, Not(HasSubstr("filled in")));
  }
}

TEST_F(Figures, ADeviceThatGaveNothingAtAllIsInTheRangeOfTheSums) {
  power::SourceInfo lost = package();
  lost.device_id = lost.name = "card";
  lost.max_plausible_watts = 300;
  run_beside_a_dead_device(lost);
  EXPECT_FALSE(result_.devices[1].known());
  for (const Quantity<Joules>& energy : {result_.energy_machine, result_.energy}) {
    EXPECT_NEAR(energy.value(), 90, 1e-6);
    EXPECT_GE(energy.interval().high, 90 + 3 * 300);
    EXPECT_EQ(energy.provenance(), Provenance::assumed);
    EXPECT_THAT(energy.basis(), HasSubstr("nothing is known of 3.00 s of card"));
  }
}

TEST_F(Figures, AZoneThatTheCpuDoesNotHaveWidensNothing) {
  power::SourceInfo zone = package();
  zone.device_id = "rapl:package-0:dram";
  zone.name = "memory";
  zone.scope = power::Scope::dram;
  zone.max_plausible_watts = 300;
  run_beside_a_dead_device(zone);
  ASSERT_TRUE(result_.devices[1].is_root) << "it counts, so that only its kind keeps it out";
  EXPECT_FALSE(result_.devices[1].known());
  for (const Quantity<Joules>& energy : {result_.energy_machine, result_.energy}) {
    EXPECT_NEAR(energy.value(), 90, 1e-6);
    EXPECT_LT(energy.interval().high, 100);
    EXPECT_THAT(energy.basis(), Not(HasSubstr("nothing is known")));
  }
}

TEST_F(Figures, ACounterThatIsSlowerThanItClaimsHasTheRangeOfASlowOne) {
  power::SourceInfo info = package();
  info.max_plausible_watts = 1000;
  bench_.add(info, 5000);
  bench_.start();
  // 100 W in steps of half a second; the run ends shortly before the fifth.
  for (int i = 1; i <= 23; ++i) bench_.step({i % 5 == 0 ? 50.0 : 0.0}, 0.1);
  result_.duration_seconds = 2.3;
  fill_figures(*bench_.sampler, result_);
  EXPECT_NEAR(result_.devices[0].energy.value(), 200, 1e-6);
  EXPECT_GE(result_.devices[0].energy.interval().high, 230);
}

TEST_F(Figures, ACountedDeviceWithoutEnergyIsMissingInTheTotalAndThatIsSaid) {
  power::SourceInfo falling = package();
  falling.device_id = falling.name = "card";
  falling.wrap_joules = 0;
  bench_.add(package(), 5000);
  bench_.add(falling, 9000);
  bench_.start();
  for (int i = 0; i < 30; ++i) bench_.step({3, -3}, 0.1);
  result_.duration_seconds = 3;
  fill_figures(*bench_.sampler, result_);
  add_warnings(*bench_.sampler, result_);
  ASSERT_EQ(result_.warnings.size(), 1U);
  EXPECT_THAT(warnings(), ElementsAre(HasSubstr("its energy is unknown, and missing in the machine's")));
  EXPECT_THAT(warnings(), ElementsAre(Not(HasSubstr("filled in"))));
}

TEST_F(Figures, WhatIsOnlyReportedNeedsNoWarning) {
  other_ = package();
  other_->device_id = "battery:BAT0";
  other_->reported_only = true;
  meter(1);
  EXPECT_TRUE(result_.warnings.empty());
  EXPECT_NEAR(result_.energy_machine.value(), 300, 1e-6);
}

TEST_F(Figures, TheRecordHasEachFigureWithItsRange) {
  meter(1);
  result_.run.end_utc_ns = 5'000'000;
  fill_record(result_);
  EXPECT_NEAR(value("energy_joules"), 300, 1e-6);
  EXPECT_LT(value("energy_joules_low"), value("energy_joules"));
  EXPECT_GT(value("energy_joules_high"), value("energy_joules"));
  EXPECT_EQ(value("duration_seconds"), 10);
  EXPECT_EQ(result_.run.metrics.front().point.timestamp_ms, 5);
  EXPECT_EQ(result_.run.tags.at("joulery.energy_provenance"), "derived");
}

TEST_F(Figures, ACounterThatNeverMovedLeavesNoFigure) {
  meter(1, 0);
  fill_record(result_);
  EXPECT_FALSE(result_.energy_known());
  EXPECT_FALSE(result_.devices[0].known());
  for (const auto& metric : result_.run.metrics) {
    EXPECT_THAT(metric.key, Not(HasSubstr("joules")));
    EXPECT_THAT(metric.key, Not(HasSubstr("watts")));
    EXPECT_THAT(metric.key, Not(HasSubstr("gco2e")));
  }
  EXPECT_EQ(value("duration_seconds"), 10);
  EXPECT_EQ(result_.run.tags.at("joulery.energy_provenance"), "unknown");
  ASSERT_FALSE(result_.warnings.empty());
  EXPECT_THAT(result_.warnings[0].text, HasSubstr("stood still"));
  EXPECT_THAT(result_.warnings[0].hint, HasSubstr("unknown"));
}

TEST_F(Figures, ARunTooShortForItsCounterSaysSo) {
  meter(1, 0, 2);
  EXPECT_FALSE(result_.energy_known());
  ASSERT_EQ(result_.warnings.size(), 1U);
  EXPECT_THAT(result_.warnings[0].text, HasSubstr("no power counter moved"));
}

TEST_F(Figures, APartThatNeverMovedIsUnknownBesideAMachineThatIsKnown) {
  meter(1, 30, 100, 0);
  EXPECT_TRUE(result_.energy_known());
  EXPECT_TRUE(result_.devices[0].known());
  EXPECT_FALSE(result_.devices[1].known());
}

TEST_F(Figures, WithoutASourceNothingIsKnown) {
  power::Sampler none({}, bench_.clock);
  none.start();
  fill_figures(none, result_);
  fill_record(result_);
  EXPECT_FALSE(result_.energy_known());
  EXPECT_EQ(value("energy_joules"), -1);
}

}  // namespace
}  // namespace joulery::meter
