#include "meter/figures.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace joulery::meter {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// A counter that rises by a given power, or does as it is told.
class ScriptedSource final : public power::Source {
 public:
  ScriptedSource(power::SourceInfo info, double watts) : info_(std::move(info)), watts_(watts) {}
  const power::SourceInfo& info() const override { return info_; }
  power::Reading read(const Clock& clock) override {
    return {.value = watts_ * double(clock.boottime_ns()) / 1e9,
            .boottime_ns = clock.boottime_ns(),
            .valid = true};
  }

 private:
  power::SourceInfo info_;
  double watts_;
};

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
  void meter(double workload_share) {
    std::vector<std::unique_ptr<power::Source>> sources;
    sources.push_back(std::make_unique<ScriptedSource>(package(), 30));
    sources.push_back(std::make_unique<ScriptedSource>(core_of_package(), 20));
    sampler_ = std::make_unique<power::Sampler>(std::move(sources), clock_);
    sampler_->start();
    EnergyAccount account;
    for (int i = 0; i < 100; ++i) {
      clock_.advance_seconds(0.1);
      const power::Tick& tick = sampler_->tick();
      account.add({.seconds = tick.window_seconds,
                   .end_seconds = double(tick.boottime_ns) / 1e9,
                   .machine_joules = tick.machine_joules,
                   .busy_seconds = 0.1,
                   .workload_seconds = 0.1 * workload_share});
    }
    result_.duration_seconds = 10;
    result_.machine_cpus = 2;
    result_.ticks = 100;
    result_.split = account.split(10, IdlePolicy::proportional);
    fill_figures(*sampler_, result_);
    add_warnings(*sampler_, result_);
  }
  ManualClock clock_;
  std::unique_ptr<power::Sampler> sampler_;
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

TEST_F(Figures, TheRecordHasEachFigureWithItsRange) {
  meter(1);
  result_.run.end_utc_ns = 5'000'000;
  fill_record(result_);
  const auto value = [&](const std::string& key) {
    for (const auto& metric : result_.run.metrics) {
      if (metric.key == "joulery/" + key) return metric.point.value;
    }
    return -1.0;
  };
  EXPECT_NEAR(value("energy_joules"), 300, 1e-6);
  EXPECT_LT(value("energy_joules_low"), value("energy_joules"));
  EXPECT_GT(value("energy_joules_high"), value("energy_joules"));
  EXPECT_EQ(value("duration_seconds"), 10);
  EXPECT_EQ(result_.run.metrics.front().point.timestamp_ms, 5);
  EXPECT_EQ(result_.run.tags.at("joulery.energy_provenance"), "derived");
}

}  // namespace
}  // namespace joulery::meter
