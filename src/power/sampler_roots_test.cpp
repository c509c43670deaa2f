#include <gtest/gtest.h>

#include "power/sampler_bench.hpp"

namespace joulery::power {
namespace {

TEST(SamplerRoots, OnlyRootsAddUp) {
  Bench bench;
  SourceInfo psys = package_info("rapl:psys");
  psys.scope = Scope::psys;
  SourceInfo core = package_info("rapl:package-0:core", "rapl:package-0");
  core.scope = Scope::core;
  SourceInfo dram = package_info("rapl:package-0:dram", "rapl:psys");
  dram.scope = Scope::dram;
  bench.add(core, 100);
  bench.add(package_info("rapl:package-0", "rapl:psys"), 5000);
  bench.add(dram, 70);
  bench.add(psys, 9000);
  bench.start();
  EXPECT_NEAR(bench.step({30, 50, 5, 80}).machine_joules, 80, 1e-9);
  EXPECT_FALSE(bench.sampler->is_root(0));
  EXPECT_FALSE(bench.sampler->is_root(1));
  EXPECT_FALSE(bench.sampler->is_root(2));
  EXPECT_TRUE(bench.sampler->is_root(3));
}

TEST(SamplerRoots, ChildOfADeviceThatIsNotThereIsARoot) {
  Bench bench;
  bench.add(package_info("rapl:package-0", "rapl:psys"), 5000);
  bench.start();
  EXPECT_NEAR(bench.step({50}).machine_joules, 50, 1e-9);
  EXPECT_TRUE(bench.sampler->is_root(0));
}

TEST(SamplerRoots, RootThatNeverMovesGivesWayToItsChildren) {
  Bench bench;
  SourceInfo psys = package_info("rapl:psys");
  psys.scope = Scope::psys;
  bench.add(psys, 0);
  bench.add(package_info("rapl:package-0", "rapl:psys"), 5000);
  bench.start();
  EXPECT_NEAR(bench.steps(10, {0, 50}), 500, 1e-9);
  EXPECT_TRUE(bench.sampler->is_root(1));
  EXPECT_FALSE(bench.sampler->is_root(0));
  // If it wakes up, nothing is counted twice.
  EXPECT_NEAR(bench.step({80, 50}).machine_joules, 50, 1e-9);
}

TEST(SamplerRoots, MirrorsCountOnce) {
  Bench bench;
  bench.start_packages({6812.5, 6812.5});
  EXPECT_NEAR(bench.steps(10, {68, 68}), 680, 1e-9);
  EXPECT_EQ(bench.sampler->mirror_of(1), 0U);
  EXPECT_FALSE(bench.sampler->is_root(1));
  EXPECT_TRUE(bench.sampler->is_root(0));
}

TEST(SamplerRoots, MirrorReadMomentsLaterIsStillAMirror) {
  Bench bench;
  bench.start_packages({6812.5, 6812.53});
  double machine = 0;
  for (int i = 0; i < 10; ++i) machine += bench.step({68, i % 2 == 0 ? 68.02 : 67.98}).machine_joules;
  EXPECT_NEAR(machine, 680, 1e-9);
  EXPECT_EQ(bench.sampler->mirror_of(1), 0U);
}

TEST(SamplerRoots, NearByChanceIsNoMirrorAndNothingIsLost) {
  Bench bench;
  bench.start_packages({6812.5, 6812.9});
  EXPECT_NEAR(bench.steps(10, {68, 60}), 1280, 1e-9);
  EXPECT_TRUE(bench.sampler->is_root(1));
  EXPECT_EQ(bench.sampler->mirror_of(1), 1U);
}

TEST(SamplerRoots, NewCountersOfAlikePackagesAreNoMirrors) {
  // The perf PMU counts from zero for each package.
  Bench bench;
  bench.start_packages({0.01, 0.01});
  EXPECT_NEAR(bench.steps(20, {68, 68}), 2720, 1e-9);
}

TEST(SamplerRoots, FourMirrorsAreOne) {
  Bench bench;
  bench.start_packages({1000, 1000, 1000, 1000});
  EXPECT_NEAR(bench.steps(10, {20, 20, 20, 20}), 200, 1e-9);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(bench.sampler->mirror_of(i), 0U);
}

SourceInfo scoped(const std::string& id, const std::string& parent, Scope scope) {
  SourceInfo info = package_info(id, parent);
  info.scope = scope;
  return info;
}

TEST(SamplerRoots, RootThatShowsLessThanItsPartsGivesWayToThem) {
  Bench bench;
  bench.add(scoped("wall", "", Scope::wall), 1000);
  bench.add(package_info("rapl:package-0", "wall"), 5000);
  bench.add(package_info("rapl:package-1", "wall"), 7000);
  bench.start();
  double machine = 0;
  for (int i = 0; i < 3; ++i) machine += bench.step({20, 50, 40}).machine_joules;
  EXPECT_NEAR(machine, 60, 1e-9) << "it may only be slow";
  for (int i = 0; i < 7; ++i) machine += bench.step({20, 50, 40}).machine_joules;
  EXPECT_NEAR(machine, 900, 1e-9) << "from the start, and once";
  EXPECT_EQ(bench.sampler->role(0), DeviceRole::replaced);
  EXPECT_EQ(bench.sampler->role(1), DeviceRole::counted);
  machine += bench.sampler->settle();
  EXPECT_NEAR(machine, 900, 1e-9);
}

TEST(SamplerRoots, RootThatShowsLittleMoreThanItsPartsIsBelieved) {
  Bench bench;
  bench.add(scoped("wall", "", Scope::wall), 1000);
  bench.add(package_info("rapl:package-0", "wall"), 5000);
  bench.start();
  double machine = 0;
  // Sensors are some per cent off, each its own way.
  for (int i = 0; i < 30; ++i) machine += bench.step({46, 50}).machine_joules;
  machine += bench.sampler->settle();
  EXPECT_NEAR(machine, 30 * 46, 1e-9);
  EXPECT_EQ(bench.sampler->role(0), DeviceRole::counted);
  EXPECT_EQ(bench.sampler->role(1), DeviceRole::part);
}

TEST(SamplerRoots, RootThatShowsLessThanAccuracyExplainsGivesWayAtTheEnd) {
  for (const auto& [watts, gives_way] : {std::pair{46.0, true}, std::pair{49.0, false}}) {
    Bench bench;
    SourceInfo wall = scoped("wall", "", Scope::wall);
    wall.accuracy_low = 0.98;
    wall.accuracy_high = 1.02;
    SourceInfo package = package_info("rapl:package-0", "wall");
    package.accuracy_low = 0.97;
    package.accuracy_high = 1.03;
    bench.add(wall, 1000);
    bench.add(package, 5000);
    bench.start();
    double machine = 0;
    for (int i = 0; i < 30; ++i) machine += bench.step({watts, 50}).machine_joules;
    EXPECT_EQ(bench.sampler->role(0), DeviceRole::counted) << "it may only be slow";
    machine += bench.sampler->settle();
    EXPECT_NEAR(machine, 30 * (gives_way ? 50 : watts), 1e-9);
    EXPECT_EQ(bench.sampler->is_root(1), gives_way);
  }
}

TEST(SamplerRoots, WhatHoldsAGpuIsNeverLessThanItsParts) {
  for (const double seconds : {1, 30}) {
    Bench bench;
    bench.add(scoped("wall", "", Scope::wall), 1000);
    bench.add(scoped("module", "wall", Scope::board), 2000);
    bench.add(scoped("gpu", "module", Scope::gpu), 3000);
    bench.add(package_info("rapl:package-0", "wall"), 5000);
    bench.start();
    double machine = 0;
    for (int i = 0; i < seconds; ++i) machine += bench.step({95, 49, 50, 48}).machine_joules;
    EXPECT_NEAR(machine, seconds * 95, 1e-9);
    machine += bench.sampler->settle();
    EXPECT_NEAR(machine, seconds * 98, 1e-9) << "the wall by its parts, and the module by its own";
    EXPECT_TRUE(bench.sampler->is_root(2));
    EXPECT_EQ(bench.sampler->role(1), DeviceRole::replaced);
  }
}

TEST(SamplerRoots, SlowAverageIsWaitedFor) {
  Bench bench;
  SourceInfo wall = scoped("wall", "", Scope::wall);
  wall.kind = ReadingKind::watts;
  wall.update_seconds = 5;
  auto watts = bench.add(wall, 10);
  bench.add(package_info("rapl:package-0", "wall"), 5000);
  bench.start();
  for (int i = 0; i < 60; ++i) {
    // It shows the load twelve seconds late.
    if (i == 12) watts->value = 120;
    bench.step({0, 100});
  }
  EXPECT_EQ(bench.sampler->role(0), DeviceRole::counted);
}

TEST(SamplerRoots, ShortRunWithAWallThatSaysNothingIsThatOfItsParts) {
  Bench bench;
  SourceInfo wall = scoped("wall", "", Scope::wall);
  wall.kind = ReadingKind::watts;
  bench.add(wall, 0);
  bench.add(package_info("rapl:package-0", "wall"), 5000);
  bench.start();
  double machine = bench.step({0, 50}).machine_joules;
  machine += bench.sampler->settle();
  EXPECT_NEAR(machine, 50, 1e-9);
}

TEST(SamplerRoots, CounterAMillionTimesTooHighIsReplaced) {
  Bench bench;
  bench.add(scoped("rapl:psys", "", Scope::psys), 9e9);
  bench.counters[0]->info.wrap_joules = 0;
  bench.add(package_info("rapl:package-0", "rapl:psys"), 5000);
  bench.start();
  double machine = 0;
  for (int i = 0; i < 10; ++i) machine += bench.step({60e6, 50}).machine_joules;
  EXPECT_NEAR(machine, 500, 1e-9);
}

TEST(SamplerRoots, CounterAMillionTimesTooLowIsReplaced) {
  Bench bench;
  bench.add(scoped("rapl:psys", "", Scope::psys), 9000);
  bench.counters[0]->info.min_plausible_watts = 0.01;
  bench.counters[0]->info.resolution_joules = 1e-6;
  bench.add(package_info("rapl:package-0", "rapl:psys"), 5000);
  bench.start();
  double machine = 0;
  for (int i = 0; i < 10; ++i) machine += bench.step({60e-6, 50}).machine_joules;
  EXPECT_NEAR(machine, 500, 1e-9);
}

TEST(SamplerRoots, CounterAMillionTimesTooLowIsUnknownAndNotNothing) {
  Bench bench;
  SourceInfo info = package_info();
  info.min_plausible_watts = 0.01;
  info.resolution_joules = 1e-6;
  bench.add(info, 5000);
  bench.start();
  for (int i = 0; i < 10; ++i) bench.step({60e-6});
  EXPECT_NEAR(bench.sampler->total(0).unknown_seconds, 10, 1e-9);
  EXPECT_TRUE(bench.flagged(SampleFlag::stale));
}

TEST(SamplerRoots, DeadPartOfALivingRootBringsNothingToTheSum) {
  Bench bench;
  bench.add(scoped("rapl:psys", "", Scope::psys), 9000);
  bench.add(package_info("rapl:package-0", "rapl:psys"), 5000);
  bench.add(scoped("rapl:package-0:core", "rapl:package-0", Scope::core), 100);
  bench.start();
  double machine = 0;
  for (int i = 0; i < 20; ++i) machine += bench.step({80, 0, 30}).machine_joules;
  EXPECT_NEAR(machine, 1600, 1e-9);
  EXPECT_FALSE(bench.sampler->is_root(2));
}

TEST(SamplerRoots, DeadRootAndDeadPartGiveWayToWhatMoves) {
  Bench bench;
  bench.add(scoped("rapl:psys", "", Scope::psys), 9000);
  bench.add(package_info("rapl:package-0", "rapl:psys"), 5000);
  bench.add(scoped("rapl:package-0:core", "rapl:package-0", Scope::core), 100);
  bench.start();
  double machine = 0;
  for (int i = 0; i < 20; ++i) machine += bench.step({0, 0, 30}).machine_joules;
  EXPECT_NEAR(machine, 600, 1e-9);
}

TEST(SamplerRoots, MirrorsInsideADeadRootCountOnce) {
  Bench bench;
  bench.add(scoped("rapl:psys", "", Scope::psys), 9000);
  bench.add(package_info("rapl:package-0", "rapl:psys"), 6812.5);
  bench.add(package_info("rapl:package-1", "rapl:psys"), 6812.5);
  bench.start();
  double machine = 0;
  for (int i = 0; i < 20; ++i) machine += bench.step({0, 68, 68}).machine_joules;
  EXPECT_NEAR(machine, 1360, 1e-9);
  EXPECT_EQ(bench.sampler->role(2), DeviceRole::mirror);
}

TEST(SamplerRoots, AlikeInsideADeadRootAreNoMirrorsAndNothingIsLost) {
  Bench bench;
  bench.add(scoped("rapl:psys", "", Scope::psys), 9000);
  bench.add(package_info("rapl:package-0", "rapl:psys"), 6812.5);
  bench.add(package_info("rapl:package-1", "rapl:psys"), 6812.5);
  bench.start();
  double machine = 0;
  for (int i = 0; i < 20; ++i) machine += bench.step({0, 68, 60}).machine_joules;
  EXPECT_NEAR(machine, 20 * 128, 1e-9);
}

TEST(SamplerRoots, WhatIsOnlyReportedIsNeverCountedAndHidesNothing) {
  Bench bench;
  SourceInfo battery = scoped("battery:BAT0", "", Scope::wall);
  battery.reported_only = true;
  bench.add(battery, 0);
  bench.add(package_info("rapl:package-0", "battery:BAT0"), 5000);
  SourceInfo rail = scoped("rail", "rapl:package-0", Scope::board);
  rail.reported_only = true;
  bench.add(rail, 0);
  bench.start();
  double machine = 0;
  for (int i = 0; i < 20; ++i) machine += bench.step({90, 50, 400}).machine_joules;
  machine += bench.sampler->settle();
  EXPECT_NEAR(machine, 1000, 1e-9);
  EXPECT_EQ(bench.sampler->role(0), DeviceRole::reported_only);
  EXPECT_EQ(bench.sampler->role(1), DeviceRole::counted);
  EXPECT_NEAR(bench.sampler->total(0).joules, 1800, 1e-9);
}

TEST(SamplerRoots, RingOfParentsCountsOnce) {
  Bench bench;
  bench.add(package_info("a", "b"), 5000);
  bench.add(package_info("b", "c"), 6000);
  bench.add(package_info("c", "a"), 7000);
  bench.start();
  EXPECT_NEAR(bench.step({50, 60, 70}).machine_joules, 50, 1e-9);
}

/// Two power supplies of these watts and two packages, which are inside the first supply by name.
struct Supplied {
  Supplied(double first, double second) {
    for (const double watts : {first, second}) {
      SourceInfo supply = scoped("wall:" + std::to_string(bench.counters.size()), "", Scope::wall);
      supply.kind = ReadingKind::watts;
      supply.provenance = Provenance::derived;
      supply.is_supply = true;
      supply.wrap_joules = 0;
      supply.update_seconds = 1;
      supply.min_plausible_watts = 0.01;
      supply.max_plausible_watts = 20'000;
      bench.add(supply, watts);
    }
    bench.add(package_info("rapl:package-0", "wall:0"), 5000);
    bench.add(package_info("rapl:package-1", "wall:0"), 7000);
    bench.start();
  }
  void run(int seconds, double package_0, double package_1) {
    for (int i = 0; i < seconds; ++i) {
      machine += bench.step({0, 0, package_0, package_1}).machine_joules;
      expect_no_supply_beside_a_package();
    }
    machine += bench.sampler->settle();
    expect_no_supply_beside_a_package();
  }
  void expect_no_supply_beside_a_package() const {
    const Sampler& sampler = *bench.sampler;
    EXPECT_FALSE((sampler.is_root(0) || sampler.is_root(1)) && (sampler.is_root(2) || sampler.is_root(3)));
  }
  Bench bench;
  double machine = 0;
};

TEST(SamplerRoots, PowerSuppliesAreComparedWithThePackagesTogether) {
  Supplied machine(160, 160);
  machine.run(30, 130, 120);
  EXPECT_NEAR(machine.machine, 30 * 320, 1e-6);
  EXPECT_EQ(machine.bench.sampler->role(0), DeviceRole::counted);
  EXPECT_EQ(machine.bench.sampler->role(2), DeviceRole::part);
}

TEST(SamplerRoots, PowerSuppliesThatTogetherShowTooLittleAllGiveWay) {
  Supplied machine(40, 60);
  machine.run(30, 130, 120);
  EXPECT_NEAR(machine.machine, 30 * 250, 1e-6);
  EXPECT_EQ(machine.bench.sampler->role(0), DeviceRole::replaced);
  EXPECT_EQ(machine.bench.sampler->role(1), DeviceRole::replaced);
}

TEST(SamplerRoots, PowerSupplyInReserveHidesNothing) {
  for (const bool first : {false, true}) {
    Supplied machine(first ? 0 : 320, first ? 320 : 0);
    machine.run(30, 130, 120);
    EXPECT_NEAR(machine.machine, 30 * 320, 1e-6);
  }
}

TEST(SamplerRoots, PowerSuppliesTakeThePlaceOfADeadMeterOfTheMachine) {
  Bench bench;
  SourceInfo meter = scoped("wall:meter", "", Scope::wall);
  meter.min_plausible_watts = 0.01;
  bench.add(meter, 0);
  for (const char* id : {"wall:0", "wall:1"}) {
    SourceInfo supply = scoped(id, "wall:meter", Scope::wall);
    supply.is_supply = true;
    bench.add(supply, 10);
  }
  bench.add(package_info("rapl:package-0", "wall:0"), 5000);
  bench.start();
  double machine = 0;
  for (int i = 0; i < 20; ++i) machine += bench.step({0, 160, 170, 250}).machine_joules;
  machine += bench.sampler->settle();
  EXPECT_NEAR(machine, 20 * 330, 1e-6);
  EXPECT_EQ(bench.sampler->role(3), DeviceRole::part);
}

}  // namespace
}  // namespace joulery::power
