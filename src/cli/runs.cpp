#include <fmt/format.h>

#include <algorithm>

#include "app/documents.hpp"
#include "base/text.hpp"
#include "cli/terminal.hpp"
#include "cli/verb.hpp"

namespace joulery::cli {
namespace {

/// "energy" → "metrics.energy_joules ASC".
Result<std::string> order_of(const std::string& key) {
  const bool descending = key.rfind('-', 0) == 0;
  const std::string name = descending ? key.substr(1) : key;
  std::string column;
  for (const auto& [short_name, full] : sort_keys()) {
    if (name == short_name) column = full;
  }
  if (column.empty() && name.find('.') != std::string::npos) column = name;
  if (column.empty()) {
    std::vector<std::string> names;
    names.reserve(sort_keys().size());
    for (const auto& entry : sort_keys()) names.push_back(entry.first);
    const auto meant = did_you_mean(name, names);
    return user_error(fmt::format("--sort knows no '{}'", printable(name)),
                      meant ? fmt::format("did you mean '{}'?", *meant)
                            : fmt::format("it takes {} or metrics.KEY", fmt::join(names, ", ")));
  }
  return column + (descending ? " DESC" : " ASC");
}

double metric(const record::Run& run, const std::string& key) {
  for (const record::LatestMetric& candidate : run.metrics) {
    if (candidate.key == record::kOwnMetricPrefix + key) return candidate.point.value;
  }
  return -1;
}

std::string table(const std::vector<record::Run>& runs, const Palette& colors) {
  std::string text =
      fmt::format("{}{:<12} {:<20} {:<9} {:>12} {:>10} {:>9}  {:<20} {}{}\n", colors.dim, "run",
                  "start (UTC)", "status", "wall", "CPU", "energy", "plausible range", "name", colors.reset);
  for (const record::Run& run : runs) {
    const double energy = metric(run, "energy_joules");
    const auto provenance = run.tags.find(record::kEnergyProvenanceTag);
    const bool unknown = provenance != run.tags.end() && provenance->second == record::kEnergyUnknown;
    std::string joules = unknown ? "unknown" : "-";
    std::string range;
    if (energy >= 0) {
      // A modelled figure never stands alone: ~ and the range say that it is none of a counter.
      const double low = metric(run, "energy_joules_low");
      const double high = metric(run, "energy_joules_high");
      const bool modelled =
          provenance == run.tags.end() || provenance->second == "modelled" || provenance->second == "assumed";
      joules = fmt::format("{}{}", modelled ? "~" : "", format_si(energy, "J"));
      if (low >= 0 && high > low) range = fmt::format("{} to {}", format_si(low, "J"), format_si(high, "J"));
    }
    const double wall = metric(run, "duration_seconds");
    const double cpu = metric(run, "cpu_seconds");
    const bool good = run.status == record::RunStatus::finished;
    text += fmt::format("{:<12} {:<20} {}{:<9}{} {:>12} {:>10} {:>9}  {:<20} {}\n", run.id.substr(0, 12),
                        format_utc(run.start_utc_ns), good ? "" : colors.yellow,
                        record::run_status_name(run.status), good ? "" : colors.reset,
                        wall >= 0 ? format_duration(wall) : "-", cpu >= 0 ? format_duration(cpu) : "-",
                        joules, range, printable(run.name));
  }
  return text;
}

}  // namespace

VerbResult runs_verb(app::Application& application, const Arguments& arguments) {
  record::RunQuery query;
  query.metric_prefix = record::kOwnMetricPrefix;
  if (!arguments.operands.empty()) query.filter = arguments.operands.front();
  if (const auto experiments = arguments.flags.find("experiment"); experiments != arguments.flags.end()) {
    query.experiments = experiments->second;
  }
  if (const auto sort = arguments.value("sort")) {
    JOULERY_ASSIGN(std::string order, order_of(*sort));
    query.order_by.push_back(std::move(order));
  }
  JOULERY_ASSIGN(const int limit, arguments.integer("limit", 20, 1, 1'000'000));
  query.max_results = static_cast<std::size_t>(limit);
  if (arguments.has("deleted")) query.view = record::RunQuery::View::deleted;
  JOULERY_ASSIGN(const auto store,
                 open_store_and_tell(application, app::Application::StoreAccess::read_only));
  JOULERY_ASSIGN(const std::vector<record::Run> runs, search_and_tell(*store, query));
  if (arguments.has("json")) {
    JOULERY_CHECK_OK(print(Stream::out, app::runs_document(runs) + "\n"));
    return kExitOk;
  }
  if (runs.empty()) {
    const bool all = query.filter.empty() && query.experiments.empty() && !arguments.has("deleted");
    JOULERY_CHECK_OK(
        print(Stream::err, all ? "there are no runs yet; `joulery run -- CMD` makes the first one\n"
                               : "no run matches\n"));
    return kExitOk;
  }
  JOULERY_CHECK_OK(print(Stream::out, table(runs, palette(application, Stream::out))));
  return kExitOk;
}

}  // namespace joulery::cli
