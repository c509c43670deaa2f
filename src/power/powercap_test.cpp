#include <gtest/gtest.h>

#include <cerrno>
#include <set>

#include "power/fake_tree.hpp"
#include "power/rapl.hpp"
#include "power/sampler.hpp"

namespace joulery::power {
namespace {

const Source* find(const RaplProbe& probe, const std::string& id) {
  for (const auto& source : probe.result.sources) {
    if (source->info().device_id == id) return source.get();
  }
  return nullptr;
}

RaplProbe probe_tree(FakeTree& tree) {
  RaplProbe probe = probe_powercap(tree.root(), RaplMachine{});
  link_rapl_parents({&probe});
  return probe;
}

/// A sampler over a fake tree, on a clock that the test moves.
struct Metering {
  explicit Metering(FakeTree& fake) : tree(fake) {
    sampler = std::make_unique<Sampler>(probe_tree(tree).result.sources, clock);
    sampler->start();
  }
  const Tick& tick() {
    clock.advance_seconds(1);
    return sampler->tick();
  }
  FakeTree& tree;
  ManualClock clock;
  std::unique_ptr<Sampler> sampler;
};

TEST(Powercap, ZonesOfTwoSockets) {
  FakeTree tree;
  tree.write("/sys/class/powercap/intel-rapl/enabled", "1\n");
  tree.zone("intel-rapl:0", "package-0", 1'500'000);
  tree.zone("intel-rapl:0:0", "dram", 500'000, 65712999613);
  tree.zone("intel-rapl:1", "package-1", 2'500'000);
  tree.zone("intel-rapl:1:0", "dram", 600'000, 65712999613);
  const RaplProbe probe = probe_tree(tree);
  EXPECT_EQ(probe.result.state, ProbeResult::State::available);
  EXPECT_EQ(probe.result.enable, "");
  ASSERT_EQ(probe.result.sources.size(), 4U);
  const SourceInfo& package = find(probe, "rapl:package-1")->info();
  EXPECT_EQ(package.parent_id, "");
  EXPECT_EQ(package.scope, Scope::package);
  EXPECT_EQ(package.name, "CPU package 1");
  EXPECT_NEAR(package.wrap_joules, 262143.32885, 1e-6);
  EXPECT_NEAR(package.resolution_joules, 61.035e-6, 1e-8);
  const SourceInfo& dram = find(probe, "rapl:package-1:dram")->info();
  EXPECT_EQ(dram.parent_id, "");
  EXPECT_EQ(dram.scope, Scope::dram);
  ManualClock clock;
  const Reading reading = const_cast<Source*>(find(probe, "rapl:package-1:dram"))->read(clock);
  EXPECT_TRUE(reading.valid);
  EXPECT_DOUBLE_EQ(reading.value, 0.6);
}

TEST(Powercap, ZoneNumberIsNotThePackageNumber) {
  FakeTree tree;
  tree.zone("intel-rapl:0", "package-1", 1'000'000);
  tree.zone("intel-rapl:0:0", "core", 1'000);
  tree.zone("intel-rapl:1", "package-0", 2'000'000);
  const RaplProbe probe = probe_tree(tree);
  ManualClock clock;
  EXPECT_DOUBLE_EQ(const_cast<Source*>(find(probe, "rapl:package-0"))->read(clock).value, 2.0);
  EXPECT_EQ(find(probe, "rapl:package-1:core")->info().parent_id, "rapl:package-1");
}

TEST(Powercap, PsysContainsPackagesAndMemory) {
  FakeTree tree;
  tree.zone("intel-rapl:0", "package-0", 1'000'000);
  tree.zone("intel-rapl:0:0", "core", 1'000'000);
  tree.zone("intel-rapl:0:1", "uncore", 1'000'000);
  tree.zone("intel-rapl:0:2", "dram", 1'000'000);
  tree.zone("intel-rapl:1", "psys", 1'000'000);
  const RaplProbe probe = probe_tree(tree);
  EXPECT_EQ(find(probe, "rapl:package-0")->info().parent_id, "rapl:psys");
  EXPECT_EQ(find(probe, "rapl:package-0:dram")->info().parent_id, "rapl:psys");
  EXPECT_EQ(find(probe, "rapl:package-0:core")->info().parent_id, "rapl:package-0");
  EXPECT_EQ(find(probe, "rapl:package-0:uncore")->info().parent_id, "rapl:package-0");

  // 14.4 W is the platform; 9.6 W of them are the package's.
  Metering run(tree);
  tree.energy("intel-rapl:0", 1'000'000 + 9'600'000);
  tree.energy("intel-rapl:0:0", 1'000'000 + 6'000'000);
  tree.energy("intel-rapl:0:1", 1'000'000 + 500'000);
  tree.energy("intel-rapl:0:2", 1'000'000 + 1'000'000);
  tree.energy("intel-rapl:1", 1'000'000 + 14'400'000);
  EXPECT_NEAR(run.tick().machine_joules, 14.4, 1e-9);
}

TEST(Powercap, NestedMemoryIsAddedToThePackage) {
  FakeTree tree;
  tree.zone("intel-rapl:0", "package-0", 1'000'000);
  tree.zone("intel-rapl:0:0", "dram", 1'000'000);
  tree.zone("intel-rapl:1", "package-1", 900'000'000);
  tree.zone("intel-rapl:1:0", "dram", 900'000'000);
  Metering run(tree);
  tree.energy("intel-rapl:0", 1'000'000 + 300'000'000);
  tree.energy("intel-rapl:0:0", 1'000'000 + 50'000'000);
  tree.energy("intel-rapl:1", 900'000'000 + 400'000'000);
  tree.energy("intel-rapl:1:0", 900'000'000 + 50'000'000);
  EXPECT_NEAR(run.tick().machine_joules, 800, 1e-9);
}

TEST(Powercap, MmioIsTheSamePackageAgain) {
  FakeTree tree;
  tree.zone("intel-rapl:0", "package-0", 1'000'000);
  tree.zone("intel-rapl-mmio:0", "package-0", 1'000'000);
  tree.zone("intel-rapl-mmio:0:0", "dram", 7'000'000);
  const RaplProbe probe = probe_tree(tree);
  // The package once, and the memory that only the second tree shows.
  ASSERT_EQ(probe.result.sources.size(), 2U);
  Metering run(tree);
  // Only the msr tree moves: it is the one that is read.
  tree.energy("intel-rapl:0", 11'000'000);
  EXPECT_NEAR(run.tick().machine_joules, 10, 1e-9);
}

TEST(Powercap, MmioAloneIsUsed) {
  FakeTree tree;
  tree.zone("intel-rapl-mmio:0", "package-0", 1'000'000);
  EXPECT_EQ(probe_tree(tree).result.sources.size(), 1U);
}

TEST(Powercap, DiesOfOnePackage) {
  FakeTree tree;
  tree.zone("intel-rapl:0", "package-0-die-0", 1'000'000);
  tree.zone("intel-rapl:0:0", "dram", 1'000'000);
  tree.zone("intel-rapl:1", "package-0-die-1", 5'000'000);
  const RaplProbe probe = probe_tree(tree);
  EXPECT_EQ(find(probe, "rapl:package-0-die-1")->info().scope, Scope::die);
  EXPECT_NE(find(probe, "rapl:package-0-die-0:dram"), nullptr);
}

TEST(Powercap, ThreadripperMirrorsItsCounter) {
  FakeTree tree;
  tree.zone("intel-rapl:0", "package-0", 6'812'500'000);
  tree.zone("intel-rapl:1", "package-1", 6'812'500'000);
  Metering run(tree);
  double machine = 0;
  for (long i = 1; i <= 10; ++i) {
    tree.energy("intel-rapl:0", 6'812'500'000 + i * 68'000'000);
    tree.energy("intel-rapl:1", 6'812'500'000 + i * 68'000'000 + 30);
    machine += run.tick().machine_joules;
  }
  EXPECT_NEAR(machine, 680, 1e-3);
}

TEST(Powercap, WrapAndMissingRange) {
  FakeTree tree;
  tree.zone("intel-rapl:0", "package-0", 262'143'000'000);
  tree.zone("intel-rapl:0:0", "dram", 65'712'000'000, 0);
  const RaplProbe probe = probe_tree(tree);
  EXPECT_NE(probe.result.reason.find("max_energy_range_uj is missing"), std::string::npos);
  EXPECT_EQ(probe.result.state, ProbeResult::State::available);
  EXPECT_EQ(find(probe, "rapl:package-0:dram")->info().wrap_joules, 0);
  Metering run(tree);
  tree.energy("intel-rapl:0", 262'143'300'000);
  tree.energy("intel-rapl:0:0", 65'712'002'000);
  EXPECT_NEAR(run.tick().machine_joules, 0.302, 1e-6);
  tree.energy("intel-rapl:0", 300'000);
  tree.energy("intel-rapl:0:0", 1'000);
  const Tick& tick = run.tick();
  EXPECT_NEAR(tick.machine_joules, 0.32885 + 0.002, 1e-6);
  EXPECT_GE(tick.machine_joules, 0);
}

TEST(Powercap, FrozenThenVanished) {
  FakeTree tree;
  tree.zone("intel-rapl:0", "package-0", 1'000'000);
  Metering run(tree);
  tree.energy("intel-rapl:0", 41'000'000);
  EXPECT_NEAR(run.tick().machine_joules, 40, 1e-9);
  for (int i = 0; i < 5; ++i) run.tick();
  EXPECT_TRUE(has_flag(run.tick().devices[0].flags, SampleFlag::stale));
  tree.write("/sys/class/powercap/intel-rapl:0/energy_uj", "");
  EXPECT_TRUE(has_flag(run.tick().devices[0].flags, SampleFlag::missing));
  EXPECT_NEAR(run.sampler->total(0).joules, 8 * 40, 1e-6);
}

TEST(Powercap, GarbageInTheCounterIsAMissingReading) {
  FakeTree tree;
  tree.zone("intel-rapl:0", "package-0", 1'000'000);
  RaplProbe probe = probe_tree(tree);
  tree.write("/sys/class/powercap/intel-rapl:0/energy_uj", "-5\n");
  ManualClock clock;
  const Reading reading = probe.result.sources[0]->read(clock);
  EXPECT_FALSE(reading.valid);
  EXPECT_EQ(reading.error_number, EINVAL);
}

TEST(Powercap, LimitsThatAreOffDoNotStopTheCounter) {
  FakeTree tree;
  tree.zone("intel-rapl:0", "package-0", 1'000'000);
  tree.write("/sys/class/powercap/intel-rapl:0/enabled", "0\n");
  EXPECT_EQ(probe_tree(tree).result.sources.size(), 1U);
}

TEST(Powercap, RatedPowerBoundsWhatIsBelieved) {
  FakeTree tree;
  tree.zone("intel-rapl:0", "package-0", 1'000'000);
  tree.write("/sys/class/powercap/intel-rapl:0/constraint_0_max_power_uw", "150000000\n");
  tree.write("/sys/class/powercap/intel-rapl:0/constraint_1_max_power_uw", "0\n");
  tree.zone("intel-rapl:1", "package-1", 1'000'000);
  tree.zone("intel-rapl:2", "psys", 1'000'000);
  tree.write("/sys/class/powercap/intel-rapl:2/constraint_0_max_power_uw", "15000000\n");
  const RaplProbe probe = probe_tree(tree);
  EXPECT_DOUBLE_EQ(find(probe, "rapl:psys")->info().max_plausible_watts, 10000);
  EXPECT_DOUBLE_EQ(find(probe, "rapl:package-0")->info().max_plausible_watts, 600);
  EXPECT_DOUBLE_EQ(find(probe, "rapl:package-1")->info().max_plausible_watts, 2000);
}

TEST(Powercap, OnlyRootMayRead) {
  FakeTree tree;
  tree.zone("intel-rapl:0", "package-0", 1'000'000);
  tree.zone("intel-rapl:0:0", "dram", 1'000'000);
  tree.deny("/sys/class/powercap/intel-rapl:0/energy_uj");
  tree.deny("/sys/class/powercap/intel-rapl:0:0/energy_uj");
  const WithoutRoot user;
  const RaplProbe probe = probe_tree(tree);
  EXPECT_EQ(probe.result.state, ProbeResult::State::limited);
  EXPECT_TRUE(probe.result.sources.empty());
  EXPECT_NE(probe.result.reason.find("only root"), std::string::npos);
  EXPECT_NE(probe.result.enable.find("/etc/udev/rules.d/"), std::string::npos);
  EXPECT_NE(probe.result.enable.find("joulery"), std::string::npos);
  EXPECT_EQ(probe.result.enable.find("setcap"), std::string::npos);
  EXPECT_NE(probe.result.cost.find("CVE-2020-8694"), std::string::npos);
}

TEST(Powercap, DevicesWithoutTheClass) {
  FakeTree tree;
  const std::string package = "/sys/devices/virtual/powercap/intel-rapl/intel-rapl:0";
  tree.write(package + "/name", "package-0\n");
  tree.write(package + "/energy_uj", "1\n");
  tree.write(package + "/max_energy_range_uj", "262143328850\n");
  tree.write(package + "/intel-rapl:0:0/name", "dram\n");
  tree.write(package + "/intel-rapl:0:0/energy_uj", "1\n");
  EXPECT_EQ(probe_tree(tree).result.sources.size(), 2U);
}

TEST(Powercap, NothingThere) {
  FakeTree tree;
  const RaplProbe bare = probe_powercap(tree.root(), RaplMachine{});
  EXPECT_EQ(bare.result.state, ProbeResult::State::unavailable);
  EXPECT_EQ(bare.result.enable, "sudo modprobe intel_rapl_msr");
  const RaplProbe guest = probe_powercap(tree.root(), RaplMachine{true, 2000});
  EXPECT_NE(guest.result.reason.find("virtual machine"), std::string::npos);
  EXPECT_EQ(guest.result.enable, "");
}

TEST(Powercap, OddNamesAreLeftAlone) {
  FakeTree tree;
  for (const char* name : {"", "package", "package-", "package--1", "package-x", "package-0-die-",
                           "package-0-die-1x", "package-99999999999", "dram", "core", "gpu"}) {
    tree.zone("intel-rapl:" + std::string(name) + "9", name, 1);
  }
  tree.write("/sys/class/powercap/dtpm:0/name", "package-0\n");
  EXPECT_TRUE(probe_tree(tree).result.sources.empty());
}

TEST(Powercap, IdsAreUnique) {
  FakeTree tree;
  tree.zone("intel-rapl:0", "package-0", 1);
  tree.zone("intel-rapl:1", "package-0", 1);
  tree.zone("intel-rapl:2", "psys", 1);
  tree.zone("intel-rapl:3", "psys", 1);
  std::set<std::string> ids;
  for (const auto& source : probe_tree(tree).result.sources)
    EXPECT_TRUE(ids.insert(source->info().device_id).second);
  EXPECT_EQ(ids.size(), 2U);
}

}  // namespace
}  // namespace joulery::power
