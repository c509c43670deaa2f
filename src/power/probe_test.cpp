#include "power/probe.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "power/fake_calls.hpp"
#include "power/fake_tree.hpp"
#include "power/sampler.hpp"

namespace joulery::power {
namespace {

SystemRoot fixture(const std::string& name) {
  return SystemRoot(std::string(JOULERY_SOURCE_DIR) + "/tests/fixtures/power/" + name);
}

std::vector<std::string> ids(const std::vector<std::unique_ptr<Source>>& sources) {
  std::vector<std::string> result;
  result.reserve(sources.size());
  for (const auto& source : sources) result.push_back(source->info().via + " " + source->info().device_id);
  std::sort(result.begin(), result.end());
  return result;
}

using Ids = std::vector<std::string>;

const ProbeResult& result_of(const ProbeReport& report, const std::string& via) {
  static const ProbeResult kNone;
  for (const ProbeResult& result : report.results) {
    if (result.via == via) return result;
  }
  ADD_FAILURE() << via << " was not tried";
  return kNone;
}

TEST(Probe, VirtualMachineHasOnlyTheModel) {
  FakeCalls calls;
  ProbeReport report = probe(fixture("virtual_machine"), calls);
  for (const ProbeResult& result : report.results) {
    const bool model = result.via == "power model";
    EXPECT_EQ(result.state, model ? ProbeResult::State::available : ProbeResult::State::unavailable)
        << result.via;
  }
  EXPECT_NE(result_of(report, "power model").reason.find("EPYC 5th Gen"), std::string::npos);
  EXPECT_EQ(ids(choose_sources(report)), (Ids{"power model model:cpu"}));
}

TEST(Probe, LaptopPrefersPerfAndTakesTheRestFromPowercap) {
  FakeCalls calls;
  calls.refused = {3, 5};
  ProbeReport report = probe(fixture("laptop"), calls);
  const auto sources = choose_sources(report);
  EXPECT_EQ(ids(sources), (Ids{"perf power PMU rapl:package-0", "perf power PMU rapl:package-0:core",
                               "perf power PMU rapl:package-0:uncore", "powercap rapl:package-0:dram",
                               "powercap rapl:psys"}));
  for (const auto& source : sources) {
    if (source->info().device_id == "rapl:package-0") {
      // Four times the chip's TDP of 15 W, but never less than 100 W.
      EXPECT_DOUBLE_EQ(source->info().max_plausible_watts, 100);
      EXPECT_EQ(source->info().parent_id, "rapl:psys") << "though psys comes another way";
    }
  }
}

/// A copy of the fixture whose powercap counters only root may read.
void copy_without_powercap_rights(const std::string& name, FakeTree& tree) {
  std::filesystem::copy(
      fixture(name).prefix(), tree.path(),
      std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing);
  for (const std::string& zone : tree.root().list("/sys/class/powercap")) {
    const std::string counter = "/sys/class/powercap/" + zone + "/energy_uj";
    if (tree.root().exists(counter)) tree.deny(counter);
  }
}

TEST(Probe, LaptopWithoutRightsFallsBackToTheModelWithMemory) {
  FakeCalls calls;
  calls.open_error = EACCES;
  FakeTree tree;
  copy_without_powercap_rights("laptop", tree);
  const WithoutRoot user;
  ProbeReport report = probe(tree.root(), calls);
  EXPECT_EQ(result_of(report, "perf power PMU").state, ProbeResult::State::limited);
  EXPECT_EQ(result_of(report, "powercap (RAPL)").state, ProbeResult::State::limited);
  EXPECT_EQ(ids(choose_sources(report)), (Ids{"power model model:cpu", "power model model:memory"}));
}

TEST(Probe, MeasuredMemoryOfALaptopStandsInForTheModelled) {
  FakeCalls calls;
  calls.refused = {1, 2, 4, 5};
  FakeTree tree;
  copy_without_powercap_rights("laptop", tree);
  const WithoutRoot user;
  ProbeReport report = probe(tree.root(), calls);
  EXPECT_EQ(ids(choose_sources(report)),
            (Ids{"perf power PMU rapl:package-0:dram", "power model model:cpu"}));
}

TEST(Probe, TwoSocketServer) {
  FakeCalls calls;
  ProbeReport report = probe(fixture("two_socket_server"), calls);
  EXPECT_EQ(ids(choose_sources(report)), (Ids{"powercap rapl:package-0", "powercap rapl:package-0:dram",
                                              "powercap rapl:package-1", "powercap rapl:package-1:dram"}));
}

TEST(Probe, PlatformCounterOfSapphireAndEmeraldRapidsMovesInWholeJoules) {
  struct Case {
    const char* vendor;
    int family;
    int model;
    double step_joules;
  };
  for (const Case& test : {Case{"GenuineIntel", 6, 0x8F, 1}, Case{"GenuineIntel", 6, 0xCF, 1},
                           Case{"GenuineIntel", 6, 0x6A, 0x1p-14}, Case{"AuthenticAMD", 6, 0x8F, 0x1p-14},
                           Case{"GenuineIntel", 19, 0x8F, 0x1p-14}}) {
    FakeCalls calls;
    FakeTree tree;
    std::filesystem::copy(
        fixture("laptop").prefix(), tree.path(),
        std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing);
    tree.write("/proc/cpuinfo", fmt::format("processor\t: 0\nvendor_id\t: {}\ncpu family\t: {}\n"
                                            "model\t\t: {}\n",
                                            test.vendor, test.family, test.model));
    ProbeReport report = probe(tree.root(), calls);
    int found = 0;
    for (const auto& source : choose_sources(report)) {
      const SourceInfo& info = source->info();
      if (info.via != "perf power PMU") continue;
      if (info.scope == Scope::psys) {
        ++found;
        EXPECT_DOUBLE_EQ(info.resolution_joules, test.step_joules) << test.vendor << " " << test.model;
      } else {
        EXPECT_LE(info.resolution_joules, 0x1p-14) << info.device_id;
      }
    }
    EXPECT_EQ(found, 1);
  }
}

TEST(Probe, RegistersStandInWhereTheKernelHasNoRaplDriver) {
  FakeCalls calls;
  FakeTree tree;
  tree.cpu("AuthenticAMD", 0x19, 0x11);
  tree.write("/sys/devices/system/cpu/online", "0\n");
  tree.msr(0, 0xC0010299, 0xA1003);
  tree.msr(0, 0xC001029B, 65536 * 9);
  ProbeReport report = probe(tree.root(), calls);
  EXPECT_EQ(ids(choose_sources(report)), (Ids{"MSR rapl:package-0"}));
  tree.zone("intel-rapl:0", "package-0", 1'000'000);
  report = probe(tree.root(), calls);
  EXPECT_EQ(ids(choose_sources(report)), (Ids{"powercap rapl:package-0"})) << "which risks less";
}

TEST(Probe, NobodyIsToldToOpenRegistersThatPowercapReads) {
  FakeCalls calls;
  FakeTree tree;
  tree.cpu("AuthenticAMD", 0x19, 0x11);
  tree.write("/sys/devices/system/cpu/online", "0\n");
  EXPECT_FALSE(result_of(probe(tree.root(), calls), "MSR").enable.empty());
  tree.zone("intel-rapl:0", "package-0", 1'000'000);
  const ProbeReport report = probe(tree.root(), calls);
  EXPECT_TRUE(result_of(report, "MSR").enable.empty());
  EXPECT_NE(result_of(report, "MSR").reason.find("powercap"), std::string::npos);
}

TEST(Probe, EveryStateHasTextsForAPerson) {
  for (const char* name : {"virtual_machine", "laptop", "two_socket_server"}) {
    FakeCalls calls;
    for (const int error : {0, EACCES, ENODEV}) {
      calls.open_error = error;
      for (const auto& result : probe(fixture(name), calls).results) {
        EXPECT_FALSE(result.via.empty());
        EXPECT_FALSE(result.reason.empty());
        EXPECT_EQ(result.reason.find('\n'), std::string::npos);
        if (result.state == ProbeResult::State::limited) {
          EXPECT_FALSE(result.enable.empty()) << result.via;
          EXPECT_FALSE(result.cost.empty()) << result.via;
        }
      }
    }
  }
}

TEST(Probe, NothingAtAllIsReasonsAndNoSource) {
  FakeTree tree;
  FakeCalls calls;
  ProbeReport report = probe(tree.root(), calls);
  EXPECT_GE(report.results.size(), 3U);
  for (const auto& result : report.results) {
    EXPECT_EQ(result.state, ProbeResult::State::unavailable);
    EXPECT_FALSE(result.reason.empty());
  }
  EXPECT_TRUE(choose_sources(report).empty());
}

std::unique_ptr<Source> fake(const std::string& id, const std::string& parent, Scope scope,
                             const std::string& via, Provenance provenance = Provenance::measured) {
  auto counter = std::make_shared<FakeCounter>();
  counter->info.device_id = id;
  counter->info.parent_id = parent;
  counter->info.scope = scope;
  counter->info.via = via;
  counter->info.provenance = provenance;
  return std::make_unique<FakeSource>(counter);
}

TEST(ChooseSources, CoresWithoutTheirPackageAreNoMeasureOfTheCpu) {
  ProbeReport report;
  report.results.resize(2);
  report.results[0].sources.push_back(fake("rapl:package-0:core", "rapl:package-0", Scope::core, "perf"));
  report.results[1].sources.push_back(
      fake("model:cpu", "", Scope::machine_model, "power model", Provenance::modelled));
  EXPECT_EQ(ids(choose_sources(report)), (Ids{"power model model:cpu"}));
}

TEST(ChooseSources, MeasuredMemoryDoesNotDoubleAModelOfTheWholeMachine) {
  ProbeReport report;
  report.results.resize(2);
  report.results[0].sources.push_back(fake("rapl:package-0:core", "rapl:package-0", Scope::core, "perf"));
  report.results[0].sources.push_back(fake("rapl:package-0:dram", "", Scope::dram, "perf"));
  report.results[0].sources.push_back(fake("rapl:package-1:dram", "", Scope::dram, "perf"));
  report.results[1].sources.push_back(
      fake("model:cpu", "", Scope::machine_model, "power model", Provenance::modelled));
  EXPECT_EQ(ids(choose_sources(report)), (Ids{"power model model:cpu"}));
}

TEST(ChooseSources, MeasuredMemoryStandsInForModelledMemory) {
  ProbeReport report;
  report.results.resize(2);
  report.results[0].sources.push_back(fake("rapl:package-0:dram", "", Scope::dram, "perf"));
  report.results[1].sources.push_back(
      fake("model:cpu", "", Scope::machine_model, "power model", Provenance::modelled));
  report.results[1].sources.push_back(
      fake("model:memory", "", Scope::dram, "power model", Provenance::modelled));
  EXPECT_EQ(ids(choose_sources(report)), (Ids{"perf rapl:package-0:dram", "power model model:cpu"}));
}

TEST(ChooseSources, MeasuredMemoryIsKeptWhereThereIsNoModel) {
  ProbeReport report;
  report.results.resize(1);
  report.results[0].sources.push_back(fake("rapl:package-0:dram", "", Scope::dram, "perf"));
  EXPECT_EQ(ids(choose_sources(report)), (Ids{"perf rapl:package-0:dram"}));
}

TEST(ChooseSources, ModelledMemoryDoesNotDoubleAMeasuredPackage) {
  ProbeReport report;
  report.results.resize(2);
  report.results[0].sources.push_back(fake("rapl:package-0", "", Scope::package, "powercap"));
  report.results[1].sources.push_back(
      fake("model:cpu", "", Scope::machine_model, "power model", Provenance::modelled));
  report.results[1].sources.push_back(
      fake("model:memory", "", Scope::dram, "power model", Provenance::modelled));
  EXPECT_EQ(ids(choose_sources(report)), (Ids{"powercap rapl:package-0"}));
}

}  // namespace
}  // namespace joulery::power
