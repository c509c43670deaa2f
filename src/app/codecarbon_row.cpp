#include "app/codecarbon_row.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <map>
#include <optional>
#include <set>

#include "app/application.hpp"
#include "app/codecarbon_csv.hpp"
#include "base/ids.hpp"
#include "base/text.hpp"
#include "meter/footprint_figures.hpp"

namespace joulery::app {
namespace {

constexpr double kJoulesPerKilowattHour = 3.6e6;
constexpr double kGramsPerKilogram = 1000;
constexpr double kBytesPerGibibyte = 1073741824.0;

/// The columns of CodeCarbon that energy is told apart in.
enum class Part { cpu, gpu, memory, none };

Part part_of(const power::SourceInfo& info) {
  switch (info.scope) {
    case power::Scope::package:
    case power::Scope::die:
    case power::Scope::core:
      return Part::cpu;
    case power::Scope::gpu:
      return Part::gpu;
    case power::Scope::dram:
      return Part::memory;
    default:
      return Part::none;
  }
}

const meter::DeviceReport* find_device(const meter::MeteredRun& run, const std::string& id) {
  const auto found = std::find_if(run.devices.begin(), run.devices.end(),
                                  [&](const auto& device) { return device.info.device_id == id; });
  return found == run.devices.end() ? nullptr : &*found;
}

/// False for what a device above it already says, and for the same counter a second time.
bool is_outermost(const meter::MeteredRun& run, const meter::DeviceReport& device) {
  if (!device.mirror_of.empty() || !device.known()) return false;
  if (device.is_root) return true;
  const meter::DeviceReport* parent = find_device(run, device.info.parent_id);
  // A tree of sources is a few levels deep.
  for (int level = 0; parent != nullptr && level < 10; ++level) {
    if (part_of(parent->info) != Part::none && parent->known()) return false;
    if (parent->is_root) return true;
    parent = find_device(run, parent->info.parent_id);
  }
  return false;
}

/// The run's joules by part; a part that no source tells of is absent. GPUs have accounts of their own, all
/// else is shared by CPU time.
std::map<Part, double> joules_by_part(const meter::MeteredRun& run) {
  std::map<Part, double> joules;
  double rest_machine = run.energy_machine.value();
  double rest_run = run.energy.value();
  std::set<std::string> with_account;
  for (const meter::GpuReport& gpu : run.gpus) {
    with_account.insert(gpu.share.device_id);
    if (gpu.energy_machine.value() > 0) joules[Part::gpu] += gpu.energy.value();
    rest_machine -= gpu.energy_machine.value();
    rest_run -= gpu.energy.value();
  }
  const double share = rest_machine > 0 ? std::clamp(rest_run / rest_machine, 0.0, 1.0) : 0;
  const bool memory_apart = std::any_of(run.devices.begin(), run.devices.end(), [](const auto& device) {
    return device.info.scope == power::Scope::dram && device.known();
  });
  for (const meter::DeviceReport& device : run.devices) {
    Part part = part_of(device.info);
    // A model of the whole machine knows no parts; one that has the memory apart is the CPU's.
    if (device.info.scope == power::Scope::machine_model && memory_apart) part = Part::cpu;
    // A module of CPU and GPU has the account of its GPU.
    const bool in_account = with_account.contains(device.info.device_id) ||
                            (part == Part::gpu && with_account.contains(device.info.parent_id));
    if (part == Part::none || in_account || !is_outermost(run, device)) continue;
    joules[part] += device.energy.value() * share;
  }
  return joules;
}

std::string number(double value) {
  return std::isfinite(value) ? fmt::format("{}", value) : "";
}

std::string local_time(std::int64_t utc_ns) {
  const auto seconds = static_cast<std::time_t>(utc_ns / kNanosecondsPerSecond);
  std::tm parts{};
  if (::localtime_r(&seconds, &parts) == nullptr) return "";
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

/// CodeCarbon knows experiments by a UUID only: the same for the same name.
std::string experiment_uuid(const std::string& name) {
  std::string id = sha256_hex("joulery experiment\n" + name).substr(0, 32);
  id[12] = '8';  // a UUID of the kind that each vendor makes as it likes (RFC 9562)
  id[16] = 'a';
  return dashed_uuid(id);
}

/// Fields by column, so that none lands under another's name.
class Row {
 public:
  void set(const std::string& column, std::string value) { values_[column] = std::move(value); }
  void set(const std::string& column, double value) { values_[column] = number(value); }
  std::vector<std::string> fields() const {
    std::vector<std::string> fields;
    for (const CodeCarbonColumn& column : codecarbon_columns()) {
      const auto found = values_.find(std::string(column.name));
      fields.push_back(found == values_.end() ? "" : found->second);
    }
    return fields;
  }

 private:
  std::map<std::string, std::string> values_;
};

void set_energy(const meter::MeteredRun& run, Row& row) {
  if (!run.energy_known()) return;
  const double pue = run.footprint ? run.footprint->site.pue.value() : 1;
  const double seconds = run.duration_seconds;
  row.set("energy_consumed", run.energy.value() * pue / kJoulesPerKilowattHour);
  const std::map<Part, std::string> names = {{Part::cpu, "cpu"}, {Part::gpu, "gpu"}, {Part::memory, "ram"}};
  for (const auto& [part, joules] : joules_by_part(run)) {
    const std::string& name = names.at(part);
    row.set(name + "_energy", joules * pue / kJoulesPerKilowattHour);
    if (seconds > 0) row.set(name + "_power", joules * pue / seconds);
  }
  if (!run.footprint) return;
  const double kilograms = run.carbon.value() / kGramsPerKilogram;
  row.set("emissions", kilograms);
  if (seconds > 0) row.set("emissions_rate", kilograms / seconds);
  row.set("water_consumed", run.footprint->water.on_site.value());
  row.set("pue", pue);
  row.set("wue", run.footprint->site.wue.value() * kJoulesPerKilowattHour);
}

void set_place(const meter::MeteredRun& run, const footprint::DataSet& data, Row& row) {
  row.set("on_cloud", "N");
  if (!run.footprint) return;
  const footprint::Zone& zone = run.footprint->site.zone;
  if (zone.kind == footprint::Zone::Kind::world) return;
  row.set("country_iso_code", zone.country_iso3);
  if (const auto countries = data.table(footprint::TableId::grid_country); countries && *countries) {
    if (const auto country = (*countries)->find({zone.country_iso3}))
      row.set("country_name", country->text("name"));
  }
  if (zone.kind == footprint::Zone::Kind::cloud_region) {
    row.set("on_cloud", "Y");
    row.set("cloud_provider", zone.provider);
    row.set("cloud_region", zone.cloud_region);
  } else if (zone.kind != footprint::Zone::Kind::country) {
    row.set("region", to_lower(zone.name));
  }
}

void set_hardware(const meter::MeteredRun& run, Row& row) {
  const record::Host& host = run.host.host;
  row.set("os", host.os);
  if (host.cpu_threads > 0) row.set("cpu_count", host.cpu_threads);
  row.set("cpu_model", host.cpu_model);
  if (host.memory_bytes > 0) row.set("ram_total_size", host.memory_bytes / kBytesPerGibibyte);
  std::map<std::string, int> models;
  const auto cards = meter::graphics_cards(run);
  for (const meter::DeviceReport* card : cards) ++models[power::model_name(card->info)];
  row.set("gpu_count", static_cast<double>(cards.size()));
  std::string model;
  for (const auto& [name, count] : models) {
    model += fmt::format("{}{} x {}", model.empty() ? "" : ", ", count, name);
  }
  row.set("gpu_model", model);
  if (run.machine_cpus > 0 && run.duration_seconds > 0) {
    row.set("cpu_utilization_percent",
            std::min(100.0, 100 * run.machine_busy_seconds / (run.duration_seconds * run.machine_cpus)));
  }
}

}  // namespace

std::string dashed_uuid(const std::string& id) {
  if (!is_run_id(id)) return id;
  return fmt::format("{}-{}-{}-{}-{}", id.substr(0, 8), id.substr(8, 4), id.substr(12, 4), id.substr(16, 4),
                     id.substr(20));
}

std::vector<std::string> codecarbon_fields(const meter::MeteredRun& run, const footprint::DataSet& data) {
  Row row;
  row.set("timestamp", local_time(run.run.end_utc_ns));
  row.set("project_name", run.run.name);
  row.set("run_id", dashed_uuid(run.run.id));
  row.set("experiment_id", experiment_uuid(run.run.experiment));
  row.set("duration", run.duration_seconds);
  row.set("codecarbon_version", std::string(kOwnRowVersion) + version());
  row.set("tracking_mode", "process");
  set_energy(run, row);
  set_place(run, data, row);
  set_hardware(run, row);
  return row.fields();
}

const std::vector<std::string>& range_columns() {
  static const std::vector<std::string> kColumns = {"run_id",
                                                    "level",
                                                    "energy_joules",
                                                    "energy_joules_low",
                                                    "energy_joules_high",
                                                    "energy_provenance",
                                                    "energy_basis",
                                                    "carbon_gco2e",
                                                    "carbon_gco2e_low",
                                                    "carbon_gco2e_high",
                                                    "carbon_provenance",
                                                    "carbon_basis",
                                                    "water_litres",
                                                    "water_litres_low",
                                                    "water_litres_high",
                                                    "water_provenance",
                                                    "water_basis",
                                                    "cpu_seconds",
                                                    "attribution"};
  return kColumns;
}

std::vector<std::string> range_fields(const meter::MeteredRun& run) {
  std::vector<std::string> fields = {dashed_uuid(run.run.id), number(Interval{}.level)};
  const auto add = [&](bool known, const auto& figure) {
    if (!known) {
      fields.insert(fields.end(), {"", "", "", record::kEnergyUnknown, ""});
      return;
    }
    const Interval range = figure.interval();
    fields.insert(fields.end(), {number(figure.value()), number(range.low), number(range.high),
                                 provenance_name(figure.provenance()), figure.basis()});
  };
  const bool known = run.energy_known();
  add(known, run.energy);
  const bool has_footprint = known && run.footprint.has_value();
  add(has_footprint, run.carbon);
  add(has_footprint, has_footprint ? run.footprint->water.total : Quantity<Litres>());
  fields.push_back(number(run.cpu_seconds));
  fields.emplace_back(meter::tier_name(run.tier));
  return fields;
}

}  // namespace joulery::app
