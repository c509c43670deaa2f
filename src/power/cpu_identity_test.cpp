#include "power/cpu_identity.hpp"

#include <gtest/gtest.h>

#include "power/cpu_tables.hpp"
#include "power/fake_tree.hpp"
#include "power/power_model.hpp"

namespace joulery::power {
namespace {

struct NameCase {
  const char* cpuinfo;
  const char* vendor;
  const char* table;
};

class CpuModelName : public testing::TestWithParam<NameCase> {};

TEST_P(CpuModelName, IsSpeltAsInTheTable) {
  EXPECT_EQ(normalise_cpu_model(GetParam().cpuinfo), GetParam().table);
  EXPECT_TRUE(find_tdp(GetParam().vendor, normalise_cpu_model(GetParam().cpuinfo)).has_value());
}

INSTANTIATE_TEST_SUITE_P(
    Samples, CpuModelName,
    testing::Values(
        NameCase{"Intel(R) Xeon(R) CPU E5-2620 v3 @ 2.40GHz", "intel", "Intel Xeon E5-2620 v3"},
        NameCase{"Intel(R) Xeon(R) CPU E3-1240 V2 @ 3.40GHz", "intel", "Intel Xeon E3-1240 v2"},
        NameCase{"Intel(R) Xeon(R) Gold 6148 CPU @ 2.40GHz", "intel", "Intel Xeon Gold 6148"},
        NameCase{"Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz", "intel", "Intel Xeon Platinum 8375C"},
        NameCase{"Intel(R) Core(TM) i7-8550U CPU @ 1.80GHz", "intel", "Intel Core i7-8550U"},
        NameCase{"Intel(R) Core(TM) i7 CPU         920  @ 2.67GHz", "intel", "Intel Core i7-920"},
        NameCase{"12th Gen Intel(R) Core(TM) i7-12700K", "intel", "Intel Core i7-12700K"},
        NameCase{"13th Gen Intel(R) Core(TM) i5-1335U", "intel", "Intel Core i5-1335U"},
        NameCase{"Intel(R) Core(TM)2 Duo CPU     E8400  @ 3.00GHz", "intel", "Intel Core2 Duo E8400"},
        NameCase{"Intel(R) Pentium(R) CPU G4560 @ 3.50GHz", "intel", "Intel Pentium G4560"},
        NameCase{"AMD EPYC 7763 64-Core Processor", "amd", "AMD EPYC 7763"},
        NameCase{"AMD Ryzen 7 5800X 8-Core Processor", "amd", "AMD Ryzen 7 5800X"},
        NameCase{"AMD Ryzen 7 4800U with Radeon Graphics", "amd", "AMD Ryzen 7 4800U"},
        NameCase{"AMD Ryzen Threadripper 1950X 16-Core Processor", "amd", "AMD Ryzen Threadripper 1950X"}));

TEST(CpuModelNames, HostileTextStaysShort) {
  EXPECT_EQ(normalise_cpu_model(""), "");
  EXPECT_EQ(normalise_cpu_model("   @ "), "");
  EXPECT_LE(normalise_cpu_model(std::string(100000, 'x')).size(), 300U);
  EXPECT_EQ(normalise_cpu_model("CPU Processor 8-Core"), "");
}

constexpr const char* kTwoSockets =
    "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\n"
    "model name\t: Intel(R) Xeon(R) Gold 6148 CPU @ 2.40GHz\nstepping\t: 4\nphysical id\t: 0\nflags\t\t: fpu "
    "vme\n\n"
    "processor\t: 1\nvendor_id\t: Other\nmodel\t\t: 1\nphysical id\t: 1\nflags\t\t: hypervisor\n";

TEST(Cpuinfo, FirstProcessorNamesAllAndPackagesAreCounted) {
  const CpuInfo info = parse_cpuinfo(kTwoSockets);
  EXPECT_EQ(info.vendor, "GenuineIntel");
  EXPECT_EQ(info.model_name, "Intel(R) Xeon(R) Gold 6148 CPU @ 2.40GHz");
  EXPECT_EQ(info.family, 6);
  EXPECT_EQ(info.model, 85);
  EXPECT_EQ(info.stepping, 4);
  EXPECT_EQ(info.threads, 2);
  EXPECT_EQ(info.packages, 2);
  EXPECT_FALSE(info.hypervisor_flag);
}

TEST(Cpuinfo, ArmHasNumbersOnly) {
  const CpuInfo info = parse_cpuinfo(
      "processor\t: 0\nBogoMIPS\t: 50.00\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU part\t: 0xd0c\n");
  EXPECT_EQ(info.vendor, "ARM");
  EXPECT_EQ(info.family, 0x41);
  EXPECT_EQ(info.model, 0xd0c);
  EXPECT_EQ(arm_core_name(info.family, info.model), "Neoverse N1");
  EXPECT_EQ(server_family(info.vendor, info.family, info.model, 0), "Neoverse N1");
}

TEST(Cpuinfo, GarbageIsNoCpu) {
  for (const char* text : {"", ":", "\n\n:::\n", "processor", "model name"})
    EXPECT_EQ(parse_cpuinfo(text).threads, 0);
  EXPECT_EQ(parse_cpuinfo("processor: 0\ncpu family: 99999999999999\nmodel: -\n").family, -1);
}

TEST(Identity, VirtualMachineWithQuotaAndMemoryLimit) {
  FakeTree tree;
  tree.write(
      "/proc/cpuinfo",
      "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 26\nmodel\t\t: 2\nmodel name\t: AMD EPYC\n"
      "stepping\t: 1\nphysical id\t: 0\nflags\t\t: fpu hypervisor lahf_lm\n\nprocessor\t: 1\nphysical id\t: "
      "0\n");
  tree.write("/proc/meminfo", "MemTotal:       8388608 kB\n");
  tree.write("/proc/stat", "cpu 1 2 3 4\n");
  auto identity = read_machine_identity(tree.root());
  ASSERT_TRUE(identity.has_value());
  EXPECT_TRUE(identity->virtual_machine);
  EXPECT_EQ(identity->cpu_model, "AMD EPYC");
  EXPECT_EQ(identity->threads_online, 2);
  EXPECT_EQ(identity->packages, 1);
  EXPECT_DOUBLE_EQ(identity->quota_cpus, 2.0);
  EXPECT_DOUBLE_EQ(identity->memory_gib, 8.0);

  tree.write("/sys/fs/cgroup/cgroup.controllers", "cpu\n");
  tree.write("/sys/fs/cgroup/cpu.max", "50000 100000\n");
  EXPECT_DOUBLE_EQ(read_machine_identity(tree.root())->quota_cpus, 0.5);
  EXPECT_DOUBLE_EQ(read_machine_identity(tree.root())->memory_gib, 2.0);
  tree.write("/sys/fs/cgroup/memory.max", "1073741824\n");
  EXPECT_DOUBLE_EQ(read_machine_identity(tree.root())->memory_gib, 1.0);
}

TEST(Identity, StealShowsAVirtualMachineWithoutTheFlag) {
  FakeTree tree;
  tree.write("/proc/cpuinfo", "processor\t: 0\nflags\t: fpu\n");
  tree.write("/proc/stat", "cpu 1 2 3 4 0 0 0 0\n");
  EXPECT_FALSE(read_machine_identity(tree.root())->virtual_machine);
  tree.write("/proc/stat", "cpu 1 2 3 4 0 0 0 9\n");
  EXPECT_TRUE(read_machine_identity(tree.root())->virtual_machine);
}

TEST(Identity, MissingCpuinfoIsAnEnvironmentError) {
  FakeTree tree;
  ASSERT_FALSE(read_machine_identity(tree.root()).has_value());
  tree.write("/proc/cpuinfo", "nothing: here\n");
  const auto identity = read_machine_identity(tree.root());
  ASSERT_FALSE(identity.has_value());
  EXPECT_EQ(identity.error().kind, Error::Kind::environment);
}

}  // namespace
}  // namespace joulery::power
