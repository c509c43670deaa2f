#include "power/sampler.hpp"

#include <gtest/gtest.h>

#include "base/allocation_count.hpp"
#include "power/fake_calls.hpp"
#include "power/fake_tree.hpp"
#include "power/fallback_source.hpp"
#include "power/probe.hpp"
#include "power/sampler_bench.hpp"

namespace joulery::power {
namespace {

TEST(Sampler, EnergyPerWindow) {
  Bench bench;
  bench.add(package_info(), 1000);
  bench.start();
  EXPECT_NEAR(bench.step({50}).machine_joules, 50, 1e-9);
  EXPECT_NEAR(bench.step({25}, 0.5).machine_joules, 25, 1e-9);
  EXPECT_DOUBLE_EQ(bench.last->window_seconds, 0.5);
  EXPECT_EQ(bench.last->boottime_ns, bench.clock.boottime);
  const DeviceTotal& total = bench.sampler->total(0);
  EXPECT_NEAR(total.joules, 75, 1e-9);
  EXPECT_EQ(total.ticks, 2U);
  EXPECT_NEAR(total.peak_watts, 50, 1e-9);
  EXPECT_EQ(total.bridged_joules, 0);
  for (const auto count : total.flag_counts) EXPECT_EQ(count, 0U);
}

TEST(Sampler, WrapIsUnwrapped) {
  Bench bench;
  bench.add(package_info(), kWrap - 10);
  bench.start();
  EXPECT_NEAR(bench.step({50}).machine_joules, 50, 1e-6);
  EXPECT_TRUE(bench.flagged(SampleFlag::wrapped));
  EXPECT_FALSE(bench.flagged(SampleFlag::backwards));
  EXPECT_NEAR(bench.step({50}).machine_joules, 50, 1e-6);
  EXPECT_FALSE(bench.flagged(SampleFlag::wrapped));
}

TEST(Sampler, MemoryWrapsAlone) {
  Bench bench;
  SourceInfo dram = package_info("rapl:package-0:dram");
  dram.scope = Scope::dram;
  dram.wrap_joules = 65712.999613;
  bench.add(package_info(), 5000);
  bench.add(dram, dram.wrap_joules - 2);
  bench.start();
  EXPECT_NEAR(bench.step({40, 6}).machine_joules, 46, 1e-6);
  EXPECT_FALSE(bench.flagged(SampleFlag::wrapped, 0));
  EXPECT_TRUE(bench.flagged(SampleFlag::wrapped, 1));
}

TEST(Sampler, WrapWithoutARangeIsBridged) {
  Bench bench;
  SourceInfo info = package_info();
  info.wrap_joules = 0;
  auto counter = bench.add(info, 5000);
  bench.start();
  bench.step({40});
  counter->value = 3;
  EXPECT_NEAR(bench.step({0}).machine_joules, 40, 1e-9);
  EXPECT_TRUE(bench.flagged(SampleFlag::backwards));
  EXPECT_NEAR(bench.step({40}).machine_joules, 40, 1e-9);
  EXPECT_NEAR(bench.sampler->total(0).bridged_joules, 40, 1e-9);
  EXPECT_NEAR(bench.sampler->total(0).bridged_seconds, 1, 1e-9);
}

TEST(Sampler, BackwardsIsNotAWrap) {
  Bench bench;
  auto counter = bench.start_package();
  counter->value -= 100;
  EXPECT_NEAR(bench.step({0}).machine_joules, 40, 1e-9);
  EXPECT_TRUE(bench.flagged(SampleFlag::backwards));
  EXPECT_FALSE(bench.flagged(SampleFlag::wrapped));
  EXPECT_NEAR(bench.step({20}).machine_joules, 20, 1e-9);
}

TEST(Sampler, JumpIsImplausible) {
  Bench bench;
  bench.start_package();
  EXPECT_NEAR(bench.step({100000}).machine_joules, 40, 1e-9);
  EXPECT_TRUE(bench.flagged(SampleFlag::implausible));
  EXPECT_NEAR(bench.step({30}).machine_joules, 30, 1e-9);
  EXPECT_EQ(bench.last->devices[0].flags, 0U);
}

TEST(Sampler, JumpInTheFirstWindowIsUnknownNotZero) {
  Bench bench;
  bench.add(package_info(), 5000);
  bench.start();
  EXPECT_EQ(bench.step({100000}).machine_joules, 0);
  EXPECT_NEAR(bench.sampler->total(0).unknown_seconds, 1, 1e-9);
}

TEST(Sampler, GapIsBridgedAndThenCorrected) {
  Bench bench;
  auto counter = bench.start_package();
  counter->valid = false;
  EXPECT_NEAR(bench.step({50}).machine_joules, 40, 1e-9);
  EXPECT_TRUE(bench.flagged(SampleFlag::missing));
  EXPECT_NEAR(bench.sampler->total(0).bridged_joules, 40, 1e-9);
  counter->valid = true;
  // 100 J in two seconds, of which 40 are booked.
  EXPECT_NEAR(bench.step({50}).machine_joules, 60, 1e-9);
  EXPECT_NEAR(bench.sampler->total(0).joules, 140, 1e-9);
  EXPECT_NEAR(bench.sampler->total(0).bridged_joules, 0, 1e-9);
}

TEST(Sampler, BridgedTooMuchIsTakenOffWhatFollows) {
  Bench bench;
  auto counter = bench.start_package(100);
  counter->valid = false;
  bench.step({10});
  counter->valid = true;
  EXPECT_EQ(bench.step({10}).machine_joules, 0);
  EXPECT_NEAR(bench.sampler->total(0).bridged_joules, 80, 1e-9);
  EXPECT_EQ(bench.step({50}).machine_joules, 0);
  EXPECT_NEAR(bench.step({50}).machine_joules, 20, 1e-9);
  EXPECT_NEAR(bench.sampler->total(0).joules, 220, 1e-9);
}

TEST(Sampler, DeviceThatVanishesGoesOnAtItsLastPower) {
  Bench bench;
  auto counter = bench.start_package();
  counter->valid = false;
  for (int i = 0; i < 100; ++i) bench.step({0});
  EXPECT_NEAR(bench.sampler->total(0).joules, 4040, 1e-6);
  EXPECT_NEAR(bench.sampler->total(0).bridged_joules, 4000, 1e-6);
  EXPECT_EQ(bench.sampler->total(0).flag_counts[3], 100U);
}

TEST(Sampler, DeviceThatWasNeverReadIsUnknown) {
  Bench bench;
  bench.add(package_info(), 5000)->valid = false;
  bench.start();
  bench.step({0});
  EXPECT_EQ(bench.sampler->total(0).joules, 0);
  EXPECT_NEAR(bench.sampler->total(0).unknown_seconds, 1, 1e-9);
}

TEST(Sampler, NotANumberIsMissing) {
  Bench bench;
  auto counter = bench.start_package();
  const double before = counter->value;
  counter->value = std::numeric_limits<double>::quiet_NaN();
  bench.last = &bench.tick();
  EXPECT_TRUE(bench.flagged(SampleFlag::missing));
  counter->value = before + 80;
  bench.last = &bench.tick();
  EXPECT_NEAR(bench.sampler->total(0).joules, 120, 1e-9);
}

TEST(Sampler, FrozenCounterIsStaleAndNotZero) {
  Bench bench;
  bench.start_package();
  // Two seconds without a step may be; longer may not.
  bench.step({0});
  bench.step({0});
  EXPECT_FALSE(bench.flagged(SampleFlag::stale));
  EXPECT_NEAR(bench.step({0}).machine_joules, 120, 1e-9);
  EXPECT_TRUE(bench.flagged(SampleFlag::stale));
  EXPECT_NEAR(bench.step({0}).machine_joules, 40, 1e-9);
  EXPECT_NEAR(bench.sampler->total(0).joules, 200, 1e-9);
  EXPECT_NEAR(bench.sampler->total(0).bridged_joules, 160, 1e-9);
  EXPECT_EQ(bench.sampler->total(0).flag_counts[4], 2U);
  // It comes back with what it had kept to itself.
  EXPECT_NEAR(bench.step({200}).machine_joules, 40, 1e-9);
  EXPECT_NEAR(bench.sampler->total(0).bridged_joules, 0, 1e-9);
}

TEST(Sampler, CounterThatNeverMovesIsUnknown) {
  Bench bench;
  bench.add(package_info(), 5000);
  bench.start();
  for (int i = 0; i < 10; ++i) bench.step({0});
  EXPECT_TRUE(bench.flagged(SampleFlag::stale));
  EXPECT_NEAR(bench.sampler->total(0).unknown_seconds, 10, 1e-9);
}

TEST(Sampler, CoarseCounterIsNotStale) {
  Bench bench;
  SourceInfo info = package_info("rapl:psys");
  info.scope = Scope::psys;
  info.resolution_joules = 1;
  bench.add(info, 5000);
  bench.start();
  for (int i = 0; i < 100; ++i) bench.step({i % 10 == 9 ? 1.0 : 0.0}, 0.1);
  EXPECT_EQ(bench.sampler->total(0).flag_counts[4], 0U);
  EXPECT_NEAR(bench.sampler->total(0).joules, 10, 1e-9);
}

TEST(Sampler, GraphicsThatAreOffAreNotStale) {
  Bench bench;
  SourceInfo info = package_info("rapl:package-0:uncore", "rapl:package-0");
  info.scope = Scope::uncore;
  bench.add(package_info(), 5000);
  bench.add(info, 0);
  bench.start();
  for (int i = 0; i < 100; ++i) bench.step({10, 0});
  EXPECT_EQ(bench.sampler->total(1).flag_counts[4], 0U);
  EXPECT_EQ(bench.sampler->total(1).unknown_seconds, 0);
}

TEST(Sampler, GraphicsThatWereOffForLongMayNotJump) {
  Bench bench;
  SourceInfo info = package_info("rapl:package-0:uncore");
  info.scope = Scope::uncore;
  bench.add(info, 5000);
  bench.start();
  for (int i = 0; i < 100; ++i) bench.step({0});
  bench.step({40'000});
  EXPECT_TRUE(bench.flagged(SampleFlag::implausible));
  bench.step({10});
  EXPECT_NEAR(bench.last->machine_joules, 10, 1e-9);
}

TEST(Sampler, SuspendIsSeen) {
  Bench bench;
  auto counter = bench.start_package();
  // One second awake in an hour; the counter was reset on the way.
  bench.clock.boottime += 3600 * kNanosecondsPerSecond;
  counter->value = 7;
  EXPECT_NEAR(bench.step({0}).machine_joules, 40, 1e-9);
  EXPECT_TRUE(bench.flagged(SampleFlag::suspended));
  EXPECT_TRUE(bench.flagged(SampleFlag::backwards));
  EXPECT_FALSE(bench.flagged(SampleFlag::wrapped));
  EXPECT_FALSE(bench.flagged(SampleFlag::stale));
  EXPECT_NEAR(bench.step({40}).machine_joules, 40, 1e-9);
  EXPECT_FALSE(bench.flagged(SampleFlag::suspended));
}

TEST(Sampler, StandingStillWhileAsleepIsNotStale) {
  Bench bench;
  bench.start_package();
  bench.clock.boottime += 3600 * kNanosecondsPerSecond;
  bench.step({0}, 0.1);
  EXPECT_FALSE(bench.flagged(SampleFlag::stale));
  EXPECT_TRUE(bench.flagged(SampleFlag::suspended));
}

TEST(Sampler, WindowLongerThanAWrapIsALowerBound) {
  Bench bench;
  bench.start_package();
  EXPECT_NEAR(bench.step({5000}, 600).machine_joules, 5000, 1e-6);
  EXPECT_TRUE(bench.flagged(SampleFlag::maybe_wrapped_unseen));
  bench.step({40});
  EXPECT_FALSE(bench.flagged(SampleFlag::maybe_wrapped_unseen));
}

TEST(Sampler, PowerSensorIsIntegrated) {
  Bench bench;
  SourceInfo info;
  info.device_id = "hwmon:0";
  info.kind = ReadingKind::watts;
  info.scope = Scope::board;
  info.max_plausible_watts = 1000;
  auto sensor = bench.add(info, 10);
  bench.start();
  sensor->value = 30;
  bench.last = &bench.tick(2);
  EXPECT_NEAR(bench.last->machine_joules, 40, 1e-9);
  sensor->value = 1e12;
  bench.last = &bench.tick(1);
  EXPECT_TRUE(bench.flagged(SampleFlag::implausible));
  EXPECT_NEAR(bench.last->machine_joules, 30, 1e-9);
}

TEST(Sampler, PeakIsNotMadeOfSingleUpdates) {
  Bench bench;
  bench.add(package_info(), 5000);
  bench.start();
  // 50 W at 1 kHz; the counter moves by two updates in every other window.
  for (int i = 0; i < 1000; ++i) bench.step({i % 2 == 0 ? 0.1 : 0.0}, 0.001);
  EXPECT_NEAR(bench.sampler->total(0).peak_watts, 50, 5.1);
}

TEST(Sampler, WindowEdgesOfTheCallerLoseNothing) {
  Bench bench;
  auto counter = bench.add(package_info(), 5000);
  bench.start();
  const std::int64_t start = bench.clock.boottime;
  double machine = 0;
  // 50 W; each reading comes 20 ms after the edge.
  for (int i = 1; i <= 10; ++i) {
    const std::int64_t edge = start + i * kNanosecondsPerSecond;
    const double seconds = i == 1 ? 1.02 : 1.0;
    counter->value += 50 * seconds;
    bench.clock.advance_seconds(seconds);
    const Tick& tick = bench.sampler->tick_until(edge);
    EXPECT_EQ(tick.boottime_ns, edge);
    EXPECT_DOUBLE_EQ(tick.window_seconds, 1);
    EXPECT_NEAR(tick.machine_joules, 50, 1e-6);
    machine += tick.machine_joules;
  }
  machine += bench.tick(0.98).machine_joules;
  EXPECT_NEAR(machine, 50 * 10.02, 1e-6);
}

TEST(Sampler, ATickAllocatesNothing) {
  if (!kAllocationsAreCounted) GTEST_SKIP() << "allocations are the sanitizer's here";
  Bench bench;
  for (int i = 0; i < 4; ++i) bench.add(package_info("rapl:package-" + std::to_string(i)), 1000);
  bench.start();
  const std::uint64_t before = allocation_count.load();
  for (int i = 0; i < 1000; ++i) {
    for (auto& counter : bench.counters) counter->value += 5;
    bench.counters[2]->valid = i % 7 != 0;
    if (i % 100 == 50) bench.counters[3]->value = 1;
    bench.tick(0.1);
  }
  EXPECT_EQ(allocation_count.load(), before);
  EXPECT_GT(before, 0);
}

TEST(Sampler, NeitherDoTheRealSources) {
  if (!kAllocationsAreCounted) GTEST_SKIP() << "allocations are the sanitizer's here";
  FakeTree tree;
  tree.zone("intel-rapl:0", "package-0", 1'000'000);
  tree.zone("intel-rapl:0:0", "dram", 1'000'000);
  tree.write("/proc/stat", "cpu 10 0 0 90 0 0 0 0\ncpu0 10 0 0 90 0 0 0 0\n");
  tree.write("/proc/meminfo", "MemTotal: 8388608 kB\n");
  tree.write("/proc/cpuinfo",
             "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 142\n"
             "model name\t: Intel(R) Core(TM) i7-8550U CPU\n");
  tree.msr(0, 0x606, 0xA0E03);
  tree.msr(0, 0x611, 16384);
  const std::string card = tree.hwmon(0, "i915", "0000:03:00.0");
  tree.write(card + "/energy1_input", "1000000\n");
  tree.write(card + "/power1_input", "20000000\n");
  tree.write(card + "/device/power/runtime_status", "active\n");
  const std::string rails = tree.hwmon(1, "ina3221", "1-0040");
  tree.write(rails + "/in1_label", "VDD_IN\n");
  tree.write(rails + "/in1_input", "19000\n");
  tree.write(rails + "/curr1_input", "500\n");
  tree.write("/sys/class/power_supply/BAT0/type", "Battery\n");
  tree.write("/sys/class/power_supply/BAT0/status", "Discharging\n");
  tree.write("/sys/class/power_supply/BAT0/power_now", "9000000\n");
  FakeCalls calls;
  ProbeReport report = probe(tree.root(), calls);
  std::vector<std::unique_ptr<Source>> sources;
  for (auto& result : report.results) {
    for (auto& source : result.sources) sources.push_back(std::move(source));
  }
  // Package and memory by powercap, the package's register, card, rail, battery, and the model of CPU and
  // memory.
  ASSERT_EQ(sources.size(), 8U);
  ManualClock clock;
  Sampler sampler(std::move(sources), clock);
  sampler.start();
  const std::uint64_t before = allocation_count.load();
  for (int i = 0; i < 100; ++i) {
    clock.advance_seconds(0.1);
    sampler.tick();
  }
  EXPECT_EQ(allocation_count.load(), before);
}

TEST(Sampler, NoSourcesAtAll) {
  Bench bench;
  bench.start();
  EXPECT_EQ(bench.tick().machine_joules, 0);
  EXPECT_EQ(bench.sampler->device_count(), 0U);
}

TEST(Sampler, SwitchFromADeadCounterToPowerAllocatesNothing) {
  if (!kAllocationsAreCounted) GTEST_SKIP() << "a sanitizer allocates for itself";
  auto counter = std::make_shared<FakeCounter>();
  counter->info = package_info("gpu:0");
  auto power = std::make_shared<FakeCounter>();
  power->info = counter->info;
  power->info.kind = ReadingKind::watts;
  power->value = 100;
  ManualClock clock;
  const auto source =
      make_fallback_source(std::make_unique<FakeSource>(counter), std::make_unique<FakeSource>(power));
  const std::uint64_t before = allocation_count.load();
  for (int i = 0; i < 30; ++i) {
    clock.advance_seconds(0.1);
    counter->value += i < 10 ? 1 : 0;
    source->read(clock);
  }
  EXPECT_EQ(allocation_count.load(), before);
  EXPECT_TRUE(source->info().integrated);
}

}  // namespace
}  // namespace joulery::power
