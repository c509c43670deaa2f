#include "power/msr.hpp"

#include <gtest/gtest.h>

#include <map>

#include "power/cpu_topology.hpp"
#include "power/fake_tree.hpp"
#include "power/sampler.hpp"

namespace joulery::power {
namespace {

constexpr std::uint32_t kUnit = 0x606;
constexpr std::uint32_t kPackage = 0x611;
constexpr std::uint32_t kDram = 0x619;
constexpr std::uint32_t kCores = 0x639;
constexpr std::uint32_t kGraphics = 0x641;
constexpr std::uint32_t kPlatform = 0x64D;
constexpr std::uint32_t kAmdUnit = 0xC0010299;
constexpr std::uint32_t kAmdPackage = 0xC001029B;
/// Units of 2^-14 J, as most Intel CPUs say; the other fields are those of power and time.
constexpr std::uint64_t kUnit14 = 0xA0E03;
constexpr std::uint64_t kUnit16 = 0xA1003;

struct Machine {
  Machine(const std::string& vendor, int family, int model, int threads = 1) {
    tree.cpu(vendor, family, model, threads);
    tree.write("/sys/devices/system/cpu/online", threads == 1 ? "0\n" : "0-" + std::to_string(threads - 1));
  }
  RaplProbe probe() {
    const auto identity = read_machine_identity(tree.root());
    RaplMachine machine;
    machine.virtual_machine = identity.has_value() && identity->virtual_machine;
    return probe_msr(tree.root(), identity.value_or(MachineIdentity{}), machine);
  }
  std::map<std::string, double> joules(RaplProbe& found) {
    std::map<std::string, double> result;
    for (const auto& source : found.result.sources) {
      const Reading reading = source->read(clock);
      EXPECT_TRUE(reading.valid);
      result[source->info().device_id] = reading.value;
    }
    return result;
  }
  FakeTree tree;
  ManualClock clock;
};

using Joules = std::map<std::string, double>;

TEST(Msr, LaptopHasAllFiveDomainsOfIntel) {
  Machine laptop("GenuineIntel", 6, 0x8E);
  laptop.tree.msr(0, kUnit, kUnit14);
  laptop.tree.msr(0, kPackage, 16384 * 100);
  laptop.tree.msr(0, kCores, 16384 * 60);
  laptop.tree.msr(0, kGraphics, 16384 * 5);
  laptop.tree.msr(0, kDram, 16384 * 20);
  laptop.tree.msr(0, kPlatform, 16384 * 300);
  RaplProbe found = laptop.probe();
  EXPECT_EQ(found.result.state, ProbeResult::State::available);
  EXPECT_EQ(laptop.joules(found), (Joules{{"rapl:package-0", 100},
                                          {"rapl:package-0:core", 60},
                                          {"rapl:package-0:uncore", 5},
                                          {"rapl:package-0:dram", 20},
                                          {"rapl:psys", 300}}));
  for (const auto& source : found.result.sources) {
    EXPECT_EQ(source->info().via, "MSR");
    EXPECT_DOUBLE_EQ(source->info().wrap_joules, 262144);
    EXPECT_DOUBLE_EQ(source->info().resolution_joules, 0x1p-14);
  }
  EXPECT_FALSE(found.result.cost.empty()) << "what the right to read registers risks";
}

TEST(Msr, UnitComesFromTheRegister) {
  Machine machine("GenuineIntel", 6, 0x2A);
  machine.tree.msr(0, kUnit, kUnit16);
  machine.tree.msr(0, kPackage, 65536 * 7);
  RaplProbe found = machine.probe();
  EXPECT_EQ(machine.joules(found), (Joules{{"rapl:package-0", 7}}));
  EXPECT_DOUBLE_EQ(found.infos.front()->wrap_joules, 65536) << "327 s at 200 W";
}

TEST(Msr, MemoryOfTheseServersCountsIn15MicrojoulesWhateverTheRegisterSays) {
  for (const int model : {0x3F, 0x4F, 0x56, 0x55, 0x6A, 0x6C, 0x57, 0x85}) {
    Machine server("GenuineIntel", 6, model);
    server.tree.msr(0, kUnit, kUnit14);
    server.tree.msr(0, kPackage, 16384 * 100);
    server.tree.msr(0, kDram, 65536 * 10);
    RaplProbe found = server.probe();
    EXPECT_EQ(server.joules(found), (Joules{{"rapl:package-0", 100}, {"rapl:package-0:dram", 10}})) << model;
  }
}

TEST(Msr, PlatformOfSapphireRapidsCountsWholeJoulesAndItsMemoryAsThePackage) {
  for (const int model : {0x8F, 0xCF}) {
    Machine server("GenuineIntel", 6, model);
    server.tree.msr(0, kUnit, kUnit14);
    server.tree.msr(0, kPackage, 16384 * 100);
    server.tree.msr(0, kDram, 16384 * 10);
    server.tree.msr(0, kPlatform, 5000);
    RaplProbe found = server.probe();
    EXPECT_EQ(server.joules(found),
              (Joules{{"rapl:package-0", 100}, {"rapl:package-0:dram", 10}, {"rapl:psys", 5000}}));
  }
}

TEST(Msr, SmallAtomsCountInMicrojoules) {
  Machine tablet("GenuineIntel", 6, 0x37);
  tablet.tree.msr(0, kUnit, 0x505);
  tablet.tree.msr(0, kPackage, 31250);
  RaplProbe found = tablet.probe();
  ASSERT_EQ(found.infos.size(), 1U);
  EXPECT_NEAR(tablet.joules(found)["rapl:package-0"], 1, 1e-9) << "32 uJ a step";
}

TEST(Msr, HighHalfOfIntelsCountersMeansNothing) {
  Machine machine("GenuineIntel", 6, 0x55);
  machine.tree.msr(0, kUnit, kUnit14);
  machine.tree.msr(0, kPackage, 0xABCD000000000000U + 16384);
  RaplProbe found = machine.probe();
  EXPECT_EQ(machine.joules(found)["rapl:package-0"], 1);
  EXPECT_GT(found.infos.front()->wrap_joules, 0);
}

TEST(Msr, AmdReadsThePackageOnceHoweverManyDies) {
  Machine server("AuthenticAMD", 0x17, 0x01, 8);
  for (int cpu = 0; cpu < 8; ++cpu) {
    server.tree.place(cpu, cpu / 4, cpu / 2 % 2);
    server.tree.msr(cpu, kAmdUnit, kUnit16);
    server.tree.msr(cpu, kAmdPackage, 65536U * static_cast<unsigned>(10 + cpu / 4));
  }
  RaplProbe found = server.probe();
  EXPECT_EQ(server.joules(found), (Joules{{"rapl:package-0", 10}, {"rapl:package-1", 11}}));
}

TEST(Msr, IntelIsReadPerDie) {
  Machine server("GenuineIntel", 6, 0x55, 4);
  for (int cpu = 0; cpu < 4; ++cpu) {
    server.tree.place(cpu, 0, cpu / 2);
    server.tree.msr(cpu, kUnit, kUnit14);
    server.tree.msr(cpu, kPackage, 16384U * static_cast<unsigned>(10 + cpu));
  }
  RaplProbe found = server.probe();
  EXPECT_EQ(server.joules(found), (Joules{{"rapl:package-0-die-0", 10}, {"rapl:package-0-die-1", 12}}));
  for (const SourceInfo* info : found.infos) EXPECT_EQ(info->scope, Scope::die);
}

TEST(Msr, FirstCpuOnlineIsReadWhereCpu0IsOff) {
  Machine machine("GenuineIntel", 6, 0x55, 4);
  machine.tree.write("/sys/devices/system/cpu/online", "2-3\n");
  for (int cpu = 0; cpu < 4; ++cpu) machine.tree.place(cpu, cpu / 2);
  machine.tree.msr(2, kUnit, kUnit14);
  machine.tree.msr(2, kPackage, 16384);
  RaplProbe found = machine.probe();
  EXPECT_EQ(machine.joules(found), (Joules{{"rapl:package-1", 1}}));
}

/// Energy of a package whose counter goes from `before` to `after` in a second.
double step_joules(std::uint64_t before, std::uint64_t after) {
  Machine server("AuthenticAMD", 0x19, 0x11);
  server.tree.msr(0, kAmdUnit, kUnit16);
  server.tree.msr(0, kAmdPackage, before);
  RaplProbe found = server.probe();
  Sampler sampler(std::move(found.result.sources), server.clock);
  sampler.start();
  server.tree.msr(0, kAmdPackage, after);
  server.clock.advance_seconds(1);
  return sampler.tick().machine_joules;
}

TEST(Msr, CounterOf32BitsWraps) {
  EXPECT_NEAR(step_joules(0xFFFFFFFF - 65535 * 50, 65536 * 30), 80, 0.01);
}

TEST(Msr, CounterOf64BitsDoesNot) {
  constexpr std::uint64_t kHigh = 0x300000000;
  EXPECT_NEAR(step_joules(kHigh - 65536 * 50, kHigh + 65536 * 30), 80, 1e-6);
  // It has not reached its high half yet, and does in this window.
  EXPECT_NEAR(step_joules(0x100000000 - 65536 * 50, 0x100000000 + 65536 * 30), 80, 1e-6);
}

TEST(Msr, WithoutTheModuleItSaysHowToLoadIt) {
  Machine machine("AuthenticAMD", 0x19, 0x11);
  const RaplProbe found = machine.probe();
  EXPECT_EQ(found.result.state, ProbeResult::State::unavailable);
  EXPECT_NE(found.result.enable.find("modprobe msr"), std::string::npos);
  EXPECT_NE(found.result.cost.find("CAP_SYS_RAWIO"), std::string::npos);
}

TEST(Msr, WithoutRightsItSaysWhichAndWhatTheyRisk) {
  Machine machine("AuthenticAMD", 0x19, 0x11);
  machine.tree.msr(0, kAmdUnit, kUnit16);
  const WithoutRoot user;
  const RaplProbe found = machine.probe();
  EXPECT_EQ(found.result.state, ProbeResult::State::limited);
  EXPECT_NE(found.result.reason.find("CAP_SYS_RAWIO"), std::string::npos);
  EXPECT_FALSE(found.result.enable.empty());
  EXPECT_NE(found.result.cost.find("PLATYPUS"), std::string::npos);
}

TEST(Msr, VirtualMachineIsNotBelieved) {
  Machine machine("GenuineIntel", 6, 0x55);
  machine.tree.write("/sys/hypervisor/type", "kvm\n");
  machine.tree.msr(0, kUnit, kUnit14);
  machine.tree.msr(0, kPackage, 16384);
  const RaplProbe found = machine.probe();
  EXPECT_TRUE(found.result.sources.empty());
  EXPECT_NE(found.result.reason.find("virtual machine"), std::string::npos);
}

TEST(Msr, UnitThatReadsZeroIsNoUnit) {
  Machine machine("GenuineIntel", 6, 0x55);
  machine.tree.msr(0, kUnit, 0);
  machine.tree.msr(0, kPackage, 16384);
  const RaplProbe found = machine.probe();
  EXPECT_EQ(found.result.state, ProbeResult::State::unavailable);
  EXPECT_TRUE(found.result.sources.empty());
  EXPECT_NE(found.result.reason.find("unit"), std::string::npos);
}

TEST(Msr, CpuWithoutEnergyRegistersIsNotAsked) {
  for (const auto& [vendor, family, model] : {std::tuple{"GenuineIntel", 6, 0x1A},
                                              {"GenuineIntel", 15, 0x55},
                                              {"AuthenticAMD", 0x15, 2},
                                              {"CentaurHauls", 6, 0x55}}) {
    Machine machine(vendor, family, model);
    const RaplProbe found = machine.probe();
    EXPECT_EQ(found.result.state, ProbeResult::State::unavailable);
    EXPECT_TRUE(found.result.enable.empty());
    EXPECT_FALSE(found.result.reason.empty());
  }
}

TEST(Msr, RegisterThatFailsLaterIsAMissingReading) {
  Machine machine("GenuineIntel", 6, 0x55);
  machine.tree.msr(0, kUnit, kUnit14);
  machine.tree.msr(0, kPackage, 16384);
  RaplProbe found = machine.probe();
  ASSERT_EQ(found.result.sources.size(), 1U);
  std::filesystem::resize_file(machine.tree.path() + "/dev/cpu/0/msr", 0x612);
  const Reading reading = found.result.sources.front()->read(machine.clock);
  EXPECT_FALSE(reading.valid);
  EXPECT_NE(reading.error_number, 0);
}

TEST(CpuTopology, OneOfEach) {
  const std::vector<CpuPlace> places{{0, 0, 0}, {1, 1, 0}, {2, 0, 1}, {3, 1, 0}, {4, 0, 0}};
  const auto packages = one_of_each(places, false);
  ASSERT_EQ(packages.size(), 2U);
  EXPECT_EQ(packages[0].cpu, 0);
  EXPECT_EQ(packages[1].cpu, 1);
  const auto dies = one_of_each(places, true);
  ASSERT_EQ(dies.size(), 3U);
  EXPECT_EQ(dies[0].die, 0);
  EXPECT_EQ(dies[1].die, -1) << "the only one of its package";
  EXPECT_EQ(dies[2].cpu, 2);
}

}  // namespace
}  // namespace joulery::power
