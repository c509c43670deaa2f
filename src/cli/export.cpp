#include <fmt/format.h>

#include <set>

#include "app/documents.hpp"
#include "app/named_runs.hpp"
#include "base/csv.hpp"
#include "base/files.hpp"
#include "base/text.hpp"
#include "cli/output_file.hpp"
#include "cli/terminal.hpp"
#include "cli/verb.hpp"

namespace joulery::cli {
namespace {

/// More runs than anyone means without saying so.
constexpr std::size_t kMostRuns = 1'000'000;

std::string runs_csv(const std::vector<record::Run>& runs) {
  std::set<std::string> metrics, params, tags;
  for (const record::Run& run : runs) {
    for (const auto& metric : run.metrics) metrics.insert(metric.key);
    for (const auto& [key, value] : run.params) params.insert(key);
    for (const auto& [key, value] : run.tags) tags.insert(key);
  }
  std::string text = "run_id,name,experiment,user,status,start_time,end_time,host_id";
  for (const auto& key : metrics) text += "," + csv_field("metrics." + key);
  for (const auto& key : params) text += "," + csv_field("params." + key);
  for (const auto& key : tags) text += "," + csv_field("tags." + key);
  text += "\n";
  for (const record::Run& run : runs) {
    text +=
        fmt::format("{},{},{},{},{},{},{},{}", run.id, csv_field(run.name), csv_field(run.experiment),
                    csv_field(run.user), record::run_status_name(run.status), format_utc(run.start_utc_ns),
                    run.end_utc_ns > 0 ? format_utc(run.end_utc_ns) : "", run.host_id);
    std::map<std::string, double> values;
    for (const auto& metric : run.metrics) values[metric.key] = metric.point.value;
    for (const auto& key : metrics) {
      const auto found = values.find(key);
      text += found == values.end() ? "," : fmt::format(",{}", found->second);
    }
    const auto add = [&](const std::set<std::string>& keys, const std::map<std::string, std::string>& texts) {
      for (const auto& key : keys) {
        const auto found = texts.find(key);
        text += "," + (found == texts.end() ? "" : csv_field(found->second));
      }
    };
    add(params, run.params);
    add(tags, run.tags);
    text += "\n";
  }
  return text;
}

Result<std::string> power_csv(record::Store& store, const std::vector<record::Run>& runs) {
  std::string text =
      "run_id,device_id,time_utc_seconds,boottime_seconds,window_seconds,energy_joules,mean_watts,provenance,"
      "flags\n";
  for (const record::Run& run : runs) {
    JOULERY_ASSIGN(const auto all, store.power_series(run.id));
    std::map<std::string, std::string> provenance;
    JOULERY_ASSIGN(const auto devices, store.devices(run.host_id));
    for (const record::Device& device : devices) provenance[device.id] = device.provenance;
    for (const record::Store::PowerSeries& series : all) {
      std::int64_t before = run.start_boottime_ns;
      const bool known = record::energy_is_known(series, all);
      for (const record::PowerSample& sample : series.samples) {
        const double window = double(sample.boottime_ns - before) / 1e9;
        const double utc = double(run.start_utc_ns + (sample.boottime_ns - run.start_boottime_ns)) / 1e9;
        const std::string figures =
            known ? fmt::format("{:.9g},{:.6g}", sample.joules, window > 0 ? sample.joules / window : 0)
                  : ",";
        text += fmt::format("{},{},{:.4f},{:.4f},{:.4f},{},{},{}\n", run.id, csv_field(series.device_id), utc,
                            double(sample.boottime_ns) / 1e9, window, figures, provenance[series.device_id],
                            sample.flags);
        before = sample.boottime_ns;
      }
    }
  }
  return text;
}

Result<std::vector<record::Run>> chosen_runs(record::Store& store, const Arguments& arguments) {
  if (arguments.operands.empty()) {
    return search_and_tell(store, {.experiments = {},
                                   .filter = arguments.value("filter").value_or(""),
                                   .order_by = {},
                                   .metric_prefix = record::kOwnMetricPrefix,
                                   .max_results = kMostRuns});
  }
  if (arguments.has("filter")) return user_error("joulery export takes runs or --filter, not both");
  return app::find_named_runs(store, arguments.operands, app::SharedName::its_series);
}

Status check_choice(const Arguments& arguments, const char* flag, const std::vector<std::string>& choices) {
  const auto value = arguments.value(flag);
  if (!value || std::find(choices.begin(), choices.end(), *value) != choices.end()) return {};
  const auto meant = did_you_mean(*value, choices);
  return user_error(
      fmt::format("--{} takes {}, not '{}'", flag, fmt::join(choices, " or "), printable(*value)),
      meant ? fmt::format("did you mean '{}'?", *meant) : "");
}

}  // namespace

VerbResult export_verb(app::Application& application, const Arguments& arguments) {
  JOULERY_CHECK_OK(check_choice(arguments, "format", {"csv", "json"}));
  JOULERY_CHECK_OK(check_choice(arguments, "what", {"runs", "power"}));
  if (const auto file = arguments.value("output"))
    JOULERY_CHECK_OK(check_output_file("--output", *file, "runs.csv"));
  const bool json = arguments.has("json") || arguments.value("format").value_or("csv") == "json";
  const bool power = arguments.value("what").value_or("runs") == "power";
  JOULERY_ASSIGN(const auto store,
                 open_store_and_tell(application, app::Application::StoreAccess::read_only));
  JOULERY_ASSIGN(const std::vector<record::Run> runs, chosen_runs(*store, arguments));
  std::string text;
  if (json && power) {
    std::vector<app::RunPower> series;
    for (const record::Run& run : runs) {
      JOULERY_ASSIGN(auto power_series, store->power_series(run.id));
      series.push_back({.run = run, .series = std::move(power_series)});
    }
    text = app::power_document(series) + "\n";
  } else if (json) {
    text = app::runs_document(runs) + "\n";
  } else if (power) {
    JOULERY_ASSIGN(text, power_csv(*store, runs));
  } else {
    text = runs_csv(runs);
  }
  if (const auto file = arguments.value("output")) {
    JOULERY_CHECK_OK(write_file_atomically(*file, text));
  } else {
    // A file gets what was recorded; a terminal would obey some of it.
    JOULERY_CHECK_OK(print(Stream::out, is_terminal(Stream::out) ? printable_lines(text) : text));
  }
  return kExitOk;
}

}  // namespace joulery::cli
