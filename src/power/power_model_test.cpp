#include "power/power_model.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "base/clock.hpp"

namespace joulery::power {
namespace {

MachineIdentity machine(const char* vendor, const char* model, int family, int number, int threads) {
  MachineIdentity identity;
  identity.cpu_vendor = vendor;
  identity.cpu_model = model;
  identity.family = family;
  identity.model = number;
  identity.stepping = 1;
  identity.threads_online = threads;
  identity.packages = 1;
  identity.memory_gib = 16;
  identity.quota_cpus = threads;
  return identity;
}

TEST(PowerModel, HiddenServerNameUsesTheFamilyAndItsMemory) {
  MachineIdentity identity = machine("AuthenticAMD", "AMD EPYC", 26, 2, 2);
  identity.virtual_machine = true;
  const PowerModel model = make_power_model(identity);
  EXPECT_NEAR(model.watts(0), 2 * 0.235, 1e-9);
  EXPECT_NEAR(model.watts(1), 2 * 1.323, 1e-9);
  EXPECT_FALSE(model.has_separate_memory());
  EXPECT_NE(model.basis.find("EPYC 5th Gen"), std::string::npos);
  EXPECT_DOUBLE_EQ(model.low_factor, 0.35);
  EXPECT_DOUBLE_EQ(model.high_factor, 2.1);
}

TEST(PowerModel, CloudXeonWithoutANumberIsFoundByItsNumbers) {
  MachineIdentity identity = machine("GenuineIntel", "Intel Xeon", 6, 79, 4);
  identity.virtual_machine = true;
  EXPECT_NEAR(make_power_model(identity).watts(1), 4 * 3.685, 1e-9);
}

TEST(PowerModel, NamedServerIsBetterKnownByItsTdp) {
  // 280 W for 128 threads; a virtual machine with 32 of them.
  MachineIdentity identity = machine("AuthenticAMD", "AMD EPYC 7763", 25, 1, 32);
  identity.virtual_machine = true;
  const PowerModel model = make_power_model(identity);
  EXPECT_NEAR(model.watts(1), 1.13 * 280 / 4, 1e-9);
  EXPECT_NEAR(model.watts(0), 0.23 * 280 / 4, 1e-9);
  EXPECT_FALSE(model.has_separate_memory());
}

TEST(PowerModel, BareMetalCountsItsOwnThreads) {
  // Two packages with hyper-threading off: 20 threads a package, though the table would guess 40.
  MachineIdentity identity = machine("GenuineIntel", "Intel Xeon Gold 6148", 6, 85, 40);
  identity.packages = 2;
  EXPECT_NEAR(make_power_model(identity).watts(1), 1.13 * 150 * 2, 1e-6);
  identity.quota_cpus = 10;
  EXPECT_NEAR(make_power_model(identity).watts(1), 1.13 * 150 * 2 / 4, 1e-6);
}

TEST(PowerModel, LaptopChipIsNotAServer) {
  // Family 6 model 85 has workstation parts too, and 158 is Xeon E as well as Core.
  const PowerModel model = make_power_model(machine("GenuineIntel", "Intel Core i7-8700", 6, 158, 12));
  EXPECT_NEAR(model.cpu_watts(1), 0.7 * 65, 1e-9);
  EXPECT_TRUE(model.has_separate_memory());
  EXPECT_NEAR(model.memory_watts(0), 3.2, 1e-9);
  EXPECT_NEAR(model.memory_watts(1), 9.6, 1e-9);
  EXPECT_NEAR(model.watts(1), 0.7 * 65 + 9.6, 1e-9);
}

TEST(PowerModel, NamesThatQemuGivesAreFoundByTheirNumbers) {
  for (const char* name : {"Intel Core (Haswell", "Intel Xeon (Haswell", "Common KVM"}) {
    MachineIdentity identity = machine("GenuineIntel", name, 6, 60, 4);
    identity.virtual_machine = true;
    EXPECT_NEAR(make_power_model(identity).watts(1), 4 * 5.595, 1e-9) << name;
  }
}

TEST(PowerModel, UnknownCpuHasAWiderRange) {
  const PowerModel model = make_power_model(machine("GenuineIntel", "Intel Core i99-0000", 6, 158, 8));
  EXPECT_NEAR(model.watts(1), 24, 1e-9);
  EXPECT_LT(model.low_factor, 0.35);
  EXPECT_GT(model.high_factor, 2.1);
  EXPECT_NE(model.basis.find("i99-0000"), std::string::npos);
}

TEST(PowerModel, GravitonByItsCore) {
  const MachineIdentity identity = machine("ARM", "Neoverse V1", 0x41, 0xd40, 4);
  EXPECT_NEAR(make_power_model(identity).watts(1), 4 * 1.693, 1e-9);
}

TEST(PowerModel, CurveRisesBetweenTheTablesEndPoints) {
  PowerModel model;
  model.idle_watts = 12;
  model.full_watts = 100;
  EXPECT_DOUBLE_EQ(model.watts(0), 12);
  EXPECT_NEAR(model.watts(0.1), 32, 1e-9);
  EXPECT_NEAR(model.watts(0.5), 73, 1e-9);
  EXPECT_DOUBLE_EQ(model.watts(1), 100);
  double last = 0;
  for (int i = 0; i <= 1000; ++i) {
    const double watts = model.watts(i / 1000.0);
    EXPECT_GT(watts, last);
    last = watts;
  }
}

TEST(PowerModel, SharesOutOfRangeAreClamped) {
  PowerModel model;
  model.idle_watts = 10;
  model.full_watts = 50;
  model.memory_idle_watts = 1;
  model.memory_full_watts = 3;
  EXPECT_DOUBLE_EQ(model.watts(-1), 11);
  EXPECT_DOUBLE_EQ(model.watts(7), 53);
  EXPECT_DOUBLE_EQ(model.cpu_watts(std::nan("")), 10);
}

class FakeLoad final : public MachineLoadReader {
 public:
  MachineLoad read() override { return load; }
  const std::string& via() const override { return via_; }
  int cpu_count() const override { return 2; }
  MachineLoad load{0, 0, true};

 private:
  std::string via_ = "fake";
};

struct RunningModel {
  RunningModel() {
    PowerModel model;
    model.idle_watts = 12;
    model.full_watts = 100;
    model.slice_cpus = 2;
    auto owned = std::make_unique<FakeLoad>();
    load = owned.get();
    source = make_model_source(model, std::move(owned));
  }
  double advance(double seconds, double busy_seconds) {
    clock.advance_seconds(seconds);
    load->load.busy_seconds += busy_seconds;
    return source->read(clock).value;
  }
  ManualClock clock;
  FakeLoad* load = nullptr;
  std::unique_ptr<Source> source;
};

TEST(ModelSource, IdleAndFullLoad) {
  RunningModel run;
  EXPECT_DOUBLE_EQ(run.source->read(run.clock).value, 0);
  EXPECT_NEAR(run.advance(10, 0), 120, 1e-6);
  EXPECT_NEAR(run.advance(10, 20), 1120, 1e-6);
  EXPECT_EQ(run.source->info().device_id, "model:cpu");
  EXPECT_EQ(run.source->info().provenance, Provenance::modelled);
  EXPECT_EQ(run.source->info().scope, Scope::machine_model);
}

TEST(ModelSource, CoarseCounterReadOftenGivesTheSameEnergy) {
  RunningModel run;
  run.source->read(run.clock);
  // Half of two CPUs for 10 s, at 1 kHz, from a counter that moves by 10 ms at a time.
  double value = 0;
  for (int i = 1; i <= 10000; ++i) {
    const double next = run.advance(0.001, i % 10 == 0 ? 0.01 : 0);
    EXPECT_GE(next, value);
    value = next;
  }
  EXPECT_NEAR(value, 730, 730 * 0.01);
}

TEST(ModelSource, SuspendDrawsNothing) {
  RunningModel run;
  run.source->read(run.clock);
  run.clock.boottime += 3600 * kNanosecondsPerSecond;
  EXPECT_NEAR(run.advance(1, 0), 12, 1e-6);
}

TEST(ModelSource, LoadThatCantBeReadIsAnInvalidReading) {
  RunningModel run;
  run.source->read(run.clock);
  run.load->load.valid = false;
  run.clock.advance_seconds(1);
  const Reading reading = run.source->read(run.clock);
  EXPECT_FALSE(reading.valid);
  EXPECT_NE(reading.error_number, 0);
  run.load->load.valid = true;
  EXPECT_NEAR(run.advance(1, 0), 24, 1e-6);
}

TEST(ModelSource, NeverFallsAfterAReset) {
  RunningModel run;
  run.source->read(run.clock);
  const double before = run.advance(0.1, 0.2);
  run.source->reset();
  EXPECT_DOUBLE_EQ(run.source->read(run.clock).value, before);
  EXPECT_NEAR(run.advance(1, 0), before + 12, 1e-6);
}

TEST(ModelSource, MemoryIsASourceOfItsOwn) {
  PowerModel model;
  model.memory_idle_watts = 2;
  model.memory_full_watts = 6;
  model.slice_cpus = 2;
  auto owned = std::make_unique<FakeLoad>();
  FakeLoad* load = owned.get();
  const auto source = make_memory_model_source(model, std::move(owned));
  ManualClock clock;
  source->read(clock);
  clock.advance_seconds(10);
  load->load.busy_seconds = 10;
  EXPECT_NEAR(source->read(clock).value, 40, 1e-6);
  EXPECT_EQ(source->info().device_id, "model:memory");
}

}  // namespace
}  // namespace joulery::power
