#include "meter/gpu_figures.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace joulery::meter {
namespace {

using testing::HasSubstr;

DeviceReport device(const std::string& id, power::Scope scope, double joules,
                    const std::string& parent = "") {
  DeviceReport report;
  report.info.device_id = report.info.name = id;
  report.info.scope = scope;
  report.info.parent_id = parent;
  report.is_root = parent.empty();
  report.energy = Quantity<Joules>(joules, Provenance::measured);
  return report;
}

EnergySplit split(double machine, double active, double other, double idle_share) {
  EnergySplit result;
  result.machine_joules = machine;
  result.active_joules = active;
  result.other_active_joules = other;
  result.idle_joules = machine - active - other;
  result.idle_share_joules = idle_share;
  result.workload_joules = active + idle_share;
  return result;
}

GpuReport gpu(const std::string& id, GpuSharing sharing, const EnergySplit& part) {
  GpuReport report;
  report.share.device_id = report.share.name = id;
  report.share.sharing = sharing;
  report.share.energy = {.idle = {}, .split = part, .at_low_idle = part, .at_high_idle = part};
  return report;
}

TEST(GpuFigures, UseByOthersWidensTheRangeOfTheGpu) {
  MeteredRun run;
  run.devices = {device("gpu", power::Scope::gpu, 1000)};
  run.gpus = {gpu("gpu", GpuSharing::process_use, split(1000, 600, 200, 150))};
  add_gpu_figures(run);
  EXPECT_NEAR(run.energy_gpu.value(), 750, 1e-9);
  EXPECT_EQ(run.energy_gpu.provenance(), Provenance::derived);
  // Half of the quarter that the others had of what was active.
  EXPECT_NEAR(run.energy_active.interval().low, 600 * (1 - 0.125), 1);
  EXPECT_NEAR(run.energy_idle_share.interval().low, 150, 1e-6);
  EXPECT_THAT(run.energy_gpu.basis(), HasSubstr("use of the multiprocessors, others had 25 %"));
}

TEST(GpuFigures, AloneOnTheGpuTheRangeIsTheSensors) {
  MeteredRun run;
  run.devices = {device("gpu", power::Scope::gpu, 1000)};
  run.gpus = {gpu("gpu", GpuSharing::sole_user, split(1000, 900, 0, 100))};
  add_gpu_figures(run);
  EXPECT_DOUBLE_EQ(run.energy_gpu.interval().low, 1000);
  EXPECT_DOUBLE_EQ(run.energy_gpu.interval().high, 1000);
}

TEST(GpuFigures, AGpuThatTheWorkloadWasNotOnIsSaidToBeSo) {
  MeteredRun run;
  run.devices = {device("gpu", power::Scope::gpu, 1000)};
  run.gpus = {gpu("gpu", GpuSharing::not_on_it, split(1000, 0, 900, 0))};
  add_gpu_figures(run);
  EXPECT_EQ(run.energy_gpu.value(), 0);
  EXPECT_THAT(run.gpus[0].basis, HasSubstr("none of the workload's processes was on it"));
}

TEST(GpuFigures, TheWholeDeviceIsAnUpperBoundOrAnAssumption) {
  MeteredRun shared;
  shared.devices = {device("gpu", power::Scope::gpu, 1000)};
  shared.gpus = {gpu("gpu", GpuSharing::whole_with_others, split(1000, 900, 0, 100))};
  add_gpu_figures(shared);
  EXPECT_LT(shared.energy_gpu.interval().low, 10);
  EXPECT_DOUBLE_EQ(shared.energy_gpu.interval().high, 1000);
  EXPECT_THAT(shared.energy_gpu.basis(), HasSubstr("an upper bound"));
  add_gpu_warnings(shared);
  ASSERT_EQ(shared.warnings.size(), 1U);
  EXPECT_THAT(shared.warnings[0].text, HasSubstr("other processes were on gpu"));

  MeteredRun unknown;
  unknown.devices = shared.devices;
  unknown.gpus = {gpu("gpu", GpuSharing::whole_unknown, split(1000, 900, 0, 100))};
  add_gpu_figures(unknown);
  EXPECT_EQ(unknown.energy_gpu.provenance(), Provenance::assumed);
  EXPECT_THAT(unknown.energy_gpu.basis(), HasSubstr("nothing tells who used it"));
}

TEST(GpuFigures, WhatIsNotTheGpusIsTheRest) {
  MeteredRun apart;
  apart.devices = {device("cpu", power::Scope::package, 500), device("gpu", power::Scope::gpu, 1000)};
  apart.gpus = {gpu("gpu", GpuSharing::process_use, split(1000, 0, 0, 0))};
  apart.rest.split.machine_joules = 500;
  EXPECT_DOUBLE_EQ(energy_without_gpus(apart).value(), 500);

  MeteredRun wall;
  wall.devices = {device("wall", power::Scope::wall, 2000), device("gpu", power::Scope::gpu, 1000, "wall")};
  wall.gpus = apart.gpus;
  wall.rest.split.machine_joules = 1000;
  EXPECT_DOUBLE_EQ(energy_without_gpus(wall).value(), 1000);

  MeteredRun module;
  module.devices = {device("module", power::Scope::board, 6000),
                    device("cpu", power::Scope::package, 1500, "module")};
  module.gpus = {gpu("module", GpuSharing::process_use, split(4500, 0, 0, 0))};
  module.rest.split.machine_joules = 1500;
  EXPECT_DOUBLE_EQ(energy_without_gpus(module).value(), 1500);
}

TEST(GpuFigures, CounterAndPowerThatDisagreeAreSaid) {
  MeteredRun run;
  run.devices = {device("gpu", power::Scope::gpu, 187)};
  run.gpus = {gpu("gpu", GpuSharing::process_use, split(187, 0, 0, 0))};
  run.gpus[0].share.check = {
      .counter_joules = 187, .power_joules = 327, .seconds = 5, .counter_given_up = false};
  add_gpu_warnings(run);
  EXPECT_TRUE(run.warnings.empty()) << "too short to tell";
  run.gpus[0].share.check.seconds = 15;
  add_gpu_warnings(run);
  ASSERT_EQ(run.warnings.size(), 1U);
  EXPECT_THAT(run.warnings[0].text, HasSubstr("187 J"));
  EXPECT_THAT(run.warnings[0].text, HasSubstr("327 J"));
  run.warnings.clear();
  run.gpus[0].share.check.power_joules = 200;
  add_gpu_warnings(run);
  EXPECT_TRUE(run.warnings.empty());
  run.gpus[0].share.check.power_stands_in = true;
  add_gpu_warnings(run);
  ASSERT_EQ(run.warnings.size(), 1U);
  EXPECT_THAT(run.warnings[0].text, HasSubstr("unit"));
  run.warnings.clear();
  run.devices[0].info.integrated = true;
  add_gpu_warnings(run);
  EXPECT_TRUE(run.warnings.empty()) << "said with the other devices";
}

TEST(GpuFigures, TheRangeCoversCounterAndPowerWhereTheyDisagree) {
  MeteredRun run;
  run.gpus = {gpu("gpu", GpuSharing::process_use, split(2402, 0, 0, 0))};
  run.gpus[0].share.check = {.counter_joules = 2402, .power_joules = 232, .seconds = 12};
  std::vector<SystematicSource> sources;
  add_disagreement(run, device("other", power::Scope::gpu, 2402), sources);
  EXPECT_TRUE(sources.empty());
  add_disagreement(run, device("gpu", power::Scope::gpu, 2402), sources);
  ASSERT_EQ(sources.size(), 1U);
  EXPECT_LE(sources[0].low, 232.0 / 2402);
  EXPECT_EQ(sources[0].high, 1);
  EXPECT_THAT(sources[0].basis, HasSubstr("232 J"));
  // Where power stands in, it is the value, and the counter the other end.
  sources.clear();
  run.gpus[0].share.check.power_stands_in = true;
  add_disagreement(run, device("gpu", power::Scope::gpu, 2402), sources);
  ASSERT_EQ(sources.size(), 1U);
  EXPECT_GE(sources[0].high, 2402.0 / 232);
  // What power may be off by anyway is no disagreement.
  sources.clear();
  run.gpus[0].share.check = {.counter_joules = 1000,
                             .power_joules = 1300,
                             .seconds = 12,
                             .power_accuracy_low = 0.65,
                             .power_accuracy_high = 1.35};
  add_disagreement(run, device("gpu", power::Scope::gpu, 2402), sources);
  EXPECT_TRUE(sources.empty());
}

TEST(GpuFigures, PowerThatStandsInIsNotMeasuredByTheCounter) {
  MeteredRun run;
  run.gpus = {gpu("gpu", GpuSharing::process_use, split(60, 0, 0, 0))};
  power::SourceInfo info = device("gpu", power::Scope::gpu, 60).info;
  mark_power_that_stands_in(run, info);
  EXPECT_EQ(info.provenance, Provenance::measured);
  run.gpus[0].share.check = {
      .power_stands_in = true, .power_accuracy_low = 0.65, .power_accuracy_high = 1.35};
  mark_power_that_stands_in(run, info);
  EXPECT_EQ(info.provenance, Provenance::derived);
  EXPECT_EQ(info.accuracy_low, 0.65);
  EXPECT_EQ(info.accuracy_high, 1.35);
  EXPECT_THAT(info.accuracy_basis, HasSubstr("power summed over time"));
}

TEST(GpuFigures, WhereEitherMayBeWrongTheRangeStaysWhenTheCounterIsGivenUp) {
  DeviceReport report = device("gpu", power::Scope::gpu, 60);
  report.total.joules = 60;
  report.info.integrated = true;
  report.info.max_plausible_watts = 2000;
  MeteredRun run;
  run.duration_seconds = 3;
  run.devices = {report};
  run.gpus = {gpu("gpu", GpuSharing::process_use, split(60, 0, 0, 0))};
  power::GpuDevice::CrossCheck& check = run.gpus[0].share.check;
  check = {.counter_joules = 600, .power_joules = 20, .seconds = 1, .counter_given_up = true};
  std::vector<SystematicSource> sources;
  add_disagreement(run, report, sources);
  ASSERT_EQ(sources.size(), 1U);
  EXPECT_GE(sources[0].high, 30);
  EXPECT_THAT(sources[0].basis, HasSubstr("either may be wrong"));
  add_gpu_warnings(run);
  ASSERT_EQ(run.warnings.size(), 1U);
  EXPECT_THAT(run.warnings[0].text, HasSubstr("either"));
  // Never more than the board can draw.
  sources.clear();
  report.info.max_plausible_watts = 250;
  add_disagreement(run, report, sources);
  ASSERT_EQ(sources.size(), 1U);
  EXPECT_DOUBLE_EQ(sources[0].high, 250 * 3 / 60.0);
  // A counter that alone can be wrong says nothing.
  sources.clear();
  run.warnings.clear();
  check.counter_impossible = true;
  add_disagreement(run, report, sources);
  EXPECT_TRUE(sources.empty());
  add_gpu_warnings(run);
  EXPECT_TRUE(run.warnings.empty()) << "said with the other devices";
  // Nor does one that died of something else.
  check = {.counter_joules = 600, .power_joules = 20, .seconds = 1};
  add_disagreement(run, report, sources);
  EXPECT_TRUE(sources.empty());
}

TEST(GpuFigures, WhatAModuleHasBesideItsGpuMayBeOffByAllThatBothMayBe) {
  const auto with = [](double joules, const std::string& id, double low, double high) {
    return Quantity<Joules>(
        joules, Provenance::measured, 0,
        {{.id = id, .low = low, .high = high, .provenance = Provenance::measured, .basis = id}});
  };
  MeteredRun run;
  run.devices = {device("module", power::Scope::board, 2503),
                 device("gpu", power::Scope::gpu, 1502, "module")};
  run.devices[0].energy = with(2503, "module", 0.65, 1.35);
  run.devices[1].energy = with(1502, "gpu", 0.95, 1.05);
  run.gpus = {gpu("gpu", GpuSharing::process_use, split(1502, 0, 0, 0))};
  run.rest.split.machine_joules = 1001;
  const Quantity<Joules> rest = energy_without_gpus(run);
  EXPECT_NEAR(rest.value(), 1001, 1e-6);
  EXPECT_LE(rest.interval().low, 125);
  EXPECT_GE(rest.interval().high, 1001 + 876);
}

TEST(GpuFigures, TheRecordSaysHowGpusWereShared) {
  MeteredRun run;
  add_gpu_record(run);
  EXPECT_TRUE(run.run.metrics.empty());
  run.devices = {device("a", power::Scope::gpu, 10), device("b", power::Scope::gpu, 10)};
  run.gpus = {gpu("a", GpuSharing::process_use, split(10, 5, 0, 0)),
              gpu("b", GpuSharing::mig_instance, split(10, 5, 0, 0))};
  add_gpu_figures(run);
  add_gpu_record(run);
  EXPECT_EQ(run.run.metrics.size(), 3U);
  EXPECT_EQ(run.run.tags.at("joulery.gpu_attribution"), "process utilisation; MIG instance");
}

}  // namespace
}  // namespace joulery::meter
