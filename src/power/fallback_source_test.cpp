#include "power/fallback_source.hpp"

#include <gtest/gtest.h>

#include <cerrno>

#include "power/fake_tree.hpp"
#include "power/sampler.hpp"

namespace joulery::power {
namespace {

/// A GPU with a counter that is updated every 20 ms and a power sensor.
struct Device {
  Device() {
    counter->info.device_id = "gpu:0";
    counter->info.via = "driver";
    counter->info.scope = Scope::gpu;
    counter->info.update_seconds = 0.02;
    counter->info.resolution_joules = 0.001;
    counter->info.wrap_joules = 1000;
    counter->info.max_plausible_watts = 800;
    counter->value = 990;
    power->info = counter->info;
    power->info.kind = ReadingKind::watts;
    power->info.update_seconds = 0.1;
    power->info.accuracy_low = 0.9;
    power->info.accuracy_high = 1.1;
    power->info.accuracy_basis = "power sensor";
    power->value = 100;
  }
  void start() {
    source = make_fallback_source(std::make_unique<FakeSource>(counter), std::make_unique<FakeSource>(power));
  }
  Reading step(double seconds, double joules = 0) {
    clock.advance_seconds(seconds);
    counter->value += joules;
    return source->read(clock);
  }
  ManualClock clock;
  std::shared_ptr<FakeCounter> counter = std::make_shared<FakeCounter>();
  std::shared_ptr<FakeCounter> power = std::make_shared<FakeCounter>();
  std::unique_ptr<Source> source;
};

TEST(FallbackSource, CounterThatMovesIsTheCounter) {
  Device device;
  device.start();
  device.source->read(device.clock);
  device.power->value = 500;
  for (int i = 0; i < 50; ++i) device.step(0.1, 1);
  EXPECT_DOUBLE_EQ(device.source->read(device.clock).value, 1040);
  EXPECT_FALSE(device.source->info().integrated);
  EXPECT_EQ(device.source->info().provenance, Provenance::measured);
  EXPECT_EQ(device.source->info().via, "driver");
}

TEST(FallbackSource, FrozenCounterGivesWayToPowerFromItsLastMovementOn) {
  Device device;
  device.start();
  device.source->read(device.clock);
  for (int i = 0; i < 10; ++i) device.step(0.1);
  EXPECT_NEAR(device.source->read(device.clock).value, 990 + 100, 1e-9);
  device.power->value = 300;
  EXPECT_NEAR(device.step(1).value, 990 + 100 + 200, 1e-9) << "a trapezoid";
  const SourceInfo& info = device.source->info();
  EXPECT_TRUE(info.integrated);
  EXPECT_EQ(info.provenance, Provenance::derived);
  EXPECT_EQ(info.wrap_joules, 0);
  EXPECT_DOUBLE_EQ(info.accuracy_low, 0.9);
  EXPECT_NE(info.via.find("power summed over time"), std::string::npos);
  EXPECT_NE(info.accuracy_basis.find("power sensor"), std::string::npos);
  EXPECT_EQ(info.device_id, "gpu:0");
}

TEST(FallbackSource, CounterThatVanishesGivesWayToo) {
  Device device;
  device.start();
  device.source->read(device.clock);
  device.counter->valid = false;
  device.counter->error_number = ENODATA;
  EXPECT_FALSE(device.step(0.1).valid);
  for (int i = 0; i < 9; ++i) device.step(0.1);
  const Reading reading = device.source->read(device.clock);
  EXPECT_TRUE(reading.valid);
  EXPECT_NEAR(reading.value, 1090, 1e-9);
}

TEST(FallbackSource, CounterThatIsNotToBeBelievedIsNotWaitedFor) {
  Device device;
  device.start();
  device.source->read(device.clock);
  device.counter->valid = false;
  device.counter->error_number = ERANGE;
  const Reading reading = device.step(0.1);
  EXPECT_TRUE(reading.valid);
  EXPECT_NEAR(reading.value, 1000, 1e-9);
  EXPECT_NE(device.source->info().accuracy_basis.find("unit"), std::string::npos);
  EXPECT_EQ(device.source->info().accuracy_basis.find("stood still"), std::string::npos);
}

TEST(FallbackSource, WhatTheDeadCounterDidNotShowIsLateAndNoPeak) {
  Device device;
  device.start();
  std::vector<std::unique_ptr<Source>> sources;
  sources.push_back(std::move(device.source));
  Sampler sampler(std::move(sources), device.clock);
  sampler.start();
  double most = 0;
  for (int i = 0; i < 50; ++i) {
    device.clock.advance_seconds(0.1);
    const Tick& tick = sampler.tick();
    most = std::max(most, tick.machine_joules - tick.late_joules);
  }
  EXPECT_NEAR(sampler.total(0).joules, 500, 1e-6);
  EXPECT_NEAR(most, 10, 1e-6);
  EXPECT_NEAR(sampler.total(0).peak_watts, 100, 1e-6);
}

TEST(FallbackSource, CounterThatNeverGaveAnythingStartsAtZero) {
  Device device;
  device.counter->valid = false;
  device.start();
  device.source->read(device.clock);
  for (int i = 0; i < 20; ++i) device.step(0.1);
  EXPECT_NEAR(device.source->read(device.clock).value, 200, 1e-9);
}

TEST(FallbackSource, DeviceThatIsOffIsNoDeadCounter) {
  Device device;
  device.power->value = 0;
  device.start();
  for (int i = 0; i < 100; ++i) EXPECT_DOUBLE_EQ(device.step(1).value, 990);
  EXPECT_FALSE(device.source->info().integrated);
}

TEST(FallbackSource, CoarseCounterIsGivenTimeForItsStep) {
  Device device;
  device.counter->info.resolution_joules = 100;
  device.start();
  device.source->read(device.clock);
  // 100 W: a step of 100 J each second.
  for (int i = 0; i < 30; ++i) {
    for (int tenth = 0; tenth < 9; ++tenth) device.step(0.1);
    device.step(0.1, 100);
  }
  EXPECT_FALSE(device.source->info().integrated);
}

TEST(FallbackSource, CounterThatWakesUpIsNotAddedTwice) {
  Device device;
  device.start();
  device.source->read(device.clock);
  for (int i = 0; i < 10; ++i) device.step(0.1);
  ASSERT_TRUE(device.source->info().integrated);
  EXPECT_NEAR(device.step(1, 100).value, 990 + 200, 1e-9);
}

TEST(FallbackSource, ImplausiblePowerIsNotBelieved) {
  Device device;
  device.start();
  device.source->read(device.clock);
  device.power->value = 300e6;
  for (int i = 0; i < 20; ++i) EXPECT_DOUBLE_EQ(device.step(0.1).value, 990);
  device.power->value = 100;
  for (int i = 0; i < 20; ++i) device.step(0.1);
  ASSERT_TRUE(device.source->info().integrated);
  device.power->value = -5;
  EXPECT_FALSE(device.step(0.1).valid);
}

TEST(FallbackSource, SuspendIsNotIntegrated) {
  Device device;
  device.start();
  device.source->read(device.clock);
  for (int i = 0; i < 10; ++i) device.step(0.1);
  const double before = device.source->read(device.clock).value;
  device.clock.boottime += 3600 * kNanosecondsPerSecond;
  EXPECT_NEAR(device.step(1).value, before + 100, 1e-6);
}

TEST(FallbackSource, SamplerBooksWhatTheDeadCounterDidNotShow) {
  Device device;
  device.start();
  std::vector<std::unique_ptr<Source>> sources;
  sources.push_back(std::move(device.source));
  Sampler sampler(std::move(sources), device.clock);
  sampler.start();
  double machine = 0;
  const auto tick = [&](double joules) {
    device.clock.advance_seconds(0.1);
    device.counter->value += joules;
    machine += sampler.tick().machine_joules;
  };
  for (int i = 0; i < 20; ++i) tick(10);
  EXPECT_NEAR(machine, 200, 1e-6);
  for (int i = 0; i < 50; ++i) tick(0);
  machine += sampler.settle();
  EXPECT_NEAR(machine, 700, 1e-6);
  EXPECT_NEAR(sampler.total(0).joules, 700, 1e-6);
  EXPECT_TRUE(sampler.device(0).integrated);
  EXPECT_EQ(sampler.device(0).provenance, Provenance::derived);
}

TEST(FallbackSource, PowerIsNotSummedOverATimeThatNothingWasReadIn) {
  Device device;
  device.start();
  device.source->read(device.clock);
  for (int i = 0; i < 20; ++i) device.step(0.1);
  ASSERT_TRUE(device.source->info().integrated);
  const double before = device.source->read(device.clock).value;
  device.power->valid = false;
  for (int i = 0; i < 25; ++i) EXPECT_FALSE(device.step(0.1).valid);
  device.power->valid = true;
  const Reading back = device.step(0.1);
  EXPECT_TRUE(back.valid);
  EXPECT_TRUE(back.after_gap);
  EXPECT_NEAR(back.value, before, 1e-9);
  const Reading next = device.step(0.1);
  EXPECT_FALSE(next.after_gap);
  EXPECT_NEAR(next.value, before + 10, 1e-9);
  // A reading that fails now and then is no gap.
  device.power->valid = false;
  device.step(0.1);
  device.power->valid = true;
  EXPECT_NEAR(device.step(0.1).value, before + 30, 1e-9);
}

TEST(FallbackSource, WhatAnIntegratedDeviceDrewInAGapIsFilledInAndSaid) {
  for (const bool unread : {false, true}) {
    for (const double alive : {0.5, 3.0}) {
      Device device;
      device.start();
      std::vector<std::unique_ptr<Source>> sources;
      sources.push_back(std::move(device.source));
      Sampler sampler(std::move(sources), device.clock);
      sampler.start();
      const auto ticks = [&](double seconds, double watts) {
        for (int i = 0; i + 0.5 < seconds * 10; ++i) {
          device.clock.advance_seconds(0.1);
          device.counter->value += watts * 0.1;
          sampler.tick();
        }
      };
      ticks(2, 100);
      // The counter freezes or fails; soon after, the whole device is away.
      device.counter->valid = !unread;
      ticks(alive, 0);
      device.power->valid = device.counter->valid = false;
      ticks(2.5, 0);
      device.power->valid = true;
      device.counter->valid = !unread;
      ticks(3, 0);
      const DeviceTotal& total = sampler.total(0);
      EXPECT_TRUE(sampler.device(0).integrated);
      EXPECT_NEAR(total.joules, (2 + alive + 2.5 + 3) * 100, 11) << unread << alive;
      EXPECT_GE(total.bridged_joules, 249) << unread << alive;
      EXPECT_GE(total.bridged_seconds, 2.49) << unread << alive;
    }
  }
}

TEST(FallbackSource, WithOnlyOneOfTheTwoThereIsNothingToWrap) {
  Device device;
  EXPECT_EQ(make_fallback_source(std::make_unique<FakeSource>(device.counter), nullptr)->info().kind,
            ReadingKind::cumulative_joules);
  EXPECT_EQ(make_fallback_source(nullptr, std::make_unique<FakeSource>(device.power))->info().kind,
            ReadingKind::watts);
}

}  // namespace
}  // namespace joulery::power
