#include <gtest/gtest.h>

#include "power/fake_calls.hpp"
#include "power/fake_tree.hpp"
#include "power/rapl.hpp"
#include "power/sampler.hpp"

namespace joulery::power {
namespace {

constexpr double kUsualStepJoules = 0x1p-14;
constexpr double kMemoryStepJoules = 0x1p-16;
const std::string kPmu = "/sys/bus/event_source/devices/power";

void add_event(FakeTree& tree, const std::string& name, int number,
               const std::string& scale = "2.3283064365386962890625e-10") {
  tree.write(kPmu + "/events/" + name, "event=0x0" + std::to_string(number) + "\n");
  tree.write(kPmu + "/events/" + name + ".scale", scale + "\n");
  tree.write(kPmu + "/events/" + name + ".unit", "Joules\n");
}

void add_pmu(FakeTree& tree, const std::string& cpumask) {
  tree.write(kPmu + "/type", "23\n");
  tree.write(kPmu + "/cpumask", cpumask + "\n");
  tree.write(kPmu + "/format/event", "config:0-7\n");
}

void add_cpu(FakeTree& tree, int cpu, int package, int die) {
  const std::string topology = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
  tree.write(topology + "physical_package_id", std::to_string(package) + "\n");
  tree.write(topology + "die_id", std::to_string(die) + "\n");
}

const SourceInfo* find(const RaplProbe& probe, const std::string& id) {
  for (const auto& source : probe.result.sources) {
    if (source->info().device_id == id) return &source->info();
  }
  return nullptr;
}

TEST(PerfPower, OneCounterForEachPackageAndEvent) {
  FakeTree tree;
  FakeCalls calls;
  add_pmu(tree, "0,24");
  add_event(tree, "energy-pkg", 2);
  add_event(tree, "energy-ram", 3);
  add_cpu(tree, 0, 0, 0);
  add_cpu(tree, 24, 1, 0);
  {
    const RaplProbe probe = probe_perf_power(tree.root(), calls, RaplMachine{});
    EXPECT_EQ(probe.result.state, ProbeResult::State::available);
    ASSERT_EQ(probe.result.sources.size(), 4U);
    const SourceInfo* package = find(probe, "rapl:package-1");
    ASSERT_NE(package, nullptr);
    EXPECT_EQ(package->wrap_joules, 0);
    EXPECT_DOUBLE_EQ(package->resolution_joules, kUsualStepJoules);
    EXPECT_EQ(package->via, "perf power PMU");
    EXPECT_NE(find(probe, "rapl:package-0:dram"), nullptr);
    ASSERT_EQ(calls.open.size(), 4U);
    EXPECT_EQ(calls.open.begin()->second.type, 23U);

    calls.counts[{2, 24}] = std::uint64_t{50} << 32;
    ManualClock clock;
    for (const auto& source : probe.result.sources) {
      const Reading reading = source->read(clock);
      EXPECT_TRUE(reading.valid);
      EXPECT_DOUBLE_EQ(reading.value, source->info().device_id == "rapl:package-1" ? 50 : 0);
    }
  }
  EXPECT_TRUE(calls.open.empty()) << "descriptors are closed with their sources";
}

TEST(PerfPower, ResolutionIsTheStepOfTheCounterNotTheUnitOfTheCount) {
  FakeTree tree;
  FakeCalls calls;
  add_pmu(tree, "0-1");
  add_event(tree, "energy-cores", 1);
  add_event(tree, "energy-pkg", 2);
  add_event(tree, "energy-ram", 3);
  add_event(tree, "energy-gpu", 4);
  add_event(tree, "energy-psys", 5);
  add_cpu(tree, 0, 0, 0);
  add_cpu(tree, 1, 0, 1);
  RaplMachine machine;
  for (const bool whole_joules : {false, true}) {
    machine.platform_counts_whole_joules = whole_joules;
    const RaplProbe probe = probe_perf_power(tree.root(), calls, machine);
    ASSERT_EQ(probe.result.sources.size(), 9U);
    for (const auto& source : probe.result.sources) {
      const SourceInfo& info = source->info();
      double expected = kUsualStepJoules;
      if (info.scope == Scope::dram) expected = kMemoryStepJoules;
      if (info.scope == Scope::psys && whole_joules) expected = 1;
      EXPECT_DOUBLE_EQ(info.resolution_joules, expected) << info.device_id;
    }
  }
}

TEST(PerfPower, ResolutionIsNeverFinerThanTheUnitOfTheCount) {
  FakeTree tree;
  FakeCalls calls;
  add_pmu(tree, "0");
  add_event(tree, "energy-pkg", 2, "0.5");
  add_event(tree, "energy-ram", 3, "0.25");
  add_event(tree, "energy-psys", 5, "2");
  RaplMachine machine;
  machine.platform_counts_whole_joules = true;
  const RaplProbe probe = probe_perf_power(tree.root(), calls, machine);
  ASSERT_EQ(probe.result.sources.size(), 3U);
  EXPECT_DOUBLE_EQ(find(probe, "rapl:package-0")->resolution_joules, 0.5);
  EXPECT_DOUBLE_EQ(find(probe, "rapl:package-0:dram")->resolution_joules, 0.25);
  EXPECT_DOUBLE_EQ(find(probe, "rapl:psys")->resolution_joules, 2);
}

TEST(PerfPower, DiesOnlyWhereTheMaskHasSeveralOfAPackage) {
  FakeTree tree;
  FakeCalls calls;
  add_pmu(tree, "0-1");
  add_event(tree, "energy-pkg", 2);
  add_cpu(tree, 0, 0, 0);
  add_cpu(tree, 1, 0, 1);
  const RaplProbe probe = probe_perf_power(tree.root(), calls, RaplMachine{});
  ASSERT_EQ(probe.result.sources.size(), 2U);
  ASSERT_NE(find(probe, "rapl:package-0-die-1"), nullptr);
  EXPECT_EQ(find(probe, "rapl:package-0-die-1")->scope, Scope::die);
}

TEST(PerfPower, PlatformIsOneAndTheRoot) {
  FakeTree tree;
  FakeCalls calls;
  add_pmu(tree, "0,24");
  add_event(tree, "energy-cores", 1);
  add_event(tree, "energy-pkg", 2);
  add_event(tree, "energy-gpu", 4);
  add_event(tree, "energy-psys", 5);
  add_cpu(tree, 0, 0, 0);
  add_cpu(tree, 24, 1, 0);
  RaplProbe probe = probe_perf_power(tree.root(), calls, RaplMachine{});
  link_rapl_parents({&probe});
  EXPECT_EQ(probe.result.sources.size(), 7U);
  EXPECT_EQ(find(probe, "rapl:package-0")->parent_id, "rapl:psys");
  EXPECT_EQ(find(probe, "rapl:package-0:core")->parent_id, "rapl:package-0");
  EXPECT_EQ(find(probe, "rapl:package-0:uncore")->scope, Scope::uncore);
  EXPECT_EQ(find(probe, "rapl:psys")->parent_id, "");

  ManualClock clock;
  Sampler sampler(std::move(probe.result.sources), clock);
  sampler.start();
  calls.counts[{1, 0}] = std::uint64_t{5} << 32;
  calls.counts[{2, 0}] = std::uint64_t{8} << 32;
  calls.counts[{2, 24}] = std::uint64_t{8} << 32;
  calls.counts[{5, 0}] = std::uint64_t{20} << 32;
  clock.advance_seconds(1);
  EXPECT_NEAR(sampler.tick().machine_joules, 20, 1e-6);
}

TEST(PerfPower, SixtyFourBitsDoNotWrap) {
  FakeTree tree;
  FakeCalls calls;
  add_pmu(tree, "0");
  add_event(tree, "energy-pkg", 2);
  RaplProbe probe = probe_perf_power(tree.root(), calls, RaplMachine{});
  ManualClock clock;
  calls.counts[{2, 0}] = (std::uint64_t{262143} << 32) - 5;
  Sampler sampler(std::move(probe.result.sources), clock);
  sampler.start();
  calls.counts[{2, 0}] += std::uint64_t{40} << 32;
  clock.advance_seconds(1);
  const Tick& tick = sampler.tick();
  EXPECT_NEAR(tick.machine_joules, 40, 1e-4);
  EXPECT_EQ(tick.devices[0].flags, 0U);
}

TEST(PerfPower, ParanoidKernelIsLimitedWithARemedy) {
  FakeTree tree;
  FakeCalls calls;
  add_pmu(tree, "0");
  add_event(tree, "energy-pkg", 2);
  tree.write("/proc/sys/kernel/perf_event_paranoid", "2\n");
  for (const int error : {EACCES, EPERM}) {
    calls.open_error = error;
    const RaplProbe probe = probe_perf_power(tree.root(), calls, RaplMachine{});
    EXPECT_EQ(probe.result.state, ProbeResult::State::limited);
    EXPECT_NE(probe.result.reason.find("perf_event_paranoid=2"), std::string::npos);
    EXPECT_NE(probe.result.enable.find("kernel.perf_event_paranoid=0"), std::string::npos);
    EXPECT_NE(probe.result.enable.find("CAP_PERFMON"), std::string::npos);
    EXPECT_EQ(probe.result.enable.find("setcap"), std::string::npos);
    EXPECT_NE(probe.result.cost.find("PLATYPUS"), std::string::npos);
  }
}

TEST(PerfPower, EventsThatTheCpuLacksAreLeftOut) {
  FakeTree tree;
  FakeCalls calls;
  add_pmu(tree, "0");
  add_event(tree, "energy-pkg", 2);
  add_event(tree, "energy-psys", 5);
  calls.refused = {5};
  RaplProbe probe = probe_perf_power(tree.root(), calls, RaplMachine{});
  EXPECT_EQ(probe.result.state, ProbeResult::State::available);
  link_rapl_parents({&probe});
  ASSERT_EQ(probe.result.sources.size(), 1U);
  EXPECT_EQ(find(probe, "rapl:package-0")->parent_id, "");
  calls.refused = {2, 5};
  const RaplProbe none = probe_perf_power(tree.root(), calls, RaplMachine{});
  EXPECT_EQ(none.result.state, ProbeResult::State::unavailable);
  EXPECT_FALSE(none.result.reason.empty());
}

TEST(PerfPower, CounterInItsErrorStateIsNotZero) {
  FakeTree tree;
  FakeCalls calls;
  add_pmu(tree, "0");
  add_event(tree, "energy-pkg", 2);
  const RaplProbe probe = probe_perf_power(tree.root(), calls, RaplMachine{});
  ManualClock clock;
  calls.read_result = 0;
  EXPECT_FALSE(probe.result.sources[0]->read(clock).valid);
  EXPECT_EQ(probe.result.sources[0]->read(clock).error_number, EIO);
  calls.read_result = -ENODEV;
  EXPECT_EQ(probe.result.sources[0]->read(clock).error_number, ENODEV);
}

TEST(PerfPower, TreesThatAreNoPmu) {
  FakeCalls calls;
  FakeTree empty;
  EXPECT_EQ(probe_perf_power(empty.root(), calls, RaplMachine{}).result.enable, "sudo modprobe rapl");
  EXPECT_EQ(probe_perf_power(empty.root(), calls, RaplMachine{true, 2000}).result.enable, "");
  FakeTree tree;
  add_pmu(tree, "0");
  EXPECT_EQ(probe_perf_power(tree.root(), calls, RaplMachine{}).result.state,
            ProbeResult::State::unavailable);
  add_event(tree, "energy-pkg", 2);
  for (const auto& [file, text] :
       {std::pair("/type", "x"), std::pair("/cpumask", "0-"), std::pair("/cpumask", ""),
        std::pair("/events/energy-pkg", "event=0xfff"), std::pair("/events/energy-pkg.scale", "-1"),
        std::pair("/events/energy-pkg.unit", "Volts")}) {
    FakeTree broken;
    add_pmu(broken, "0");
    add_event(broken, "energy-pkg", 2);
    broken.write(kPmu + file, text);
    const RaplProbe probe = probe_perf_power(broken.root(), calls, RaplMachine{});
    EXPECT_EQ(probe.result.state, ProbeResult::State::unavailable) << file << " " << text;
    EXPECT_FALSE(probe.result.reason.empty());
  }
}

}  // namespace
}  // namespace joulery::power
