#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

#include "app/report.hpp"
#include "base/text.hpp"

namespace joulery::app {
namespace {

using Json = nlohmann::json;

Provenance provenance_from(const std::string& name) {
  for (const Provenance candidate : {Provenance::measured, Provenance::derived, Provenance::modelled}) {
    if (name == provenance_name(candidate)) return candidate;
  }
  return Provenance::assumed;
}

/// A field of a document of any version: what is missing or of another type is not known.
const Json* field(const Json& json, const char* key) {
  if (!json.is_object()) return nullptr;
  const auto found = json.find(key);
  return found == json.end() || found->is_null() ? nullptr : &*found;
}

std::optional<double> number(const Json& json, const char* key) {
  const Json* found = field(json, key);
  if (found == nullptr || !found->is_number()) return std::nullopt;
  const double value = found->get<double>();
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

std::string text(const Json& json, const char* key) {
  const Json* found = field(json, key);
  return found != nullptr && found->is_string() ? found->get<std::string>() : "";
}

bool flag(const Json& json, const char* key) {
  const Json* found = field(json, key);
  return found != nullptr && found->is_boolean() && found->get<bool>();
}

std::optional<ReportFigure> figure(const Json& json, const char* key, const std::string& unit) {
  const Json* found = field(json, key);
  if (found == nullptr) return std::nullopt;
  const auto value = number(*found, "value");
  if (!value) return std::nullopt;
  ReportFigure figure{.value = *value,
                      .low = number(*found, "low").value_or(*value),
                      .high = number(*found, "high").value_or(*value),
                      .has_range = number(*found, "low") && number(*found, "high"),
                      .confidence = text(*found, "interval") == "confidence",
                      .provenance = provenance_from(text(*found, "provenance")),
                      .basis = text(*found, "basis"),
                      .unit = unit};
  if (figure.low > figure.value || figure.high < figure.value) figure.has_range = false;
  return figure;
}

void add_part(std::vector<ReportPart>& parts, const std::string& label, const std::string& explanation,
              std::optional<ReportFigure> figure, bool of_the_run) {
  if (!figure) return;
  parts.push_back({.label = label,
                   .explanation = explanation,
                   .figure = std::move(*figure),
                   .share = 0,
                   .of_the_run = of_the_run});
}

void fill_shares(std::vector<ReportPart>& parts) {
  double sum = 0;
  for (const ReportPart& part : parts) sum += std::max(0.0, part.figure.value);
  for (ReportPart& part : parts) part.share = sum > 0 ? std::max(0.0, part.figure.value) / sum : 0;
}

/// Machine = active + share of idle + other programs + idle that is not the run's.
void read_split(const Json& json, RunReport& report) {
  const auto idle = figure(json, "energy_idle_joules", "J");
  report.energy_idle_share = figure(json, "energy_idle_share_joules", "J");
  add_part(report.split, "The run at work", "what it drew above idle",
           figure(json, "energy_active_joules", "J"), true);
  add_part(report.split, "Its share of idle power",
           fmt::format("of what the machine draws when it does nothing; policy \u201c{}\u201d",
                       report.idle_policy),
           report.energy_idle_share, true);
  add_part(report.split, "Other programs", "what they drew above idle meanwhile",
           figure(json, "energy_other_active_joules", "J"), false);
  if (idle && report.energy_idle_share) {
    ReportFigure rest = *idle;
    const double left = std::max(0.0, idle->value - report.energy_idle_share->value);
    // Of the same sources as the whole, so in proportion to it.
    const double factor = idle->value > 0 ? left / idle->value : 0;
    rest.value = left;
    rest.low *= factor;
    rest.high *= factor;
    add_part(report.split, "Idle power left to others", "the rest of idle, while the run was there",
             std::move(rest), false);
  }
  fill_shares(report.split);
}

void read_water(const Json& json, RunReport& report) {
  report.water = figure(json, "water_litres", "l");
  const auto on_site = figure(json, "water_on_site_litres", "l");
  const auto reservoir = figure(json, "water_reservoir_litres", "l");
  if (!report.water || !on_site || !reservoir) return;
  ReportFigure cooling = *report.water;
  cooling.value = std::max(0.0, report.water->value - on_site->value - reservoir->value);
  cooling.has_range = false;
  add_part(report.water_parts, "Cooling on site", "evaporates at the data centre", on_site, true);
  add_part(report.water_parts, "Cooling of power plants",
           "the rest of the sum; its own range is under "
           "\u201cHow each figure is known\u201d",
           cooling, true);
  add_part(report.water_parts, "Evaporation from reservoirs", "of hydro power; methods disagree on all of it",
           reservoir, true);
  fill_shares(report.water_parts);
}

void read_place(const Json& json, RunReport& report) {
  if (const Json* grid = field(json, "grid")) {
    report.zone = text(*grid, "zone");
    report.zone_name = text(*grid, "zone_name");
    report.intensity_kind = text(*grid, "kind");
    report.pue = number(*grid, "pue");
  }
  report.embodied = figure(json, "embodied_gco2e", "g");
  report.currency = text(json, "currency");
  report.cost = figure(json, "cost", report.currency);
  if (const Json* sci = field(json, "sci")) {
    report.sci = figure(*sci, "sci_gco2e", "g");
    report.reserved = text(*sci, "energy") == "whole machine";
    if (const Json* per = field(*sci, "per")) report.sci_unit = text(*per, "unit");
  }
  if (const Json* ai = field(json, "sci_ai")) {
    report.sci_ai_score = text(*ai, "score");
    report.sci_ai_stages = text(*ai, "stages");
    report.sci_ai_rationale = text(*ai, "rationale");
  }
}

std::string name_of_device(const Json& devices, const std::string& id) {
  for (const Json& device : devices) {
    if (text(device, "id") == id) return text(device, "name");
  }
  return id;
}

void read_devices(const Json& json, RunReport& report) {
  const Json* devices = field(json, "devices");
  if (devices == nullptr || !devices->is_array()) return;
  for (const Json& entry : *devices) {
    if (!entry.is_object()) continue;
    ReportDevice device;
    device.id = text(entry, "id");
    device.name = text(entry, "name");
    device.via = text(entry, "via");
    device.energy = figure(entry, "energy_joules", "J");
    device.mean_watts = number(entry, "mean_watts");
    device.peak_watts = number(entry, "peak_watts");
    const std::string mirror = text(entry, "mirror_of");
    const std::string parent = text(entry, "parent_id");
    device.role = flag(entry, "counted") ? "counted"
                  : !mirror.empty()
                      ? "the same as " + name_of_device(*devices, mirror) + ", not counted again"
                  : !parent.empty() ? "inside " + name_of_device(*devices, parent) + ", not counted again"
                                    : "not counted";
    if (const Json* windows = field(entry, "windows"); windows != nullptr && windows->is_object()) {
      for (const auto& [what, count] : windows->items()) {
        if (!count.is_number()) continue;
        device.remarks += fmt::format("{}{} samples {}", device.remarks.empty() ? "" : ", ",
                                      count.get<double>(), what == "stale" ? "without news" : what);
      }
    }
    std::replace(device.remarks.begin(), device.remarks.end(), '_', ' ');
    report.devices.push_back(std::move(device));
  }
}

void read_gpus(const Json& json, RunReport& report) {
  const Json* gpus = field(json, "gpus");
  if (gpus == nullptr || !gpus->is_array()) return;
  for (const Json& gpu : *gpus) {
    const auto idle_share = number(gpu, "energy_idle_share_joules");
    const auto idle_watts = number(gpu, "idle_watts");
    const auto busy = number(gpu, "workload_gpu_seconds");
    if (idle_share) {
      report.gpus.push_back({.name = text(gpu, "name"),
                             .idle_share_joules = *idle_share,
                             .idle_watts = idle_watts.value_or(0),
                             .busy_seconds = busy.value_or(0)});
    }
  }
}

void read_end(const Json& json, RunReport& report) {
  const int code = static_cast<int>(number(json, "exit_code").value_or(0));
  const int signal = static_cast<int>(number(json, "signal").value_or(0));
  report.failed = code != 0 || signal != 0;
  report.end = signal != 0 ? fmt::format("ended by signal {}", signal)
               : code != 0 ? fmt::format("failed with exit code {}", code)
                           : "went through";
}

void read_usage(const Json& json, RunReport& report) {
  report.duration_seconds = number(json, "duration_seconds");
  report.cpu_seconds = number(json, "cpu_seconds");
  report.busy_seconds = number(json, "machine_busy_seconds");
  report.machine_cpus = number(json, "machine_cpus");
  report.peak_memory_bytes = number(json, "peak_memory_bytes");
  report.attribution = text(json, "attribution");
  report.attribution_can_miss = text(json, "attribution_can_miss");
  report.idle_policy = text(json, "idle_policy");
  report.idle_basis = text(json, "idle_basis");
  report.idle_watts = number(json, "idle_watts");
  report.idle_watts_low = number(json, "idle_watts_low");
  report.idle_watts_high = number(json, "idle_watts_high");
  if (const Json* per = field(json, "per")) {
    const auto count = number(*per, "count");
    if (count && *count > 0) report.per = meter::FunctionalUnit{.count = *count, .unit = text(*per, "unit")};
    report.energy_per_unit = figure(*per, "energy_joules", "J");
  }
}

void read_warnings(const Json& json, RunReport& report) {
  const Json* warnings = field(json, "warnings");
  if (warnings == nullptr || !warnings->is_array()) return;
  for (const Json& warning : *warnings)
    report.warnings.push_back({.text = text(warning, "text"), .hint = text(warning, "hint")});
}

}  // namespace

void read_run_document(const std::string& document, RunReport& report) {
  const Json json = Json::parse(document, nullptr, false);
  if (!json.is_object()) {
    report.missing.emplace_back(
        "its document is damaged: what stands here comes from the metrics of the run");
    read_run_metrics(report);
    return;
  }
  if (const std::string command = text(json, "command"); !command.empty()) report.command = command;
  read_end(json, report);
  read_usage(json, report);
  report.energy = figure(json, "energy_joules", "J");
  report.carbon = figure(json, "carbon_gco2e", "g");
  if (report.energy) read_split(json, report);
  read_water(json, report);
  read_place(json, report);
  read_devices(json, report);
  read_gpus(json, report);
  read_warnings(json, report);
  if (!report.energy) {
    report.missing.emplace_back(
        report.devices.empty()
            ? "energy is unknown: nothing on this machine tells or models power, so carbon, water and money "
              "are unknown too; the times are measured"
            : "energy is unknown: no power counter moved while it ran, so carbon, water and money are "
              "unknown "
              "too; the times are measured");
  }
  if (field(json, "grid") == nullptr)
    report.missing.emplace_back(
        "an older version made this run: the place of its electricity, water and the "
        "making of the machine were not kept");
}

void read_run_metrics(RunReport& report) {
  const auto find = [&](const std::string& key) -> std::optional<double> {
    for (const record::LatestMetric& metric : report.run.metrics) {
      if (metric.key != record::kOwnMetricPrefix + key) continue;
      if (std::isfinite(metric.point.value)) return metric.point.value;
      report.missing.push_back(fmt::format("its metric {} is not a number", key));
    }
    return std::nullopt;
  };
  const auto tag = [&](const char* key) {
    const auto found = report.run.tags.find(key);
    return found == report.run.tags.end() ? std::string() : found->second;
  };
  const auto quantity = [&](const std::string& key, const std::string& unit,
                            const std::string& provenance) -> std::optional<ReportFigure> {
    const auto value = find(key);
    if (!value) return std::nullopt;
    const auto low = find(key + "_low");
    const auto high = find(key + "_high");
    ReportFigure figure{.value = *value,
                        .low = low.value_or(*value),
                        .high = high.value_or(*value),
                        .has_range = low && high && *low <= *value && *value <= *high,
                        .confidence = false,
                        .provenance = provenance_from(provenance),
                        .basis = {},
                        .unit = unit};
    return figure;
  };
  report.duration_seconds = find("duration_seconds");
  report.cpu_seconds = find("cpu_seconds");
  report.peak_memory_bytes = find("peak_memory_bytes");
  report.attribution = tag("joulery.attribution");
  const std::string known = tag(record::kEnergyProvenanceTag);
  if (known != record::kEnergyUnknown) report.energy = quantity("energy_joules", "J", known);
  const std::string carbon = tag("joulery.carbon_provenance");
  report.carbon = quantity("carbon_gco2e", "g", carbon);
  report.water = quantity("water_litres", "l", "assumed");
  report.embodied = quantity("embodied_gco2e", "g", "assumed");
  report.currency = tag("joulery.currency");
  report.cost = quantity("cost", report.currency, "assumed");
  report.zone = tag("joulery.zone");
  if (!report.energy) report.missing.emplace_back("energy is unknown: the record has no figure of it");
}

}  // namespace joulery::app
