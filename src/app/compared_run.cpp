#include "app/compared_run.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/ids.hpp"
#include "base/text.hpp"

namespace joulery::app {
namespace {

using Json = nlohmann::json;

/// More runs than anybody compares; a bound on memory.
constexpr std::size_t kMostRuns = 5000;
constexpr std::size_t kMostGroups = 20;

Provenance provenance_from(const std::string& name) {
  for (const Provenance candidate : {Provenance::measured, Provenance::derived, Provenance::modelled}) {
    if (name == provenance_name(candidate)) return candidate;
  }
  return Provenance::assumed;
}

std::optional<double> metric(const record::Run& run, const std::string& key) {
  for (const record::LatestMetric& candidate : run.metrics) {
    if (candidate.key == record::kOwnMetricPrefix + key && std::isfinite(candidate.point.value)) {
      return candidate.point.value;
    }
  }
  return std::nullopt;
}

std::string tag(const record::Run& run, const std::string& key) {
  const auto found = run.tags.find(key);
  return found == run.tags.end() ? "" : found->second;
}

/// A figure whose sources are not known: its range is its own.
UncertainValue with_range(double value, double low, double high, Provenance provenance,
                          const std::string& source) {
  if (!(value > 0) || !(low >= 0) || !(low < value || high > value)) return {value, provenance};
  return {value,
          provenance,
          0,
          {{.id = source,
            .low = std::min(low / value, 1.0),
            .high = std::max(high / value, 1.0),
            .provenance = provenance,
            .basis = {}}}};
}

/// From `uncertainty` of the document.
UncertainValue parts_of(const Json& json) {
  UncertainValue sum(0, Provenance::measured, json.at("standard_deviation"));
  for (const Json& part : json.at("parts")) {
    std::vector<SystematicSource> sources;
    for (const Json& source : part.at("sources")) {
      sources.push_back({.id = source.at("id"),
                         .low = source.at("low"),
                         .high = source.at("high"),
                         .provenance = provenance_from(source.at("provenance")),
                         .basis = source.at("basis")});
    }
    sum.add({part.at("value"), provenance_from(part.at("provenance")), 0, sources});
  }
  return sum;
}

std::optional<UncertainValue> figure(const Json& document, const std::string& key,
                                     const std::string& run_id) {
  const auto found = document.find(key);
  if (found == document.end() || !found->is_object()) return std::nullopt;
  if (const auto detailed = document.find("uncertainty");
      detailed != document.end() && detailed->contains(key) && (*detailed)[key].is_object()) {
    return parts_of((*detailed)[key]);
  }
  return with_range(found->at("value"), found->at("low"), found->at("high"),
                    provenance_from(found->at("provenance")), "run:" + run_id + ":" + key);
}

std::string grid_of(const ComparedRun& run) {
  std::set<std::string> ids;
  if (run.carbon) {
    for (const auto& part : run.carbon->parts()) {
      for (const auto& source : part.sources) ids.insert(source.id);
    }
  }
  if (run.energy) {
    for (const auto& part : run.energy->parts()) {
      for (const auto& source : part.sources) ids.erase(source.id);
    }
  }
  return fmt::format("{}", fmt::join(ids, ", "));
}

void read_document(const Json& document, ComparedRun& run) {
  run.command = document.value("command", run.command);
  run.duration_seconds = document.at("duration_seconds").get<double>();
  run.cpu_seconds = document.at("cpu_seconds").get<double>();
  run.attribution = document.value("attribution", "");
  run.idle_policy = document.value("idle_policy", "");
  if (const auto host = document.find("host"); host != document.end() && host->is_object()) {
    run.host_name = host->value("name", "");
  }
  if (const auto per = document.find("per"); per != document.end() && per->is_object()) {
    run.per = meter::FunctionalUnit{.count = per->at("count"), .unit = per->at("unit")};
  }
  // A machine that drew nothing is one of which nothing is known.
  const auto machine = document.find("energy_machine_joules");
  if (machine == document.end() || !machine->is_object() || machine->at("value").get<double>() <= 0) return;
  run.energy = figure(document, "energy_joules", run.run_id);
  run.carbon = figure(document, "carbon_gco2e", run.run_id);
  run.grid = grid_of(run);
}

/// What the metrics tell, for a run without a document.
void read_metrics(const record::Run& record, ComparedRun& run) {
  run.duration_seconds = metric(record, "duration_seconds");
  run.cpu_seconds = metric(record, "cpu_seconds");
  run.attribution = tag(record, "joulery.attribution");
  const auto quantity = [&](const std::string& key, Provenance provenance,
                            bool& has_range) -> std::optional<UncertainValue> {
    const auto value = metric(record, key);
    if (!value) return std::nullopt;
    const auto low = metric(record, key + "_low");
    const auto high = metric(record, key + "_high");
    has_range = low && high;
    return with_range(*value, low.value_or(*value), high.value_or(*value), provenance,
                      "run:" + run.run_id + ":" + key);
  };
  const std::string known = tag(record, "joulery.energy_provenance");
  run.energy = quantity("energy_joules", provenance_from(known), run.energy_has_range);
  run.carbon = quantity("carbon_gco2e", Provenance::assumed, run.carbon_has_range);
}

std::string filter_text(const std::string& text) {
  // The grammar knows both quotes and no escape.
  return text.find('\'') == std::string::npos ? "'" + text + "'" : "\"" + text + "\"";
}

Result<std::vector<record::Run>> search(record::Store& store, const std::string& filter) {
  record::RunQuery query;
  query.metric_prefix = record::kOwnMetricPrefix;
  query.filter = filter;
  query.order_by = {"attributes.start_time ASC"};
  query.max_results = kMostRuns + 1;
  JOULERY_ASSIGN(std::vector<record::Run> runs, store.search_runs(query));
  if (runs.size() > kMostRuns) {
    return user_error(fmt::format("more than {} runs match", kMostRuns), "narrow them down, as with --where");
  }
  return runs;
}

Status add_run(record::Store& store, const record::Run& run, RunGroup& group) {
  if (run.status != record::RunStatus::finished) {
    group.left_out.push_back({run.id, to_lower(record::run_status_name(run.status))});
    return {};
  }
  JOULERY_ASSIGN(ComparedRun compared, load_compared_run(store, run));
  group.runs.push_back(std::move(compared));
  return {};
}

Result<RunGroup> make_group(record::Store& store, std::string label, const std::vector<record::Run>& runs) {
  RunGroup group{.label = std::move(label), .runs = {}, .left_out = {}};
  for (const record::Run& run : runs) JOULERY_CHECK_OK(add_run(store, run, group));
  return group;
}

}  // namespace

ComparedRun compared_run(const record::Run& run, const std::string& document) {
  ComparedRun compared;
  const auto identify = [&] {
    compared = {};
    compared.run_id = run.id;
    compared.name = run.name;
    compared.command = tag(run, "joulery.command");
    compared.start_utc_ns = run.start_utc_ns;
    compared.host_id = run.host_id;
    if (const std::string versus = tag(run, kVersusTag); !versus.empty()) {
      compared.pair = versus + ":" + tag(run, kVersusPairTag);
    }
  };
  identify();
  const Json json = document.empty() ? Json() : Json::parse(document, nullptr, false);
  if (json.is_object()) {
    try {
      read_document(json, compared);
      return compared;
    } catch (const Json::exception&) {
      // A document of a version that is not ours: its metrics are still good.
      identify();
    }
  }
  read_metrics(run, compared);
  return compared;
}

Result<ComparedRun> load_compared_run(record::Store& store, const record::Run& run) {
  JOULERY_ASSIGN(const std::vector<record::Evidence> evidence, store.evidence("run:" + run.id));
  const auto found = std::find_if(evidence.begin(), evidence.end(),
                                  [](const auto& entry) { return entry.type == "joulery/run"; });
  ComparedRun compared = compared_run(run, found == evidence.end() ? "" : found->json);
  if (compared.host_name.empty() && !run.host_id.empty()) {
    JOULERY_ASSIGN(const auto host, store.host(run.host_id));
    if (host) compared.host_name = host->name;
  }
  return compared;
}

Result<RunGroup> find_group(record::Store& store, const std::string& operand, bool single) {
  if (!single && operand.find('\'') == std::string::npos) {
    // A name that many runs have is no ambiguity here: they are the repeats.
    const std::string column =
        is_run_id(operand) ? fmt::format("tags.`{}`", kSeriesTag) : "attributes.run_name";
    if (operand != "last") {
      JOULERY_ASSIGN(const auto runs, search(store, column + " = " + filter_text(operand)));
      if (!runs.empty()) return make_group(store, operand, runs);
    }
  }
  JOULERY_ASSIGN(const record::Run run, store.run(operand));
  const std::string series = tag(run, kSeriesTag);
  if (single || series.empty()) return make_group(store, run.name, {run});
  JOULERY_ASSIGN(const auto runs,
                 search(store, fmt::format("tags.`{}` = {}", kSeriesTag, filter_text(series))));
  return make_group(store, run.name, runs);
}

Result<std::vector<RunGroup>> find_versus_groups(record::Store& store, const std::string& operand) {
  std::string session = operand;
  std::vector<record::Run> runs;
  if (is_run_id(operand)) {
    JOULERY_ASSIGN(runs, search(store, fmt::format("tags.`{}` = '{}'", kVersusTag, operand)));
  }
  if (runs.empty()) {
    JOULERY_ASSIGN(const record::Run run, store.run(operand));
    session = tag(run, kVersusTag);
    if (session.empty()) {
      return user_error(fmt::format("run {} ({}) was not run against another", run.id, printable(run.name)),
                        "name two: joulery compare A B");
    }
    JOULERY_ASSIGN(runs, search(store, fmt::format("tags.`{}` = {}", kVersusTag, filter_text(session))));
  }
  std::vector<RunGroup> groups = {{.label = "A", .runs = {}, .left_out = {}},
                                  {.label = "B", .runs = {}, .left_out = {}}};
  for (const record::Run& run : runs) {
    JOULERY_CHECK_OK(add_run(store, run, groups[tag(run, kVersusSideTag) == "B" ? 1 : 0]));
  }
  return groups;
}

Result<std::vector<RunGroup>> group_by_tag(record::Store& store, const std::string& tag_key,
                                           const std::string& filter,
                                           const std::optional<std::string>& baseline) {
  if (tag_key.empty() || tag_key.find('`') != std::string::npos) {
    return user_error(fmt::format("--by '{}' is no tag", printable(tag_key)), "for example --by framework");
  }
  const std::string has_tag = fmt::format("tags.`{}` IS NOT NULL", tag_key);
  JOULERY_ASSIGN(const auto runs, search(store, filter.empty() ? has_tag : filter + " and " + has_tag));
  std::map<std::string, std::vector<record::Run>> by_value;
  for (const record::Run& run : runs) by_value[tag(run, tag_key)].push_back(run);
  if (by_value.size() < 2) {
    return user_error(
        by_value.empty() ? fmt::format("no run has a tag '{}'", printable(tag_key))
                         : fmt::format("all {} runs have {}={}: there is nothing to compare", runs.size(),
                                       printable(tag_key), printable(by_value.begin()->first)),
        fmt::format("tag runs as they are made: joulery run --tag {}=VALUE -- CMD", printable(tag_key)));
  }
  if (by_value.size() > kMostGroups) {
    return user_error(fmt::format("tag '{}' has {} values; {} are the most that are compared at once",
                                  printable(tag_key), by_value.size(), kMostGroups),
                      "narrow them down with --where");
  }
  if (baseline && by_value.count(*baseline) == 0) {
    std::vector<std::string> values;
    for (const auto& entry : by_value) values.push_back(entry.first);
    const auto meant = did_you_mean(*baseline, values);
    return user_error(fmt::format("no run has {}={}", printable(tag_key), printable(*baseline)),
                      meant ? fmt::format("did you mean '{}'?", printable(*meant))
                            : printable(fmt::format("there are {}", fmt::join(values, ", "))).substr(0, 300));
  }
  std::vector<RunGroup> groups;
  for (const auto& [value, members] : by_value) {
    JOULERY_ASSIGN(RunGroup group, make_group(store, value, members));
    const bool first = baseline && value == *baseline;
    groups.insert(first ? groups.begin() : groups.end(), std::move(group));
  }
  return groups;
}

}  // namespace joulery::app
