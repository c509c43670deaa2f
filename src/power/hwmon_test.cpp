#include "power/hwmon.hpp"

#include <gtest/gtest.h>

#include <map>

#include "power/battery.hpp"
#include "power/fake_tree.hpp"
#include "power/hwmon_rules.hpp"
#include "power/sampler.hpp"

namespace joulery::power {
namespace {

struct Machine {
  ProbeResult probe() { return probe_hwmon(tree.root(), RaplMachine{}); }
  const SourceInfo* find(const ProbeResult& result, const std::string& id) {
    for (const auto& source : result.sources) {
      if (source->info().device_id == id) return &source->info();
    }
    return nullptr;
  }
  FakeTree tree;
  ManualClock clock;
};

std::map<std::string, double> values(const ProbeResult& result) {
  const ManualClock clock;
  std::map<std::string, double> found;
  for (const auto& source : result.sources) {
    const Reading reading = source->read(clock);
    EXPECT_TRUE(reading.valid) << source->info().device_id;
    found[source->info().device_id] = reading.value;
  }
  return found;
}
using Values = std::map<std::string, double>;

TEST(HwmonNames, Attributes) {
  const auto attribute = parse_hwmon_attribute("energy12_input");
  ASSERT_TRUE(attribute);
  EXPECT_EQ(attribute->kind, "energy");
  EXPECT_EQ(attribute->channel, 12);
  EXPECT_EQ(attribute->item, "input");
  EXPECT_EQ(parse_hwmon_attribute("power1_cap_max")->item, "cap_max");
  for (const char* name : {"", "name", "1_input", "power", "power1", "power1_", "power_input", "powerx1_",
                           "power99999999999999999999_input", "power1x_input", "power-1_input"}) {
    EXPECT_FALSE(parse_hwmon_attribute(name)) << name;
  }
}

TEST(HwmonNames, LabelsOfAmdEnergy) {
  EXPECT_TRUE(parse_amd_energy_label("Esocket1")->is_socket);
  EXPECT_EQ(parse_amd_energy_label("Esocket1")->number, 1);
  EXPECT_FALSE(parse_amd_energy_label("Ecore007")->is_socket);
  EXPECT_EQ(parse_amd_energy_label("Ecore007")->number, 7);
  for (const char* label : {"", "Ecore", "Esocket-1", "Esocket1x", "core1", "Ecore99999"}) {
    EXPECT_FALSE(parse_amd_energy_label(label)) << label;
  }
}

TEST(HwmonNames, AreasOfGrace) {
  EXPECT_EQ(parse_grace_label("Module Power Socket 0")->area, GraceLabel::Area::module);
  EXPECT_EQ(parse_grace_label("Grace Power Socket 1")->socket, 1);
  EXPECT_EQ(parse_grace_label("CPU Power Socket 1")->area, GraceLabel::Area::cpu);
  EXPECT_EQ(parse_grace_label("SysIO Power Socket 0")->area, GraceLabel::Area::sysio);
  for (const char* text : {"", "Power Socket 0", "Module Power Socket", "Module Power Socket x",
                           "Fan Power Socket 0", "Module Power Socket 0 1"}) {
    EXPECT_FALSE(parse_grace_label(text)) << text;
  }
}

TEST(Hwmon, AmdEnergyHasCoresInsideTheirSockets) {
  Machine server;
  const std::string chip = server.tree.hwmon(0, "amd_energy", "amd_energy.0");
  const char* labels[] = {"Ecore000", "Ecore001", "Esocket0", "Esocket1"};
  for (int i = 0; i < 4; ++i) {
    server.tree.write(chip + "/energy" + std::to_string(i + 1) + "_label", std::string(labels[i]) + "\n");
    server.tree.write(chip + "/energy" + std::to_string(i + 1) + "_input",
                      std::to_string((i + 1) * 1'000'000) + "\n");
  }
  server.tree.place(0, 0);
  server.tree.place(1, 1);
  const ProbeResult result = server.probe();
  EXPECT_EQ(result.state, ProbeResult::State::available);
  EXPECT_EQ(values(result), (Values{{"rapl:package-0:core-0", 1},
                                    {"rapl:package-1:core-1", 2},
                                    {"rapl:package-0", 3},
                                    {"rapl:package-1", 4}}));
  EXPECT_EQ(server.find(result, "rapl:package-1:core-1")->parent_id, "rapl:package-1");
  EXPECT_EQ(server.find(result, "rapl:package-1:core-1")->scope, Scope::core);
  EXPECT_EQ(server.find(result, "rapl:package-0")->provenance, Provenance::measured);
}

TEST(Hwmon, CoresOfABigServerAreLeftOutAndSaidSo) {
  Machine server;
  const std::string chip = server.tree.hwmon(0, "amd_energy", "amd_energy.0");
  for (int i = 1; i <= 65; ++i) {
    const std::string prefix = chip + "/energy" + std::to_string(i);
    server.tree.write(prefix + "_label", i == 65 ? "Esocket0\n" : "Ecore" + std::to_string(i - 1) + "\n");
    server.tree.write(prefix + "_input", "1000000\n");
  }
  const ProbeResult result = server.probe();
  EXPECT_EQ(result.sources.size(), 17U);
  EXPECT_NE(server.find(result, "rapl:package-0"), nullptr);
  EXPECT_NE(result.reason.find("48 more cores"), std::string::npos);
}

TEST(Hwmon, TilesOfAnIntelCardAreInsideIt) {
  Machine machine;
  for (const auto& [number, name] : {std::pair{0, "i915"}, {1, "i915_gt0"}, {2, "i915_gt1"}}) {
    const std::string chip = machine.tree.hwmon(number, name, "0000:03:00.0");
    machine.tree.write(chip + "/energy1_input", "5000000\n");
  }
  const ProbeResult result = machine.probe();
  ASSERT_EQ(result.sources.size(), 3U);
  EXPECT_EQ(machine.find(result, "gpu:0000:03:00.0")->parent_id, "");
  EXPECT_EQ(machine.find(result, "gpu:0000:03:00.0:gt1")->parent_id, "gpu:0000:03:00.0");
}

TEST(Hwmon, XeHasTheCardAndItsPackage) {
  Machine machine;
  const std::string chip = machine.tree.hwmon(0, "xe", "0000:03:00.0");
  machine.tree.write(chip + "/energy1_input", "9000000\n");
  machine.tree.write(chip + "/energy1_label", "card\n");
  machine.tree.write(chip + "/energy2_input", "7000000\n");
  machine.tree.write(chip + "/energy2_label", "pkg\n");
  const ProbeResult result = machine.probe();
  EXPECT_EQ(values(result), (Values{{"gpu:0000:03:00.0", 9}, {"gpu:0000:03:00.0:2", 7}}));
  EXPECT_EQ(machine.find(result, "gpu:0000:03:00.0:2")->parent_id, "gpu:0000:03:00.0");
}

TEST(Hwmon, AmdCardAndAmdPackageWithGraphics) {
  Machine machine;
  const std::string card = machine.tree.hwmon(0, "amdgpu", "0000:03:00.0");
  machine.tree.write(card + "/power1_average", "45000000\n");
  const std::string graphics = machine.tree.hwmon(1, "amdgpu", "0000:0c:00.0");
  machine.tree.write(graphics + "/power1_input", "12000000\n");
  machine.tree.write(graphics + "/in1_label", "vddnb\n");
  const ProbeResult result = machine.probe();
  EXPECT_EQ(values(result), (Values{{"gpu:0000:03:00.0", 45}, {"rapl:package-0", 12}}));
  EXPECT_EQ(machine.find(result, "gpu:0000:03:00.0")->kind, ReadingKind::watts);
  EXPECT_EQ(machine.find(result, "gpu:0000:03:00.0")->provenance, Provenance::derived);
  EXPECT_EQ(machine.find(result, "rapl:package-0")->scope, Scope::package);
}

TEST(Hwmon, CardThatSleepsIsKept) {
  Machine machine;
  const std::string card = machine.tree.hwmon(0, "amdgpu", "0000:03:00.0");
  machine.tree.write(card + "/power1_average", "0\n");
  EXPECT_EQ(machine.probe().sources.size(), 1U);
}

TEST(Hwmon, CardThatTheKernelPutToSleepIsNotWokenUp) {
  Machine machine;
  const std::string card = machine.tree.hwmon(0, "amdgpu", "0000:03:00.0");
  // It would answer, awake.
  machine.tree.write(card + "/power1_average", "45000000\n");
  machine.tree.write(card + "/device/power/runtime_status", "suspended\n");
  const std::string intel = machine.tree.hwmon(1, "i915", "0000:04:00.0");
  machine.tree.write(intel + "/energy1_input", "9000000\n");
  machine.tree.write(intel + "/device/power/runtime_status", "active\n");
  const ProbeResult result = machine.probe();
  EXPECT_EQ(values(result), (Values{{"gpu:0000:03:00.0", 0}, {"gpu:0000:04:00.0", 9}}));
  machine.tree.write(card + "/device/power/runtime_status", "active\n");
  machine.tree.write(intel + "/device/power/runtime_status", "suspended\n");
  machine.tree.write(intel + "/energy1_input", "99000000\n");
  EXPECT_EQ(values(result), (Values{{"gpu:0000:03:00.0", 45}, {"gpu:0000:04:00.0", 9}}));
}

TEST(Hwmon, AcpiMeterIsTheWall) {
  Machine server;
  server.tree.hwmon(0, "power_meter", "ACPI000D:00");
  // Old kernels keep the attributes at the device.
  server.tree.write("/sys/devices/ACPI000D:00/power1_average", "230000000\n");
  server.tree.write("/sys/devices/ACPI000D:00/power1_accuracy", "95.0%\n");
  server.tree.write("/sys/devices/ACPI000D:00/power1_average_interval", "2000\n");
  const ProbeResult result = server.probe();
  EXPECT_EQ(values(result), (Values{{"wall:ACPI000D:00", 230}}));
  const SourceInfo* info = server.find(result, "wall:ACPI000D:00");
  EXPECT_EQ(info->scope, Scope::wall);
  EXPECT_DOUBLE_EQ(info->update_seconds, 2);
  EXPECT_NEAR(info->accuracy_low, 0.95, 1e-9);
  EXPECT_NE(info->accuracy_basis.find("95 %"), std::string::npos);
}

TEST(Hwmon, AcpiMeterOfABatteryIsNoWall) {
  Machine laptop;
  const std::string chip = laptop.tree.hwmon(0, "power_meter", "ACPI000D:00");
  laptop.tree.write(chip + "/power1_average", "20000000\n");
  laptop.tree.write(chip + "/power1_is_battery", "1\n");
  EXPECT_TRUE(laptop.probe().sources.empty());
}

TEST(Hwmon, AreasOfGraceHopperAreATree) {
  Machine machine;
  const std::tuple<const char*, const char*> meters[] = {{"Module Power Socket 0", "600000000"},
                                                         {"Grace Power Socket 0", "200000000"},
                                                         {"CPU Power Socket 0", "120000000"},
                                                         {"SysIO Power Socket 0", "40000000"}};
  int number = 0;
  for (const auto& [label, microwatts] : meters) {
    const std::string chip = machine.tree.hwmon(number, "power_meter", "ACPI000D:0" + std::to_string(number));
    machine.tree.write(chip + "/power1_average", std::string(microwatts) + "\n");
    machine.tree.write(chip + "/power1_oem_info", std::string(label) + "\n");
    ++number;
  }
  const ProbeResult result = machine.probe();
  EXPECT_EQ(values(result), (Values{{"grace:module-0", 600},
                                    {"grace:socket-0", 200},
                                    {"grace:socket-0:cpu", 120},
                                    {"grace:socket-0:sysio", 40}}));
  EXPECT_EQ(machine.find(result, "grace:socket-0")->parent_id, "grace:module-0");
  EXPECT_EQ(machine.find(result, "grace:socket-0:cpu")->parent_id, "grace:socket-0");
}

void rail(FakeTree& tree, const std::string& chip, int number, const std::string& label, long millivolts,
          long milliamperes) {
  const std::string n = std::to_string(number);
  if (!label.empty()) tree.write(chip + "/in" + n + "_label", label + "\n");
  tree.write(chip + "/in" + n + "_input", std::to_string(millivolts) + "\n");
  tree.write(chip + "/curr" + n + "_input", std::to_string(milliamperes) + "\n");
}

TEST(Hwmon, JetsonMultipliesVoltsAndAmperesOfItsThreeRails) {
  Machine jetson;
  const std::string chip = jetson.tree.hwmon(0, "ina3221", "1-0040");
  rail(jetson.tree, chip, 1, "VDD_IN", 19000, 500);
  rail(jetson.tree, chip, 2, "VDD_CPU_GPU_CV", 19000, 100);
  rail(jetson.tree, chip, 3, "VDD_SOC", 19000, 50);
  // Shunt voltages, and the sum.
  rail(jetson.tree, chip, 4, "", 100, 700);
  jetson.tree.write(chip + "/in7_label", "sum of shunt voltages\n");
  jetson.tree.write(chip + "/in7_input", "700\n");
  const ProbeResult result = jetson.probe();
  EXPECT_EQ(values(result),
            (Values{{"board:input", 9.5}, {"rail:vdd_cpu_gpu_cv", 1.9}, {"rail:vdd_soc", 0.95}}));
  EXPECT_EQ(jetson.find(result, "rail:vdd_soc")->parent_id, "board:input");
  EXPECT_FALSE(jetson.find(result, "board:input")->reported_only);
}

TEST(Hwmon, RailThatIsOffOrNotConnectedIsLeftOut) {
  Machine jetson;
  const std::string chip = jetson.tree.hwmon(0, "ina3221", "1-0041");
  rail(jetson.tree, chip, 1, "NC", 19000, 500);
  rail(jetson.tree, chip, 2, "VDD_SOC", 19000, 100);
  jetson.tree.write(chip + "/in2_enable", "0\n");
  EXPECT_TRUE(jetson.probe().sources.empty());
}

TEST(Hwmon, RailThatNobodyKnowsIsOnlyReported) {
  Machine board;
  const std::string chip = board.tree.hwmon(0, "ina226", "1-0044");
  board.tree.write(chip + "/power1_input", "3000000\n");
  const ProbeResult result = board.probe();
  ASSERT_EQ(result.sources.size(), 1U);
  EXPECT_TRUE(result.sources[0]->info().reported_only);
}

TEST(Hwmon, ChannelWithEnergyAndPowerFallsBackWhenTheEnergyStandsStill) {
  Machine board;
  const std::string chip = board.tree.hwmon(0, "ltc2947", "1-005c");
  board.tree.write(chip + "/energy1_input", "3000000\n");
  board.tree.write(chip + "/power1_input", "3000000\n");
  ProbeResult result = board.probe();
  ASSERT_EQ(result.sources.size(), 1U);
  Source& source = *result.sources[0];
  EXPECT_EQ(source.info().kind, ReadingKind::cumulative_joules);
  source.read(board.clock);
  for (int i = 0; i < 20; ++i) {
    board.clock.advance_seconds(0.1);
    source.read(board.clock);
  }
  EXPECT_NEAR(source.read(board.clock).value, 3 + 6, 0.31);
  EXPECT_TRUE(source.info().integrated);
}

TEST(Hwmon, PowerSupplyByItsTotalOnly) {
  Machine desktop;
  const std::string chip = desktop.tree.hwmon(0, "corsairpsu", "0003:1B1C:1C05.0004");
  const char* labels[] = {"power total", "power +12v", "power +5v"};
  for (int i = 0; i < 3; ++i) {
    const std::string prefix = chip + "/power" + std::to_string(i + 1);
    desktop.tree.write(prefix + "_label", std::string(labels[i]) + "\n");
    desktop.tree.write(prefix + "_input", "90000000\n");
  }
  const ProbeResult result = desktop.probe();
  EXPECT_EQ(values(result), (Values{{"wall:0003:1B1C:1C05.0004", 90}}));
  EXPECT_GT(result.sources[0]->info().accuracy_high, 1.1) << "its own losses";
}

TEST(Hwmon, ValuesInAWrongUnitAreNotBelieved) {
  struct Case {
    const char* chip;
    const char* file;
    const char* value;
  };
  for (const Case& test :
       {Case{"power_meter", "power1_average", "230000000000000"},
        Case{"power_meter", "power1_average", "230"}, Case{"power_meter", "power1_average", "0"},
        Case{"power_meter", "power1_average", "-5000000"}, Case{"power_meter", "power1_average", "many"},
        Case{"power_meter", "power1_average", ""}, Case{"amdgpu", "power1_average", "45"},
        Case{"amdgpu", "power1_average", "45000000000000"}}) {
    Machine machine;
    const std::string chip = machine.tree.hwmon(0, test.chip, "device-0");
    machine.tree.write(chip + "/" + test.file, std::string(test.value) + "\n");
    const ProbeResult result = machine.probe();
    EXPECT_TRUE(result.sources.empty()) << test.chip << " " << test.value;
    EXPECT_NE(result.reason.find("left out"), std::string::npos) << test.value;
    EXPECT_NE(result.state, ProbeResult::State::available);
  }
}

TEST(Hwmon, SensorsOfRootComeWithTheCommandThatOpensThem) {
  Machine server;
  const std::string chip = server.tree.hwmon(0, "amd_energy", "amd_energy.0");
  server.tree.write(chip + "/energy1_label", "Esocket0\n");
  server.tree.write(chip + "/energy1_input", "1000000\n");
  server.tree.deny(chip + "/energy1_input");
  const WithoutRoot user;
  const ProbeResult result = server.probe();
  EXPECT_EQ(result.state, ProbeResult::State::limited);
  EXPECT_NE(result.enable.find(chip), std::string::npos);
  EXPECT_FALSE(result.cost.empty());
}

TEST(Hwmon, MeterWhoseDriverIsNotLoadedIsNamed) {
  Machine server;
  server.tree.write("/sys/bus/acpi/devices/ACPI000D:00/status", "15\n");
  EXPECT_NE(server.probe().enable.find("acpi_power_meter"), std::string::npos);
}

TEST(Hwmon, OtherChipsAreNone) {
  Machine machine;
  const std::string chip = machine.tree.hwmon(0, "coretemp", "coretemp.0");
  machine.tree.write(chip + "/temp1_input", "45000\n");
  machine.tree.write(chip + "/power1_input", "45000000\n");
  const ProbeResult result = machine.probe();
  EXPECT_EQ(result.state, ProbeResult::State::unavailable);
  EXPECT_TRUE(result.sources.empty());
  EXPECT_FALSE(result.reason.empty());
}

void battery(FakeTree& tree, const std::string& status) {
  const std::string folder = "/sys/class/power_supply/BAT0";
  tree.write(folder + "/type", "Battery\n");
  tree.write(folder + "/status", status + "\n");
}

TEST(Battery, OnBatteryItsPowerIsReportedOnly) {
  FakeTree tree;
  battery(tree, "Discharging");
  tree.write("/sys/class/power_supply/BAT0/power_now", "14300000\n");
  const auto result = probe_batteries(tree.root());
  ASSERT_TRUE(result);
  EXPECT_NEAR(values(*result)["battery:BAT0"], 14.3, 1e-9);
  EXPECT_TRUE(result->sources[0]->info().reported_only);
  // The charger is put in.
  std::ofstream(tree.path() + "/sys/class/power_supply/BAT0/status") << "Charging\n";
  const ManualClock clock;
  EXPECT_FALSE(result->sources[0]->read(clock).valid);
}

TEST(Battery, VoltageTimesCurrentWhereThereIsNoPower) {
  FakeTree tree;
  battery(tree, "Discharging");
  tree.write("/sys/class/power_supply/BAT0/current_now", "-1200000\n");
  tree.write("/sys/class/power_supply/BAT0/voltage_now", "12000000\n");
  const auto result = probe_batteries(tree.root());
  ASSERT_TRUE(result);
  EXPECT_NEAR(values(*result)["battery:BAT0"], 14.4, 1e-9);
}

TEST(Battery, OnMainsThereIsNothingToRead) {
  FakeTree tree;
  battery(tree, "Full");
  tree.write("/sys/class/power_supply/BAT0/power_now", "0\n");
  const auto result = probe_batteries(tree.root());
  ASSERT_TRUE(result);
  EXPECT_TRUE(result->sources.empty());
  EXPECT_EQ(result->state, ProbeResult::State::unavailable);
}

TEST(Battery, ThoseOfAMouseAreNotTheMachines) {
  FakeTree tree;
  EXPECT_FALSE(probe_batteries(tree.root()));
  battery(tree, "Discharging");
  tree.write("/sys/class/power_supply/BAT0/power_now", "1000000\n");
  tree.write("/sys/class/power_supply/BAT0/scope", "Device\n");
  EXPECT_FALSE(probe_batteries(tree.root()));
}

}  // namespace
}  // namespace joulery::power
