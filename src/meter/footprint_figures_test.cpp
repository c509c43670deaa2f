#include "meter/footprint_figures.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/test_folder.hpp"

namespace joulery::meter {
namespace {

using testing::HasSubstr;

constexpr double kWh = footprint::kJoulesPerKilowattHour;
constexpr std::int64_t kSomeDayOf2026 = 1'780'000'000'000'000'000;

MeteredRun metered() {
  MeteredRun run;
  run.run.start_utc_ns = kSomeDayOf2026;
  run.run.end_utc_ns = kSomeDayOf2026 + 1;
  run.duration_seconds = 3600;
  run.cpu_seconds = 900;
  run.machine_busy_seconds = 1800;
  const auto energy = [](double kilowatt_hours) {
    return Quantity<Joules>(kilowatt_hours * kWh, Provenance::derived);
  };
  run.energy_machine = Quantity<Joules>(1.0 * kWh, Provenance::measured);
  run.energy_active = energy(0.3);
  run.energy_idle = energy(0.4);
  run.energy_idle_share = energy(0);
  run.energy = run.energy_active + run.energy_idle_share;
  run.split.idle_joules = 0.4 * kWh;
  run.idle_policy = IdlePolicy::none;
  DeviceReport device;
  device.info.device_id = "rapl:package-0";
  device.info.name = "CPU package 0";
  device.info.via = "powercap";
  device.energy = run.energy_machine;
  run.devices.push_back(device);
  return run;
}

/// Proportionally, half of idle.
MeteredRun filled(const FootprintOptions& options) {
  MeteredRun run = metered();
  fill_footprint(options, {.cpu_packages = 1, .cpu_threads = 4, .memory_gigabytes = 8}, 0.2 * kWh, run);
  return run;
}

TEST(FootprintFigures, WithoutAPlaceTheWorldsAverageIsAssumed) {
  const MeteredRun run = filled({});
  EXPECT_NEAR(run.carbon.value(), 0.3 * 472.94, 1e-9);
  EXPECT_EQ(run.carbon.provenance(), Provenance::assumed);
  EXPECT_TRUE(run.warnings.empty());
}

TEST(FootprintFigures, SciTakesTheProportionalShareOfIdleWhateverThePolicy) {
  FootprintOptions options;
  options.request = {.zone = "FR", .pue = 1.0};
  const MeteredRun run = filled(options);
  EXPECT_NEAR(run.carbon.value(), 0.3 * 44.18, 1e-9);
  EXPECT_NEAR(run.footprint->sci_operational.value(), 0.5 * 44.18, 1e-9);
  // Half of the busy time was the run's: half of making the machine.
  options.reserved = true;
  const MeteredRun reserved = filled(options);
  EXPECT_NEAR(reserved.footprint->sci_operational.value(), 1.0 * 44.18, 1e-9);
  EXPECT_NEAR(reserved.footprint->embodied.value(), 2 * run.footprint->embodied.value(), 1e-12);
}

TEST(FootprintFigures, OfGpusOnlyThoseUsedAreTheRuns) {
  MeteredRun run = metered();
  run.gpus.resize(4);
  run.gpus[0].share.busy_seconds = run.gpus[0].share.workload_seconds = 100;
  run.gpus[1].share.busy_seconds = 100;
  run.gpus[1].share.workload_seconds = 50;
  run.gpus[2].share.busy_seconds = 100;
  footprint::Hardware hardware{.gpus = {4, "NVIDIA A100-SXM4-40GB"}, .server = true};
  fill_footprint({}, hardware, 0, run);
  ASSERT_TRUE(run.footprint);
  for (const auto& derivation : run.footprint->derivations) {
    if (derivation.figure != "embodied") continue;
    const auto share = std::find_if(derivation.factors.begin(), derivation.factors.end(),
                                    [](const auto& factor) { return factor.key == "gpu_share"; });
    ASSERT_NE(share, derivation.factors.end());
    EXPECT_DOUBLE_EQ(share->value, 1.5 / 4);
  }
}

TEST(FootprintFigures, TheRecordSaysZoneKindAndMoney) {
  FootprintOptions options;
  options.request = {.zone = "FR", .price = footprint::Price{0.2, "EUR"}};
  MeteredRun run = filled(options);
  record_footprint(run);
  EXPECT_EQ(run.run.tags["joulery.zone"], "FRA");
  EXPECT_EQ(run.run.tags["joulery.intensity"], "average lifecycle location-based");
  EXPECT_EQ(run.run.tags["joulery.currency"], "EUR");
  EXPECT_EQ(run.run.tags["joulery.sci_energy"], "proportional share");
  const auto metric = [&](const std::string& key) {
    const auto found = std::find_if(run.run.metrics.begin(), run.run.metrics.end(),
                                    [&](const auto& metric) { return metric.key == "joulery/" + key; });
    return found == run.run.metrics.end() ? -1 : found->point.value;
  };
  EXPECT_NEAR(metric("cost"), 0.3 * 0.2, 1e-9);
  for (const char* key : {"water_litres", "embodied_gco2e", "sci_gco2e"}) {
    EXPECT_GT(metric(key), 0) << key;
    EXPECT_LE(metric(std::string(key) + "_low"), metric(key)) << key;
    EXPECT_GE(metric(std::string(key) + "_high"), metric(key)) << key;
  }
}

TEST(FootprintFigures, EnergyIsDerivedFromCountersAndEveryFigureComputes) {
  const MeteredRun run = filled({});
  ASSERT_TRUE(run.footprint);
  const auto& derivations = run.footprint->derivations;
  ASSERT_GE(derivations.size(), 5U);
  EXPECT_EQ(derivations[0].figure, "energy");
  EXPECT_EQ(derivations[1].figure, "machine");
  EXPECT_THAT(derivations[1].factors.at(0).basis, HasSubstr("by powercap"));
  for (const auto& derivation : derivations)
    EXPECT_NEAR(footprint::evaluate(derivation), derivation.value, 1e-9 * derivation.value)
        << derivation.figure;
}

TEST(FootprintFigures, ABrokenTableOfTheUsersIsAWarningAndNoLoss) {
  const TestFolder folder;
  folder.write("grid_country.csv", "iso3,name\nFRA,France\n");
  const footprint::DataSet data({.override_folder = "", .user_folder = folder.path()});
  FootprintOptions options;
  options.data = &data;
  options.request.zone = "FR";
  const MeteredRun run = filled(options);
  EXPECT_NEAR(run.carbon.value(), 0.3 * 44.18, 1e-9);
  ASSERT_EQ(run.warnings.size(), 1U);
  EXPECT_THAT(run.warnings[0].text, HasSubstr("grid_country.csv:1: there is no column"));
}

TEST(Hardware, DrivesAreReadFromSysfsAndRemovableOnesAreNot) {
  const TestFolder root;
  const auto drive = [&](const char* name, const char* sectors, const char* rotational,
                         const char* removable) {
    const std::string device = fmt::format("/sys/block/{}", name);
    root.write(device + "/size", sectors);
    root.write(device + "/queue/rotational", rotational);
    root.write(device + "/removable", removable);
  };
  drive("nvme0n1", "2000000000\n", "0\n", "0\n");
  drive("sda", "4000000000\n", "1\n", "0\n");
  drive("sdb", "60000000\n", "1\n", "1\n");
  drive("loop0", "1000\n", "0\n", "0\n");
  drive("sr0", "1000\n", "1\n", "1\n");
  power::MachineIdentity identity;
  identity.packages = 2;
  identity.threads_online = 64;
  MeteredRun run;
  run.host.host.memory_bytes = 64e9;
  const footprint::Hardware hardware = read_hardware(SystemRoot(root.path()), identity, run);
  ASSERT_EQ(hardware.drives.size(), 2U);
  EXPECT_FALSE(hardware.drives[0].rotational);
  EXPECT_NEAR(hardware.drives[0].gigabytes, 1024, 1e-6);
  EXPECT_TRUE(hardware.drives[1].rotational);
  EXPECT_TRUE(hardware.server);
  EXPECT_EQ(hardware.memory_gigabytes, 64);
}

TEST(Hardware, CardsCountOnceAndByTheirModel) {
  MeteredRun run;
  const auto add = [&](const char* id, const char* parent, const char* name, const char* model) {
    DeviceReport& device = run.devices.emplace_back();
    device.info.device_id = id;
    device.info.parent_id = parent;
    device.info.name = name;
    device.info.model = model;
    device.info.scope = power::Scope::gpu;
  };
  add("nvml:GPU-1", "", "NVIDIA H100 PCIe (GPU 0)", "NVIDIA H100 PCIe");
  add("nvml:GPU-2", "rapl:psys", "NVIDIA H100 PCIe (GPU 1)", "NVIDIA H100 PCIe");
  add("gpu:0000:03:00.0", "", "GPU 0000:03:00.0", "");
  add("gpu:0000:03:00.0:2", "gpu:0000:03:00.0", "part of GPU 0000:03:00.0", "");
  add("mirror", "", "GPU", "");
  run.devices.back().mirror_of = "nvml:GPU-1";
  const footprint::Hardware hardware = read_hardware(SystemRoot("/nonexistent"), {}, run);
  EXPECT_EQ(hardware.gpus,
            (std::vector<std::string>{"NVIDIA H100 PCIe", "NVIDIA H100 PCIe", "GPU 0000:03:00.0"}));
}

}  // namespace
}  // namespace joulery::meter
