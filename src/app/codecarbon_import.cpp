#include "app/codecarbon_import.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <optional>
#include <unordered_map>

#include "base/clock.hpp"
#include "base/ids.hpp"
#include "base/quantity.hpp"
#include "base/text.hpp"

namespace joulery::app {
namespace {

constexpr double kJoulesPerKilowattHour = 3.6e6;
constexpr double kGramsPerKilogram = 1000;
/// The record takes no longer ones.
constexpr std::size_t kLongestValue = 5000;
constexpr std::size_t kLongestName = 500;

std::string text_of(const CodeCarbonRow& row, const std::string& column) {
  const auto found = row.values.find(column);
  return found == row.values.end() ? "" : found->second;
}

/// Never negative and never endless.
Result<double> amount(const CodeCarbonRow& row, const std::string& column) {
  const auto value = parse_double(text_of(row, column));
  if (!value || !std::isfinite(*value) || *value < 0) {
    return user_error(fmt::format("{} is '{}'", column, printable(text_of(row, column)).substr(0, 60)));
  }
  return *value;
}

std::optional<std::int64_t> local_time_ns(const std::string& text) {
  std::tm parts{};
  const auto number = [&](std::size_t from, std::size_t length) {
    return text.size() >= from + length ? parse_int64(std::string_view(text).substr(from, length))
                                        : std::nullopt;
  };
  const auto year = number(0, 4);
  const auto month = number(5, 2);
  const auto day = number(8, 2);
  const auto hour = number(11, 2);
  const auto minute = number(14, 2);
  const auto second = number(17, 2);
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  if (*year < 1970 || *year > 2200 || *month < 1 || *month > 12 || *day < 1 || *day > 31 || *hour > 23 ||
      *minute > 59 || *second > 60) {
    return std::nullopt;
  }
  parts.tm_year = static_cast<int>(*year) - 1900;
  parts.tm_mon = static_cast<int>(*month) - 1;
  parts.tm_mday = static_cast<int>(*day);
  parts.tm_hour = static_cast<int>(*hour);
  parts.tm_min = static_cast<int>(*minute);
  parts.tm_sec = static_cast<int>(*second);
  parts.tm_isdst = -1;
  const std::time_t seconds = std::mktime(&parts);
  if (seconds < 0) return std::nullopt;
  return static_cast<std::int64_t>(seconds) * kNanosecondsPerSecond;
}

std::string id_of(const CodeCarbonRow& row) {
  const std::string run = text_of(row, "run_id");
  const std::string task = text_of(row, "task_name");
  std::string digits = to_lower(run);
  std::erase(digits, '-');
  if (task.empty() && is_run_id(digits)) return digits;
  std::string key = fmt::format("codecarbon\n{}\n{}\n", run, task);
  // Versions that knew no run id: the row is all there is to tell runs apart.
  if (run.empty()) {
    for (const auto& [column, value] : row.values) key += column + "=" + value + "\n";
  }
  return sha256_hex(key).substr(0, 32);
}

double duration_of(const record::Run& run) {
  for (const record::LatestMetric& metric : run.metrics) {
    if (metric.key == "joulery/duration_seconds") return metric.point.value;
  }
  return -1;
}

class PutRuns final : public record::Store::TransactionBody {
 public:
  PutRuns(const std::vector<record::Run>& runs, CodeCarbonImport& report) : runs_(runs), report_(report) {}
  Status run(record::Store& store) override {
    JOULERY_CHECK_OK(find_known(store));
    for (const record::Run& run : runs_) {
      const auto known = known_.find(run.id);
      if (known != known_.end() && known->second >= duration_of(run)) {
        ++report_.unchanged;
        continue;
      }
      ++(known == known_.end() ? report_.added : report_.updated);
      JOULERY_CHECK_OK(store.put_run(run));
      report_.run_ids.push_back(run.id);
    }
    return {};
  }

 private:
  /// Durations of the runs that were imported before, also of those deleted since: those stay deleted.
  Status find_known(record::Store& store) {
    constexpr std::size_t kPage = 10'000;
    record::RunQuery query;
    query.filter = "tags.`joulery.source` = 'codecarbon'";
    query.order_by = {"attributes.run_id ASC"};
    query.view = record::RunQuery::View::all;
    query.max_results = kPage;
    while (true) {
      JOULERY_ASSIGN(const std::vector<record::Run> page, store.search_runs(query));
      for (const record::Run& run : page) known_[run.id] = duration_of(run);
      if (page.size() < kPage) return {};
      query.offset += kPage;
    }
  }

  const std::vector<record::Run>& runs_;
  CodeCarbonImport& report_;
  std::unordered_map<std::string, double> known_;
};

}  // namespace

Result<record::Run> run_of_codecarbon_row(const CodeCarbonRow& row, const std::string& experiment) {
  JOULERY_ASSIGN(const double seconds, amount(row, "duration"));
  JOULERY_ASSIGN(const double kilograms, amount(row, "emissions"));
  JOULERY_ASSIGN(const double kilowatt_hours, amount(row, "energy_consumed"));
  const std::string when = text_of(row, "timestamp");
  const auto end = local_time_ns(when);
  constexpr double kLongestSeconds = 1e9;
  if (!end || seconds > kLongestSeconds) {
    return user_error(
        fmt::format("'{}' after {} s is no time that can be", printable(when).substr(0, 60), seconds));
  }
  record::Run run;
  run.id = id_of(row);
  run.name = printable(text_of(row, "task_name")).substr(0, kLongestName);
  if (run.name.empty()) run.name = printable(text_of(row, "project_name")).substr(0, kLongestName);
  if (run.name.empty()) run.name = "codecarbon";
  run.experiment = experiment;
  run.status = record::RunStatus::finished;
  run.end_utc_ns = *end;
  run.start_utc_ns = *end - static_cast<std::int64_t>(seconds * 1e9);
  run.tags["joulery.source"] = "codecarbon";
  run.tags["joulery.energy_provenance"] = provenance_name(Provenance::assumed);
  const auto metric = [&](const std::string& key, double value) {
    run.metrics.push_back({.key = key, .point = {.value = value, .timestamp_ms = *end / 1'000'000}});
  };
  metric("joulery/duration_seconds", seconds);
  metric("joulery/energy_joules", kilowatt_hours * kJoulesPerKilowattHour);
  metric("joulery/carbon_gco2e", kilograms * kGramsPerKilogram);
  for (const auto& [column, value] : row.values) {
    if (column.empty() || column.size() > 100) continue;
    const auto known = std::find_if(codecarbon_columns().begin(), codecarbon_columns().end(),
                                    [&](const CodeCarbonColumn& each) { return each.name == column; });
    const auto number = parse_double(value);
    const bool numeric = known != codecarbon_columns().end() &&
                         (known->type == CodeCarbonType::number || known->type == CodeCarbonType::count);
    if (numeric && number && std::isfinite(*number)) {
      metric("codecarbon/" + column, *number);
    } else {
      run.tags["codecarbon." + printable(column)] = printable(value).substr(0, kLongestValue);
    }
  }
  return run;
}

Result<CodeCarbonImport> import_codecarbon(record::Store& store, const CodeCarbonFile& file,
                                           const std::string& experiment) {
  CodeCarbonImport report;
  report.problems = file.problems;
  std::vector<record::Run> runs;
  std::unordered_map<std::string, std::size_t> places;
  for (const CodeCarbonRow& row : file.rows) {
    auto run = run_of_codecarbon_row(row, experiment);
    if (!run) {
      report.problems.push_back({row.number, run.error().message});
      continue;
    }
    report.realigned += row.realigned ? 1 : 0;
    const auto [place, fresh] = places.emplace(run->id, runs.size());
    if (fresh) {
      runs.push_back(std::move(*run));
      continue;
    }
    ++report.superseded;
    if (duration_of(*run) >= duration_of(runs[place->second])) runs[place->second] = std::move(*run);
  }
  std::sort(report.problems.begin(), report.problems.end(),
            [](const auto& a, const auto& b) { return a.row < b.row; });
  PutRuns put(runs, report);
  JOULERY_CHECK_OK(store.transaction(put));
  return report;
}

}  // namespace joulery::app
