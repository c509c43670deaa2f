#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/allocation_count.hpp"
#include "power/fake_calls.hpp"
#include "power/fake_tree.hpp"
#include "power/nvml_source.hpp"
#include "power/probe.hpp"
#include "power/sampler.hpp"

// Against a library built for these tests (tests/fake_nvml), loaded as the real one is.
namespace joulery::power {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class Nvml : public testing::Test {
 protected:
  /// Loads the library in the state that `text` describes, at time 0.
  void open(const std::string& text, const std::string& driver = "new_driver") {
    const std::string path = std::string(JOULERY_FAKE_NVML "/") + driver + "/libnvidia-ml.so.1";
    auto fake = DynamicLibrary::open(path);
    ASSERT_TRUE(fake.has_value()) << fake.error().message;
    set_text_ = fake->function<void(const char*)>("fake_nvml_text");
    set_seconds_ = fake->function<void(double)>("fake_nvml_seconds");
    ASSERT_NE(set_text_, nullptr);
    set_seconds_(0);
    set_text_(text.c_str());
    library_ = std::make_unique<NvmlLibrary>(std::vector<std::string>{path});
    probe_ = probe_nvml(tree_.root(), library_.get());
  }
  void advance(double seconds) {
    seconds_ += seconds;
    clock_.advance_seconds(seconds);
    set_seconds_(seconds_);
  }
  std::vector<SourceInfo> infos() const {
    std::vector<SourceInfo> all;
    for (const auto& source : probe_.result.sources) all.push_back(source->info());
    return all;
  }
  /// Ticks through `seconds` at 10 Hz.
  void meter(double seconds) {
    if (!sampler_) {
      sampler_ = std::make_unique<Sampler>(std::move(probe_.result.sources), clock_);
      sampler_->start();
    }
    for (int i = 0; i + 0.5 < seconds * 10; ++i) {
      advance(0.1);
      machine_joules_ += sampler_->tick().machine_joules;
    }
  }

  FakeTree tree_;
  ManualClock clock_;
  double seconds_ = 0;
  void (*set_text_)(const char*) = nullptr;
  void (*set_seconds_)(double) = nullptr;
  std::unique_ptr<NvmlLibrary> library_;
  NvmlProbe probe_;
  std::unique_ptr<Sampler> sampler_;
  double machine_joules_ = 0;
};

TEST_F(Nvml, EachGpuHasACounterWithItsUuid) {
  open("gpu 0 uuid=GPU-aa name=NVIDIA_H100 watts=300 limit=700\ngpu 1 uuid=GPU-bb name=NVIDIA_H100 watts=50");
  EXPECT_EQ(probe_.result.state, ProbeResult::State::available);
  EXPECT_THAT(probe_.result.reason, HasSubstr("driver 570.86.10, 2 of 2 GPUs readable"));
  ASSERT_EQ(probe_.result.sources.size(), 2U);
  EXPECT_EQ(infos()[0].device_id, "nvml:GPU-aa");
  EXPECT_EQ(infos()[1].device_id, "nvml:GPU-bb");
  EXPECT_EQ(infos()[0].name, "NVIDIA H100 (GPU 0)");
  EXPECT_EQ(infos()[0].model, "NVIDIA H100");
  EXPECT_EQ(infos()[0].provenance, Provenance::measured);
  EXPECT_EQ(infos()[0].via, "NVML energy counter");
  EXPECT_EQ(infos()[0].update_seconds, 0.1);
  EXPECT_EQ(probe_.gpus[0]->facts().enforced_limit_watts, 700);
  EXPECT_THAT(probe_.gpus[0]->facts().sharing, HasSubstr("each process uses"));
  meter(10);
  EXPECT_NEAR(sampler_->total(0).joules, 3000, 0.01);
  EXPECT_NEAR(sampler_->total(1).joules, 500, 0.01);
  EXPECT_NEAR(machine_joules_, 3500, 0.02);
}

TEST_F(Nvml, ALoweredPowerLimitBoundsNothing) {
  // Somebody may raise it while a run goes on; the board's own limit stays.
  open("gpu 0 limit=100 max_limit=700");
  EXPECT_EQ(infos()[0].max_plausible_watts, 1400);
  open("gpu 0 limit=100", "old_driver");
  EXPECT_GE(infos()[0].max_plausible_watts, 3000);
}

TEST_F(Nvml, ACounterInStepsKeepsItsEnergy) {
  open("gpu 0 watts=200 step=0.1");
  meter(20);
  EXPECT_NEAR(sampler_->total(0).joules, 4000, 200 * 0.11);
}

TEST_F(Nvml, OldDriversAndOldGpusGoByPower) {
  open("gpu 0 name=Tesla_P100 watts=0:100,5:200", "old_driver");
  EXPECT_EQ(probe_.result.state, ProbeResult::State::limited);
  EXPECT_THAT(probe_.result.reason, HasSubstr("too old: it lacks the function"));
  EXPECT_THAT(probe_.result.enable, HasSubstr("newer NVIDIA driver"));
  EXPECT_THAT(probe_.gpus[0]->facts().sharing, HasSubstr("the whole device"));
  EXPECT_EQ(infos()[0].kind, ReadingKind::watts);
  EXPECT_EQ(infos()[0].provenance, Provenance::derived) << "power summed over time is no counter";
  meter(10);
  EXPECT_NEAR(sampler_->total(0).joules, 1500, 15);

  sampler_.reset();
  open("gpu 0 name=Tesla_P100 arch=4 watts=100");
  EXPECT_THAT(probe_.result.reason, HasSubstr("no energy counter"));
  EXPECT_EQ(infos()[0].via, "NVML instant power");
  open("gpu 0 arch=4 watts=100 instant=0");
  EXPECT_EQ(infos()[0].via, "NVML power as a mean over a second");
  open("gpu 0 arch=4 watts=100\ncode nvmlDeviceGetFieldValues 3");
  EXPECT_EQ(infos()[0].via, "NVML power");
}

TEST_F(Nvml, PolledPowerOfA100IsLessSureThanItsCounter) {
  open("gpu 0 name=NVIDIA_A100-SXM4-40GB arch=7");
  EXPECT_EQ(infos()[0].accuracy_low, 0.95);
  open("gpu 0 name=NVIDIA_A100-SXM4-40GB arch=7\ncode nvmlDeviceGetTotalEnergyConsumption 3");
  EXPECT_LT(infos()[0].accuracy_low, 0.7);
  EXPECT_THAT(infos()[0].accuracy_basis, HasSubstr("arXiv 2312.02741"));
}

TEST_F(Nvml, WhatFailsIsExplainedWithItsRemedy) {
  struct Case {
    const char* text;
    const char* reason;
    const char* remedy;
  };
  const std::vector<Case> cases = {
      {"code nvmlInit_v2 9", "kernel driver is not loaded (code 9)", "modprobe nvidia"},
      {"code nvmlInit_v2 18", "different versions (code 18)", "rmmod"},
      {"code nvmlInit_v2 4", "no permission (code 4)", "/dev/nvidia"},
      {"code nvmlInit_v2 17", "cgroup blocks the device (code 17)", "--gpus all"},
      {"code nvmlInit_v2 4711", "unknown error of the driver (code 4711)", ""},
      {"code nvmlDeviceGetCount_v2 13", "too old: it lacks the function (code 13)", "newer NVIDIA driver"},
      {"gpu 0\ncode nvmlDeviceGetHandleByIndex_v2 4", "GPU 0 can't be opened: no permission", "/dev/nvidia"},
      {"gpu 0\ncode nvmlDeviceGetHandleByIndex_v2 15", "fallen off the bus", "gpu-reset"},
      {"gpu 0\ncode nvmlDeviceGetUUID 7", "larger than expected (code 7)", ""},
      {"gpu 0\ncode nvmlDeviceGetTotalEnergyConsumption 3\ncode nvmlDeviceGetPowerUsage 3\ncode "
       "nvmlDeviceGetFieldValues 3",
       "its power is not told either", ""},
      {"driver 1.0", "sees no GPU", ""},
  };
  for (const Case& one : cases) {
    open(one.text);
    EXPECT_EQ(probe_.result.state, ProbeResult::State::unavailable) << one.text;
    EXPECT_THAT(probe_.result.reason, HasSubstr(one.reason)) << one.text;
    EXPECT_THAT(probe_.result.enable, HasSubstr(one.remedy)) << one.text;
    EXPECT_THAT(probe_.result.sources, IsEmpty()) << one.text;
  }
}

TEST_F(Nvml, OneBadGpuDoesNotHideTheOthers) {
  open("gpu 0\ngpu 1 watts=10\ncode nvmlDeviceGetHandleByIndex_v2 4 0");
  EXPECT_EQ(probe_.result.state, ProbeResult::State::limited);
  EXPECT_THAT(probe_.result.reason, HasSubstr("1 of 2 GPUs readable; GPU 0 can't be opened"));
  ASSERT_EQ(probe_.result.sources.size(), 1U);
  EXPECT_EQ(infos()[0].device_id, "nvml:GPU-1");
}

TEST_F(Nvml, WithoutTheLibraryThereIsNoGpuAndNoHarm) {
  NvmlLibrary missing({"/no/such/libnvidia-ml.so.1"});
  const NvmlProbe probe = probe_nvml(tree_.root(), &missing);
  EXPECT_EQ(probe.result.state, ProbeResult::State::unavailable);
  EXPECT_THAT(probe.result.reason, HasSubstr("no NVIDIA driver library"));
  EXPECT_EQ(probe.result.enable, "");
  tree_.write("/sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n");
  tree_.write("/sys/bus/pci/devices/0000:01:00.0/class", "0x030200\n");
  const NvmlProbe hardware = probe_nvml(tree_.root(), &missing);
  EXPECT_THAT(hardware.result.enable, HasSubstr("install the NVIDIA driver"));
}

TEST_F(Nvml, AFileThatIsNoLibraryIsAnError) {
  tree_.write("/libnvidia-ml.so.1", "not a library");
  NvmlLibrary broken({tree_.root().resolve("/libnvidia-ml.so.1")});
  const NvmlProbe probe = probe_nvml(tree_.root(), &broken);
  EXPECT_THAT(probe.result.reason, HasSubstr("can't load library"));
}

TEST_F(Nvml, AGpuThatIsLostIsBridgedAndComesBack) {
  open("gpu 0 watts=100 lost=5 back=8 restart=1");
  meter(15);
  const DeviceTotal& total = sampler_->total(0);
  std::uint64_t missing = 0;
  std::uint64_t backwards = 0;
  for (int bit = 0; bit < kSampleFlagCount; ++bit) {
    if (static_cast<std::uint32_t>(SampleFlag::missing) == 1U << bit) missing = total.flag_counts[bit];
    if (static_cast<std::uint32_t>(SampleFlag::backwards) == 1U << bit) backwards = total.flag_counts[bit];
  }
  EXPECT_GE(missing, 29U);
  EXPECT_EQ(backwards, 1U);
  EXPECT_NEAR(total.joules, 1500, 120);
  EXPECT_GT(total.bridged_joules, 250);
}

TEST_F(Nvml, AFrozenCounterGoesOnByPower) {
  open("gpu 0 watts=100 frozen=5");
  meter(20);
  EXPECT_NEAR(sampler_->total(0).joules, 2000, 30);
  EXPECT_TRUE(sampler_->device(0).integrated);
  EXPECT_EQ(sampler_->device(0).provenance, Provenance::derived);
}

TEST_F(Nvml, ACounterInTheWrongUnitIsGivenUpForPower) {
  for (const char* unit : {"1000", "0.001"}) {
    open(std::string("gpu 0 watts=100 start=0 unit=") + unit);
    meter(60);
    EXPECT_TRUE(probe_.gpus[0]->cross_check().counter_given_up) << unit;
    EXPECT_NEAR(sampler_->total(0).joules, 6000, 600) << unit;
    sampler_.reset();
    seconds_ = 0;
  }
}

TEST_F(Nvml, NoEnergyInAWrongUnitStaysInTheTotal) {
  struct Case {
    const char* text;
    double seconds;
    double joules;
  };
  for (const Case& one : {Case{"gpu 0 watts=20 unit=30", 8, 160}, Case{"gpu 0 watts=100 unit=0.001", 8, 801},
                          Case{"gpu 0 watts=20 unit=30", 1.5, 30}, Case{"gpu 0 watts=20 unit=1000", 0.5, 10},
                          Case{"gpu 0 watts=20 unit=30\ncode nvmlDeviceGetFieldValues 3", 5, 100}}) {
    open(one.text);
    meter(one.seconds);
    machine_joules_ += sampler_->settle();
    const DeviceTotal& total = sampler_->total(0);
    EXPECT_NEAR(total.joules, one.joules, 0.02 * one.joules) << one.text;
    EXPECT_NEAR(machine_joules_, one.joules, 0.02 * one.joules) << one.text;
    EXPECT_EQ(total.bridged_joules, 0) << one.text;
    EXPECT_LT(total.peak_watts, 1.1 * one.joules / one.seconds) << one.text;
    const bool long_enough = one.seconds > 1;
    EXPECT_EQ(sampler_->device(0).integrated, long_enough) << one.text;
    EXPECT_EQ(probe_.gpus[0]->cross_check().power_stands_in, true) << one.text;
    if (long_enough) {
      EXPECT_THAT(sampler_->device(0).accuracy_basis, HasSubstr("unit"));
      EXPECT_THAT(sampler_->device(0).accuracy_basis, Not(HasSubstr("stood still")));
    }
    sampler_.reset();
    seconds_ = machine_joules_ = 0;
  }
}

TEST_F(Nvml, PowerThatFailsNowAndThenLetsNoEnergyInAWrongUnitThrough) {
  const std::string gpu = "gpu 0 watts=20 unit=30";
  open(gpu);
  meter(0.1);
  for (int i = 0; i < 15; ++i) {
    set_text_((gpu + (i % 2 == 0 ? "\ncode nvmlDeviceGetFieldValues 999" : "")).c_str());
    meter(0.3);
  }
  EXPECT_NEAR(sampler_->total(0).joules, 4.6 * 20, 2);
  EXPECT_TRUE(probe_.gpus[0]->cross_check().counter_given_up);
}

TEST_F(Nvml, PowerThatNeverAnswersDoesNotMakeAGoodCounterUseless) {
  open("gpu 0 watts=20");
  set_text_("gpu 0 watts=20\ncode nvmlDeviceGetFieldValues 999");
  meter(5);
  EXPECT_NEAR(sampler_->total(0).joules, 100, 0.1);
  EXPECT_NEAR(sampler_->total(0).unknown_seconds, 0, 1e-9);
}

TEST_F(Nvml, AGpuThatIsLostWhilePowerStandsInIsNoDeadCounter) {
  open("gpu 0 watts=100 unit=1000 lost=0.35 back=1.55");
  meter(5);
  const DeviceTotal& total = sampler_->total(0);
  EXPECT_NEAR(total.joules, 500, 10);
  EXPECT_GE(total.bridged_joules, 119);
  EXPECT_TRUE(sampler_->device(0).integrated);
  EXPECT_THAT(sampler_->device(0).accuracy_basis, HasSubstr("unit"));
  EXPECT_THAT(sampler_->device(0).accuracy_basis, Not(HasSubstr("stood still")));
}

TEST_F(Nvml, PowerIsNotMadeUpForATimeInWhichTheGpuWasAway) {
  open("gpu 0 watts=0:400,1.5:0,4:400 frozen=0.2 lost=1.5 back=4");
  meter(5);
  const DeviceTotal& total = sampler_->total(0);
  EXPECT_TRUE(sampler_->device(0).integrated);
  // A lost GPU is looked for once a second.
  EXPECT_GE(total.bridged_seconds, 2.5);
  EXPECT_LE(total.bridged_seconds, 3.61);
  EXPECT_LE(total.joules - total.bridged_joules, 1000);
  EXPECT_GE(total.joules - total.bridged_joules, 1000 - 1.1 * 400);
}

TEST_F(Nvml, WhatIsNeverToldIsUnknownAndWhatIsToldLaterIsNot) {
  open("gpu 0 watts=100 lost=0.05 back=2 restart=1");
  meter(3);
  EXPECT_NEAR(sampler_->total(0).unknown_seconds, 2, 0.11);
  EXPECT_NEAR(sampler_->total(0).joules, 100, 11);
}

TEST_F(Nvml, OnlyACounterThatTheBoardCantHaveIsDismissed) {
  struct Case {
    const char* text;
    bool by_power;
    bool impossible;
  };
  for (const Case& one :
       {Case{"gpu 0 watts=100 unit=1000", true, true}, Case{"gpu 0 watts=100 unit=0.001", true, true},
        Case{"gpu 0 watts=20 unit=30", true, false}, Case{"gpu 0 watts=100 power_factor=0.02", true, false},
        Case{"gpu 0 watts=20 power_factor=25", true, false},
        Case{"gpu 0 watts=100 power_factor=25", false, false}}) {
    open(one.text);
    meter(3);
    const auto check = probe_.gpus[0]->cross_check();
    EXPECT_EQ(check.counter_given_up, one.by_power) << one.text;
    EXPECT_EQ(check.counter_impossible, one.impossible) << one.text;
    // Power that the board can't draw is not believed.
    if (!one.by_power) EXPECT_NEAR(sampler_->total(0).joules, 300, 0.1);
    sampler_.reset();
    seconds_ = 0;
  }
}

TEST_F(Nvml, ABurstThatPowerShowsLateIsTheCounters) {
  // The sensor says 10 W, then follows; the counter is right all along.
  open("gpu 0 watts=0:300 power_factor=0.03");
  meter(0.4);
  set_text_("gpu 0 watts=0:300 power_factor=1");
  meter(5);
  EXPECT_FALSE(sampler_->device(0).integrated);
  EXPECT_NEAR(sampler_->total(0).joules, 5.4 * 300, 1);
  EXPECT_EQ(sampler_->total(0).bridged_joules, 0);
  EXPECT_LT(sampler_->total(0).peak_watts, 310);
}

TEST_F(Nvml, CounterAndPowerAreCompared) {
  open("gpu 0 watts=100 power_factor=1.75");
  meter(20);
  const auto check = probe_.gpus[0]->cross_check();
  EXPECT_FALSE(check.counter_given_up);
  EXPECT_GT(check.seconds, 15);
  EXPECT_NEAR(check.power_joules / check.counter_joules, 1.75, 0.05);
}

TEST_F(Nvml, AModuleThatHoldsTheCpuIsOneDevice) {
  open("gpu 0 uuid=GPU-g name=NVIDIA_GH200_480GB gpu_scope=0 module=600 limit=900");
  ASSERT_EQ(probe_.result.sources.size(), 1U);
  EXPECT_EQ(infos()[0].device_id, "nvml:GPU-g:module");
  EXPECT_EQ(infos()[0].scope, Scope::board);
  EXPECT_EQ(infos()[0].provenance, Provenance::derived);
  EXPECT_EQ(probe_.gpus[0]->device_id(), "nvml:GPU-g:module");
  EXPECT_THAT(probe_.result.reason, HasSubstr("CPU and GPU together"));
  meter(10);
  EXPECT_NEAR(machine_joules_, 6000, 1);
}

TEST_F(Nvml, AModuleBesideItsGpuIsItsParentAndCountsOnce) {
  open("gpu 0 uuid=GPU-g name=NVIDIA_GH200_480GB watts=400 module=600 memory=50");
  ASSERT_EQ(probe_.result.sources.size(), 3U);
  EXPECT_EQ(infos()[0].device_id, "nvml:GPU-g:module");
  EXPECT_EQ(infos()[1].parent_id, "nvml:GPU-g:module");
  EXPECT_EQ(infos()[2].parent_id, "nvml:GPU-g");
  EXPECT_EQ(infos()[2].scope, Scope::gpu_memory);
  meter(10);
  EXPECT_NEAR(machine_joules_, 6000, 1);
}

TEST_F(Nvml, OnOtherBoardsNoModuleIsBelieved) {
  open("gpu 0 name=NVIDIA_H100 watts=400 module=600");
  ASSERT_EQ(probe_.result.sources.size(), 1U);
  EXPECT_EQ(infos()[0].scope, Scope::gpu);
}

TEST_F(Nvml, AMeasuredCpuIsPartOfTheModule) {
  open("gpu 0 uuid=GPU-g name=NVIDIA_GH200_480GB gpu_scope=0 module=600");
  ProbeReport report;
  ProbeResult cpu;
  auto counter = std::make_shared<FakeCounter>();
  counter->info.device_id = "cpu";
  cpu.sources.push_back(std::make_unique<FakeSource>(counter));
  report.results.push_back(std::move(cpu));
  report.results.push_back(std::move(probe_.result));
  const auto chosen = choose_sources(report);
  ASSERT_EQ(chosen.size(), 2U);
  EXPECT_EQ(chosen[0]->info().parent_id, "nvml:GPU-g:module");
}

TEST_F(Nvml, UseIsTheMeanSinceTheLookBefore) {
  open("gpu 0\nprocess 0 11 80\nprocess 0 12 20\nprocess 0 13 0\nprocess 0 14 101");
  std::vector<GpuProcess> processes;
  GpuDevice& gpu = *probe_.gpus[0];
  EXPECT_EQ(gpu.look_at_use(processes), GpuLook::use);
  EXPECT_THAT(processes, IsEmpty()) << "what was before the first look is not ours to share";
  EXPECT_EQ(gpu.look_at_use(processes), GpuLook::use);
  EXPECT_THAT(processes, IsEmpty()) << "no time has passed";
  advance(1);
  EXPECT_EQ(gpu.look_at_use(processes), GpuLook::use);
  ASSERT_EQ(processes.size(), 2U);
  EXPECT_EQ(processes[0].pid, 11);
  EXPECT_DOUBLE_EQ(processes[0].weight, 0.8);
  EXPECT_EQ(gpu.look_at_presence(processes), GpuLook::presence);
  EXPECT_EQ(processes.size(), 4U);
}

TEST_F(Nvml, UseThatBeginsAfterTheFirstLookIsSeen) {
  open("gpu 0");
  std::vector<GpuProcess> processes;
  GpuDevice& gpu = *probe_.gpus[0];
  EXPECT_EQ(gpu.look_at_use(processes), GpuLook::use);
  set_text_("gpu 0\nprocess 0 11 80");
  for (int i = 0; i < 2; ++i) {
    advance(1);
    EXPECT_EQ(gpu.look_at_use(processes), GpuLook::use);
    ASSERT_EQ(processes.size(), 1U);
  }
}

TEST_F(Nvml, MoreProcessesThanThereIsRoomForAreAskedForAgain) {
  std::string text = "gpu 0\n";
  for (int i = 0; i < 700; ++i) text += "process 0 " + std::to_string(1000 + i) + " 1\n";
  open(text);
  std::vector<GpuProcess> processes;
  static_cast<void>(probe_.gpus[0]->look_at_use(processes));
  advance(1);
  EXPECT_EQ(probe_.gpus[0]->look_at_use(processes), GpuLook::use);
  EXPECT_EQ(processes.size(), 700U);
}

TEST_F(Nvml, MigTellsWhoHoldsWhichInstance) {
  open("gpu 0 name=NVIDIA_A100 mig=42,14,14\nprocess 0 21 0 0\nprocess 0 22 0 2");
  GpuDevice& gpu = *probe_.gpus[0];
  EXPECT_TRUE(gpu.facts().mig);
  EXPECT_THAT(gpu.facts().sharing, HasSubstr("by MIG instance"));
  std::vector<GpuProcess> processes;
  EXPECT_EQ(gpu.look_at_use(processes), GpuLook::unknown);
  EXPECT_EQ(gpu.look_at_presence(processes), GpuLook::presence);
  for (const GpuProcess& process : processes) {
    EXPECT_EQ(process.instance, process.pid == 21 ? 0 : 2);
    EXPECT_NEAR(process.weight, process.pid == 21 ? 0.6 : 0.2, 1e-9);
  }
}

TEST_F(Nvml, ReadsAllocateNothing) {
  if (!kAllocationsAreCounted) GTEST_SKIP() << "allocations are the sanitizer's here";
  open("gpu 0 watts=100 memory=10\nprocess 0 11 50");
  std::vector<GpuProcess> processes;
  processes.reserve(64);
  Sampler sampler(std::move(probe_.result.sources), clock_);
  sampler.start();
  const auto round = [&] {
    advance(0.1);
    sampler.tick();
    return probe_.gpus[0]->look_at_use(processes);
  };
  static_cast<void>(round());
  // The fake itself allocates for each process it tells of, ours must add nothing: compare with none told.
  set_text_("gpu 0 watts=100 memory=10");
  static_cast<void>(round());
  const std::uint64_t before = allocation_count.load();
  for (int i = 0; i < 50; ++i) static_cast<void>(round());
  EXPECT_EQ(allocation_count.load(), before);
}

TEST(NvmlPaths, ComeFromFixedFoldersAndTheLoadersOwnConfiguration) {
  FakeTree tree;
  tree.write("/etc/ld.so.conf.d/nvidia.conf", "# comment\n/opt/nvidia/lib\nrelative/path\n");
  const auto paths = nvml_library_paths(tree.root());
  EXPECT_THAT(paths, testing::Contains(tree.root().resolve("/opt/nvidia/lib/libnvidia-ml.so.1")));
  EXPECT_THAT(paths, testing::Contains(tree.root().resolve("/usr/lib64/libnvidia-ml.so.1")));
  for (const std::string& path : paths) EXPECT_THAT(path, Not(HasSubstr("relative")));
}

}  // namespace
}  // namespace joulery::power
