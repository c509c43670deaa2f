#include "app/codecarbon_row.hpp"

#include <gmock/gmock.h>

#include <map>

#include "app/codecarbon_csv.hpp"
#include "app/codecarbon_import.hpp"
#include "app/codecarbon_output.hpp"
#include "base/csv.hpp"
#include "footprint/site.hpp"
#include "record/store_fixture.hpp"

namespace joulery::app {
namespace {

using record::must;
using testing::HasSubstr;

constexpr double kJoulesPerKilowattHour = 3.6e6;

meter::DeviceReport device(const std::string& id, power::Scope scope, double joules,
                           const std::string& parent = "") {
  meter::DeviceReport report;
  report.info.device_id = id;
  report.info.name = id;
  report.info.scope = scope;
  report.info.parent_id = parent;
  report.is_root = parent.empty();
  report.total.joules = joules;
  report.energy = Quantity<Joules>(joules, Provenance::measured);
  return report;
}

/// A run that took half of a machine of 1000 J.
meter::MeteredRun run_on(const std::string& zone) {
  meter::MeteredRun run;
  run.run.id = "0123456789abcdef0123456789abcdef";
  run.run.name = "train";
  run.run.experiment = "Default";
  run.run.end_utc_ns = 1'700'000'000'000'000'000;
  run.duration_seconds = 10;
  run.cpu_seconds = 5;
  run.machine_busy_seconds = 10;
  run.machine_cpus = 4;
  run.host.host.cpu_threads = 4;
  run.host.host.cpu_model = "EPYC";
  run.host.host.memory_bytes = 8.0 * 1024 * 1024 * 1024;
  run.host.host.os = "Linux";
  run.energy = Quantity<Joules>(500, Provenance::derived);
  run.energy_machine = Quantity<Joules>(1000, Provenance::measured);
  run.devices = {device("package-0", power::Scope::package, 700), device("dram", power::Scope::dram, 100),
                 device("gpu-0", power::Scope::gpu, 200)};
  const footprint::DataSet data;
  footprint::Footprint footprint{.site = must(footprint::find_site(data, {.zone = zone, .pue = 1.2}, 2023)),
                                 .carbon = {},
                                 .water = {},
                                 .embodied = {},
                                 .cost = {},
                                 .sci_operational = {},
                                 .sci = {},
                                 .per = {},
                                 .sci_for_ai = {},
                                 .derivations = {}};
  run.carbon = run.energy * footprint.site.pue * footprint.site.intensity.value;
  footprint.carbon = run.carbon;
  footprint.water.on_site = run.energy * footprint.site.wue;
  run.footprint = std::move(footprint);
  return run;
}

std::map<std::string, std::string> row_of(const meter::MeteredRun& run) {
  const auto fields = codecarbon_fields(run, footprint::DataSet());
  EXPECT_EQ(fields.size(), 38U);
  std::map<std::string, std::string> row;
  for (std::size_t i = 0; i < fields.size(); ++i)
    row[std::string(codecarbon_columns().at(i).name)] = fields[i];
  return row;
}

double number(const std::string& text) {
  return std::stod(text);
}

/// As CodeCarbon 3.3.0 to 3.3.2 write it; its own readers compare it whole.
TEST(CodeCarbonRow, TheHeaderIsCodeCarbonsOwn) {
  std::string header;
  for (const CodeCarbonColumn& column : codecarbon_columns()) header += std::string(column.name) + ",";
  EXPECT_EQ(
      header,
      "timestamp,project_name,run_id,experiment_id,duration,emissions,emissions_rate,cpu_power,gpu_power,"
      "ram_power,cpu_energy,gpu_energy,ram_energy,energy_consumed,water_consumed,country_name,"
      "country_iso_code,region,cloud_provider,cloud_region,os,python_version,codecarbon_version,cpu_count,"
      "cpu_model,gpu_count,gpu_model,longitude,latitude,ram_total_size,tracking_mode,"
      "cpu_utilization_percent,gpu_utilization_percent,ram_utilization_percent,ram_used_gb,on_cloud,pue,"
      "wue,");
}

TEST(CodeCarbonRow, EnergyInKilowattHoursTimesPue) {
  auto row = row_of(run_on("FR"));
  EXPECT_DOUBLE_EQ(number(row["energy_consumed"]), 500 * 1.2 / kJoulesPerKilowattHour);
  EXPECT_DOUBLE_EQ(number(row["cpu_energy"]), 350 * 1.2 / kJoulesPerKilowattHour);
  EXPECT_DOUBLE_EQ(number(row["gpu_energy"]), 100 * 1.2 / kJoulesPerKilowattHour);
  EXPECT_DOUBLE_EQ(number(row["ram_energy"]), 50 * 1.2 / kJoulesPerKilowattHour);
  EXPECT_DOUBLE_EQ(number(row["cpu_power"]), 35 * 1.2);
  EXPECT_DOUBLE_EQ(number(row["emissions"]), run_on("FR").carbon.value() / 1000);
  EXPECT_DOUBLE_EQ(number(row["emissions_rate"]), run_on("FR").carbon.value() / 10000);
  EXPECT_EQ(row["pue"], "1.2");
  EXPECT_EQ(row["gpu_count"], "1");
  EXPECT_EQ(row["gpu_model"], "1 x gpu-0");
  EXPECT_EQ(row["ram_total_size"], "8");
  EXPECT_DOUBLE_EQ(number(row["cpu_utilization_percent"]), 25);
  EXPECT_EQ(row["run_id"], "01234567-89ab-cdef-0123-456789abcdef");
}

TEST(CodeCarbonRow, GpusGoByTheirOwnAccounts) {
  meter::MeteredRun run = run_on("FR");
  meter::GpuReport gpu;
  gpu.share.device_id = run.devices[2].info.device_id;
  gpu.energy_machine = Quantity<Joules>(200, Provenance::measured);
  gpu.energy = Quantity<Joules>(180, Provenance::derived);
  run.gpus = {gpu};
  auto row = row_of(run);
  EXPECT_DOUBLE_EQ(number(row["gpu_energy"]), 180 * 1.2 / kJoulesPerKilowattHour);
  EXPECT_DOUBLE_EQ(number(row["cpu_energy"]), 700 * (320.0 / 800) * 1.2 / kJoulesPerKilowattHour);
  EXPECT_DOUBLE_EQ(number(row["ram_energy"]), 100 * (320.0 / 800) * 1.2 / kJoulesPerKilowattHour);
}

TEST(CodeCarbonRow, PlacesByTheirKind) {
  auto state = row_of(run_on("US-CA"));
  EXPECT_EQ(
      state["country_name"] + "/" + state["country_iso_code"] + "/" + state["region"] + state["on_cloud"],
      "United States/USA/californiaN");
  auto cloud = row_of(run_on("aws:eu-west-3"));
  EXPECT_EQ(cloud["country_iso_code"] + "/" + cloud["cloud_provider"] + "/" + cloud["cloud_region"] +
                cloud["on_cloud"],
            "FRA/aws/eu-west-3Y");
  auto world = row_of(run_on("world"));
  EXPECT_EQ(world["country_iso_code"] + world["country_name"] + world["region"], "");
}

TEST(CodeCarbonRow, UnknownIsEmptyAndNotZero) {
  meter::MeteredRun run = run_on("FR");
  run.energy_machine = {};
  run.footprint.reset();
  auto row = row_of(run);
  for (const char* column : {"energy_consumed", "emissions", "emissions_rate", "cpu_energy", "gpu_energy",
                             "ram_energy", "cpu_power", "gpu_power", "ram_power", "water_consumed", "pue"}) {
    EXPECT_EQ(row[column], "") << column;
  }
  EXPECT_EQ(row["duration"], "10");
  const auto ranges = range_fields(run);
  ASSERT_EQ(ranges.size(), range_columns().size());
  EXPECT_EQ(ranges[2], "");
  EXPECT_EQ(ranges[5], "unknown");
}

TEST(CodeCarbonRow, AWholeThatIsNotToldApartHasNoParts) {
  meter::MeteredRun run = run_on("FR");
  run.devices = {device("model:cpu", power::Scope::machine_model, 1000)};
  auto row = row_of(run);
  EXPECT_EQ(row["cpu_energy"] + row["ram_energy"] + row["gpu_energy"], "");
  EXPECT_NE(row["energy_consumed"], "");
  // Below a meter of the whole machine the packages are known, what is inside them belongs to them.
  run.devices = {device("psys", power::Scope::psys, 1000),
                 device("package-0", power::Scope::package, 600, "psys"),
                 device("core", power::Scope::core, 400, "package-0")};
  row = row_of(run);
  EXPECT_DOUBLE_EQ(number(row["cpu_energy"]), 300 * 1.2 / kJoulesPerKilowattHour);
  EXPECT_EQ(row["ram_energy"], "");
  // The same counter a second time.
  run.devices = {device("package-0", power::Scope::package, 1000),
                 device("package-1", power::Scope::package, 1000)};
  run.devices[1].is_root = false;
  run.devices[1].mirror_of = "package-0";
  EXPECT_DOUBLE_EQ(number(row_of(run)["cpu_energy"]), 500 * 1.2 / kJoulesPerKilowattHour);
}

class CodeCarbonRoundTrip : public record::StoreTest {};

TEST_F(CodeCarbonRoundTrip, ARowOfOursGivesTheSameFiguresInAnotherStore) {
  meter::MeteredRun run = run_on("FR");
  run.run.name = "=a,\"b\"";
  const std::string file = folder_ + "/emissions.csv";
  const CodeCarbonOutput output = must(CodeCarbonOutput::create(file));
  must(output.append(run, footprint::DataSet()));
  const auto parsed = must(parse_codecarbon_csv(record::file_bytes(file)));
  EXPECT_EQ(must(import_codecarbon(*store_, parsed, "Elsewhere")).added, 1U);
  const record::Run imported = must(store_->run(run.run.id));
  EXPECT_EQ(imported.name, run.run.name);
  EXPECT_EQ(imported.end_utc_ns, run.run.end_utc_ns);
  std::map<std::string, double> metrics;
  for (const auto& metric : imported.metrics) metrics[metric.key] = metric.point.value;
  EXPECT_DOUBLE_EQ(metrics.at("joulery/energy_joules"), 500);
  EXPECT_DOUBLE_EQ(metrics.at("joulery/carbon_gco2e"), run.carbon.value());
  EXPECT_DOUBLE_EQ(metrics.at("joulery/duration_seconds"), 10);
  const auto ranges = must(parse_csv_table(record::file_bytes(folder_ + "/emissions.ranges.csv"), "ranges"));
  ASSERT_EQ(ranges.rows.size(), 1U);
  EXPECT_EQ(ranges.rows[0].fields[*ranges.column("run_id")], dashed_uuid(run.run.id));
  EXPECT_EQ(ranges.rows[0].fields[*ranges.column("energy_joules")], "500");
  EXPECT_EQ(ranges.rows[0].fields[*ranges.column("energy_provenance")], "derived");
}

TEST_F(CodeCarbonRoundTrip, AnOlderVersionsFileIsMovedAside) {
  const std::string file = folder_ + "/emissions.csv";
  const std::string old =
      "timestamp,experiment_id,project_name,duration,emissions\n2021-01-01T00:00:00,a,b,1,2\n";
  record::write_bytes(file, old);
  const CodeCarbonOutput output = must(CodeCarbonOutput::create(file));
  const auto notes = must(output.append(run_on("FR"), footprint::DataSet()));
  ASSERT_EQ(notes.size(), 1U);
  EXPECT_THAT(notes[0], HasSubstr("emissions.csv.bak"));
  EXPECT_EQ(record::file_bytes(file + ".bak"), old);
}

TEST(CodeCarbonRow, CardsOfAModelAreCountedTogetherAndTheirPartsNot) {
  meter::MeteredRun run = run_on("FR");
  run.devices = {device("H100 (GPU 0)", power::Scope::gpu, 200),
                 device("H100 (GPU 1)", power::Scope::gpu, 200),
                 device("tile", power::Scope::gpu, 100, "H100 (GPU 1)")};
  run.devices[0].info.model = run.devices[1].info.model = "H100";
  auto row = row_of(run);
  EXPECT_EQ(row["gpu_count"], "2");
  EXPECT_EQ(row["gpu_model"], "2 x H100");
}

}  // namespace
}  // namespace joulery::app
