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
  run.gpus[0].share.check.counter_given_up = true;
  add_gpu_warnings(run);
  ASSERT_EQ(run.warnings.size(), 1U);
  EXPECT_THAT(run.warnings[0].text, HasSubstr("unit"));
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
