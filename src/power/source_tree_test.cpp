#include "power/source_tree.hpp"

#include <gtest/gtest.h>

#include <map>

#include "power/fake_tree.hpp"
#include "power/probe.hpp"

namespace joulery::power {
namespace {

struct Tree {
  void add(const std::string& id, Scope scope, const std::string& parent = "",
           Provenance provenance = Provenance::measured) {
    auto counter = std::make_shared<FakeCounter>();
    counter->info.device_id = id;
    counter->info.parent_id = parent;
    counter->info.scope = scope;
    counter->info.provenance = provenance;
    counters.push_back(counter);
    sources.push_back(std::make_unique<FakeSource>(counter));
  }
  std::map<std::string, std::string> link(bool portable = false) {
    link_sources(sources, portable);
    std::map<std::string, std::string> parents;
    for (const auto& source : sources) parents[source->info().device_id] = source->info().parent_id;
    return parents;
  }
  std::vector<std::shared_ptr<FakeCounter>> counters;
  std::vector<std::unique_ptr<Source>> sources;
};
using Parents = std::map<std::string, std::string>;

TEST(SourceTree, WallContainsPlatformContainsPackageContainsCores) {
  Tree tree;
  tree.add("core", Scope::core, "package");
  tree.add("package", Scope::package);
  tree.add("dram", Scope::dram);
  tree.add("psys", Scope::psys);
  tree.add("card", Scope::gpu);
  tree.add("wall", Scope::wall);
  EXPECT_EQ(tree.link(), (Parents{{"core", "package"},
                                  {"package", "psys"},
                                  {"dram", "psys"},
                                  {"psys", "wall"},
                                  {"card", "wall"},
                                  {"wall", ""}}));
}

TEST(SourceTree, ParentThatIsNotThereIsReplacedByTheNextOneUp) {
  Tree tree;
  tree.add("package", Scope::package, "psys");
  tree.add("tile", Scope::gpu, "card");
  tree.add("wall", Scope::wall);
  EXPECT_EQ(tree.link(), (Parents{{"package", "wall"}, {"tile", "wall"}, {"wall", ""}}));
  tree.sources.pop_back();
  EXPECT_EQ(tree.link(), (Parents{{"package", ""}, {"tile", ""}}));
}

TEST(SourceTree, CardIsInsideThePlatformOfALaptopOnly) {
  for (const bool portable : {false, true}) {
    Tree tree;
    tree.add("psys", Scope::psys);
    tree.add("card", Scope::gpu);
    EXPECT_EQ(tree.link(portable)["card"], portable ? "psys" : "");
  }
}

TEST(SourceTree, CardsOfSuperchipsAreInsideTheirModules) {
  Tree tree;
  tree.add("grace:module-0", Scope::board);
  tree.add("grace:module-1", Scope::board);
  tree.add("grace:socket-1", Scope::package, "grace:module-1");
  for (int i = 0; i < 4; ++i) tree.add("card-" + std::to_string(i), Scope::gpu);
  auto parents = tree.link();
  EXPECT_EQ(parents["card-0"], "grace:module-0");
  EXPECT_EQ(parents["card-1"], "grace:module-0");
  EXPECT_EQ(parents["card-2"], "grace:module-1");
  EXPECT_EQ(parents["card-3"], "grace:module-1");
  EXPECT_EQ(parents["grace:socket-1"], "grace:module-1");
}

TEST(SourceTree, ModuleThatFirmwareAndCardBothTellCountsOnce) {
  Tree tree;
  tree.add("grace:module-0", Scope::board);
  tree.add("grace:socket-0", Scope::package, "grace:module-0");
  tree.add("nvml:GPU-1:module", Scope::board);
  tree.add("nvml:GPU-1", Scope::gpu, "nvml:GPU-1:module");
  EXPECT_EQ(tree.link(), (Parents{{"grace:module-0", "nvml:GPU-1:module"},
                                  {"grace:socket-0", "grace:module-0"},
                                  {"nvml:GPU-1:module", ""},
                                  {"nvml:GPU-1", "nvml:GPU-1:module"}}));
}

TEST(SourceTree, CpuIsInsideTheModuleThatOnlyItsCardTells) {
  Tree tree;
  tree.add("grace:socket-0", Scope::package, "grace:module-0");
  tree.add("nvml:GPU-1:module", Scope::board);
  EXPECT_EQ(tree.link()["grace:socket-0"], "nvml:GPU-1:module");
}

TEST(SourceTree, JetsonsRailsAreInsideTheModule) {
  Tree tree;
  tree.add("rail:cpu", Scope::package, "board:input");
  tree.add("rail:soc", Scope::board, "board:input");
  tree.add("board:input", Scope::board);
  EXPECT_EQ(tree.link(),
            (Parents{{"rail:cpu", "board:input"}, {"rail:soc", "board:input"}, {"board:input", ""}}));
}

TEST(SourceTree, NeitherModelsNorWhatIsOnlyReportedGoesUnderAWall) {
  Tree tree;
  tree.add("wall", Scope::wall);
  tree.add("model:cpu", Scope::machine_model, "", Provenance::modelled);
  tree.add("battery", Scope::wall);
  tree.counters.back()->info.reported_only = true;
  EXPECT_EQ(tree.link(), (Parents{{"wall", ""}, {"model:cpu", ""}, {"battery", ""}}));
}

TEST(SourceTree, BatteryAloneContainsNothing) {
  Tree tree;
  tree.add("battery", Scope::wall);
  tree.counters.back()->info.reported_only = true;
  tree.add("package", Scope::package);
  EXPECT_EQ(tree.link()["package"], "");
}

TEST(SourceTree, ModelIsLeftOutBesideAWallButNotBesideABattery) {
  for (const bool battery : {false, true}) {
    Tree tree;
    tree.add("wall", Scope::wall, "", Provenance::derived);
    tree.counters.back()->info.reported_only = battery;
    tree.add("model:cpu", Scope::machine_model, "", Provenance::modelled);
    ProbeReport report;
    report.results.resize(1);
    report.results[0].sources = std::move(tree.sources);
    EXPECT_EQ(choose_sources(report).size(), battery ? 2U : 1U);
  }
}

TEST(SourceTree, CardStandsBesideTheModelOfTheCpu) {
  Tree tree;
  tree.add("card", Scope::gpu, "", Provenance::derived);
  tree.add("model:cpu", Scope::machine_model, "", Provenance::modelled);
  ProbeReport report;
  report.results.resize(1);
  report.results[0].sources = std::move(tree.sources);
  const auto sources = choose_sources(report);
  ASSERT_EQ(sources.size(), 2U);
  for (const auto& source : sources) EXPECT_EQ(source->info().parent_id, "");
}

TEST(SourceTree, PowerSuppliesAreInsideTheMeterOfTheWholeMachine) {
  for (const bool supplies_first : {false, true}) {
    Tree tree;
    if (!supplies_first) tree.add("wall:meter", Scope::wall);
    for (const char* supply : {"wall:supply-0", "wall:supply-1"}) {
      tree.add(supply, Scope::wall, "", Provenance::derived);
      tree.counters.back()->info.is_supply = true;
    }
    if (supplies_first) tree.add("wall:meter", Scope::wall);
    tree.add("package", Scope::package);
    EXPECT_EQ(tree.link(), (Parents{{"wall:meter", ""},
                                    {"wall:supply-0", "wall:meter"},
                                    {"wall:supply-1", "wall:meter"},
                                    {"package", "wall:supply-0"}}));
  }
}

TEST(SourceTree, PowerSuppliesOfAMachineWithoutAMeterStandSideBySide) {
  Tree tree;
  for (const char* supply : {"wall:supply-0", "wall:supply-1"}) {
    tree.add(supply, Scope::wall, "", Provenance::derived);
    tree.counters.back()->info.is_supply = true;
  }
  EXPECT_EQ(tree.link(), (Parents{{"wall:supply-0", ""}, {"wall:supply-1", ""}}));
}

}  // namespace
}  // namespace joulery::power
