#include "app/codecarbon_import.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <ctime>
#include <future>
#include <map>
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

constexpr const char* kSourceTag = "joulery.source";
constexpr const char* kSource = "codecarbon";
constexpr const char* kDuration = "joulery/duration_seconds";
/// What runs are looked for and told apart by; the rest of the row is kept as evidence.
constexpr std::array<std::string_view, 2> kTagged = {"country_iso_code", "cpu_model"};
/// Columns that the run's id, name, times, metrics and tags say already.
constexpr std::array<std::string_view, 9> kTold = {"timestamp",       "run_id",           "project_name",
                                                   "duration",        "emissions",        "emissions_rate",
                                                   "energy_consumed", "country_iso_code", "cpu_model"};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// More than the world makes in a year; far below where units overflow.
constexpr double kMostKilowattHours = 1e14;
constexpr double kMostKilograms = 1e14;
constexpr double kLongestSeconds = 1e9;
/// A whole large power plant, and what the dirtiest grid (2 kg a kWh) emits for it with some room.
constexpr double kMostWatts = 1e9;
constexpr double kMostKilogramsPerSecond = 1000;
/// A time may be rounded, also to 0.
constexpr double kShortestSeconds = 1;

/// Never negative and never endless.
Result<double> amount(const CodeCarbonRow& row, std::string_view column, double most) {
  const std::string_view text = row.values.at(column);
  const auto value = parse_double(text);
  if (!value || !std::isfinite(*value) || *value < 0) {
    return user_error(fmt::format("{} is '{}'", column, printable(text).substr(0, 60)));
  }
  if (*value > most) {
    return user_error(fmt::format("{} is '{}', more than any run can have ({:g})", column,
                                  printable(text).substr(0, 60), most));
  }
  return *value;
}

/// Energy of the computers: CodeCarbon multiplied it by the PUE, which its file names.
double joules_of(const CodeCarbonRow& row, double kilowatt_hours) {
  const auto pue = parse_double(row.values.at("pue"));
  return kilowatt_hours * kJoulesPerKilowattHour / (pue && *pue >= 1 ? *pue : 1);
}

/// "+05:30", "-0800", "+05", "Z" and "UTC" in seconds; nothing for what is none of these.
std::optional<std::int64_t> offset_seconds(std::string_view text) {
  if (const std::string name = to_lower(std::string(text.substr(0, 4))); name == "z" || name == "utc")
    return 0;
  if (text.empty() || (text[0] != '+' && text[0] != '-')) return std::nullopt;
  const bool with_colon = text.size() == 6 && text[3] == ':';
  if (text.size() != 3 && text.size() != 5 && !with_colon) return std::nullopt;
  const std::string digits = std::string(text.substr(1, 2)) + std::string(text.substr(with_colon ? 4 : 3));
  if (!std::all_of(digits.begin(), digits.end(), is_digit)) return std::nullopt;
  const std::int64_t hours = parse_int64(digits.substr(0, 2)).value_or(99);
  const std::int64_t minutes = digits.size() > 2 ? parse_int64(digits.substr(2)).value_or(99) : 0;
  constexpr std::int64_t kMostHours = 14;
  if (hours > kMostHours || minutes > 59) return std::nullopt;
  return (text[0] == '-' ? -1 : 1) * (hours * 60 + minutes) * 60;
}

/// What this machine's place calls `local`, which is counted as if in UTC. Not by mktime(), which asks the
/// file system for the time zone at each call.
std::optional<std::int64_t> utc_seconds_of(std::int64_t local) {
  std::int64_t utc = local;
  // The offset is of a time in UTC: the second look is for when it changes in between.
  for (int look = 0; look < 2; ++look) {
    const std::time_t guess = utc;
    std::tm parts{};
    if (::localtime_r(&guess, &parts) == nullptr) return std::nullopt;
    utc = local - parts.tm_gmtoff;
  }
  return utc;
}

/// A time of this machine's place unless an offset follows. Fractions of a second are passed over.
std::optional<std::int64_t> time_ns(std::string_view text) {
  const auto number = [&](std::size_t from, std::size_t length) {
    const std::string_view digits = text.size() >= from + length ? text.substr(from, length) : "";
    return std::all_of(digits.begin(), digits.end(), is_digit) ? parse_int64(digits) : std::nullopt;
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
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(*year)),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return std::nullopt;
  constexpr std::size_t kLength = 19;
  std::string_view rest = text.substr(kLength);
  if (rest.size() > 1 && (rest[0] == '.' || rest[0] == ',') && is_digit(rest[1])) {
    rest.remove_prefix(1);
    while (!rest.empty() && is_digit(rest[0])) rest.remove_prefix(1);
  }
  rest = trim(rest);
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  const std::int64_t local = ((days * 24 + *hour) * 60 + *minute) * 60 + *second;
  std::optional<std::int64_t> seconds;
  if (rest.empty()) {
    seconds = utc_seconds_of(local);
  } else if (const auto offset = offset_seconds(rest)) {
    seconds = local - *offset;
  }
  if (!seconds || *seconds < 0) return std::nullopt;
  return *seconds * kNanosecondsPerSecond;
}

std::string id_of(const CodeCarbonRow& row) {
  const std::string_view run = row.values.at("run_id");
  const std::string_view task = row.values.at("task_name");
  std::string digits = to_lower(std::string(run));
  std::erase(digits, '-');
  if (task.empty() && is_run_id(digits)) return digits;
  std::string key = fmt::format("codecarbon\n{}\n{}\n", run, task);
  // Versions that knew no run id: the row is all there is to tell runs apart.
  if (run.empty()) {
    std::map<std::string, std::string> sorted;
    for (std::size_t i = 0; i < row.values.size(); ++i) {
      if (!row.values.field(i).empty()) sorted[row.values.column(i)] = row.values.field(i);
    }
    for (const auto& [column, value] : sorted) key += column + "=" + value + "\n";
  }
  return sha256_hex(key).substr(0, 32);
}

/// What of a row may be wrong, checked.
struct Figures {
  std::string id;
  double seconds = 0;
  std::int64_t end_utc_ns = 0;
  /// Nothing: a row of ours, of a run whose energy was not known.
  std::optional<double> kilowatt_hours;
  std::optional<double> kilograms;
};

Status check_rates(const Figures& figures) {
  const double seconds = std::max(figures.seconds, kShortestSeconds);
  const double joules = figures.kilowatt_hours.value_or(0) * kJoulesPerKilowattHour;
  if (joules > kMostWatts * seconds) {
    return user_error(fmt::format("energy_consumed is {:g} kWh in {:g} s, more than 1 GW",
                                  *figures.kilowatt_hours, figures.seconds));
  }
  if (figures.kilograms.value_or(0) > kMostKilogramsPerSecond * seconds) {
    return user_error(fmt::format("emissions are {:g} kg in {:g} s, more than {:g} kg a second",
                                  *figures.kilograms, figures.seconds, kMostKilogramsPerSecond));
  }
  return {};
}

Result<Figures> read_figures(const CodeCarbonRow& row) {
  Figures figures;
  JOULERY_ASSIGN(figures.seconds, amount(row, "duration", kLongestSeconds));
  if (row.values.has("energy_consumed") || !row.is_own()) {
    JOULERY_ASSIGN(figures.kilowatt_hours, amount(row, "energy_consumed", kMostKilowattHours));
  }
  if (row.values.has("emissions") || !row.is_own()) {
    JOULERY_ASSIGN(figures.kilograms, amount(row, "emissions", kMostKilograms));
  }
  JOULERY_CHECK_OK(check_rates(figures));
  const std::string_view when = row.values.at("timestamp");
  const auto end = time_ns(when);
  if (!end) return user_error(fmt::format("timestamp '{}' is no time", printable(when).substr(0, 60)));
  figures.end_utc_ns = *end;
  figures.id = id_of(row);
  return figures;
}

/// As it was before csv_field() kept spreadsheets from running it.
std::string_view without_formula_guard(std::string_view name, bool own) {
  const bool guarded = own && name.size() > 1 && name[0] == '\'' &&
                       std::string_view("=+-@\t\r").find(name[1]) != std::string_view::npos;
  return guarded ? name.substr(1) : name;
}

record::Run make_run(const CodeCarbonRow& row, const Figures& figures, const std::string& experiment) {
  record::Run run;
  run.id = figures.id;
  const std::string_view task = row.values.at("task_name");
  const std::string_view project = row.values.at("project_name");
  run.name = printable(without_formula_guard(task.empty() ? project : task, row.is_own()));
  run.name.resize(std::min(run.name.size(), kLongestName));
  if (run.name.empty()) run.name = "codecarbon";
  run.experiment = experiment;
  run.status = record::RunStatus::finished;
  run.end_utc_ns = figures.end_utc_ns;
  run.start_utc_ns = figures.end_utc_ns - static_cast<std::int64_t>(figures.seconds * 1e9);
  run.tags[kSourceTag] = kSource;
  run.tags[record::kEnergyProvenanceTag] =
      figures.kilowatt_hours ? provenance_name(Provenance::assumed) : record::kEnergyUnknown;
  const auto tag = [&](std::string_view column) {
    const std::string_view value = row.values.at(column);
    if (value.empty()) return;
    run.tags["codecarbon." + std::string(column)] = printable(value).substr(0, kLongestValue);
  };
  for (const std::string_view column : kTagged) tag(column);
  if (!task.empty()) tag("project_name");
  const auto metric = [&](const char* key, double value) {
    run.metrics.push_back(
        {.key = key, .point = {.value = value, .timestamp_ms = figures.end_utc_ns / 1'000'000}});
  };
  metric(kDuration, figures.seconds);
  if (figures.kilowatt_hours) metric("joulery/energy_joules", joules_of(row, *figures.kilowatt_hours));
  if (figures.kilograms) metric("joulery/carbon_gco2e", *figures.kilograms * kGramsPerKilogram);
  return run;
}

/// What JSON takes for a number: from_chars takes more.
bool is_json_number(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  const bool leading_zero = text.size() > 1 && text[0] == '0' && text[1] >= '0' && text[1] <= '9';
  if (text.empty() || !is_digit(text.front()) || !is_digit(text.back()) || leading_zero) return false;
  const auto dot = text.find('.');
  return dot == std::string_view::npos || (dot + 1 < text.size() && is_digit(text[dot + 1]));
}

void append_json_text(std::string_view text, std::string& json) {
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) >= 0x20 && static_cast<unsigned char>(c) < 0x7F && c != '"' &&
           c != '\\';
  });
  if (plain) {
    json.append("\"").append(text).append("\"");
  } else {
    json += nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
}

/// The row by column, as it is, less what metrics and tags say. The same row gives the same bytes whenever it
/// is imported.
record::Evidence evidence_of(const CodeCarbonRow& row, const Figures& figures) {
  record::Evidence evidence;
  evidence.subject = "run:" + figures.id;
  evidence.type = "codecarbon/row";
  std::string& json = evidence.json;
  json.reserve(1200);
  json = "{";
  for (std::size_t i = 0; i < row.values.size(); ++i) {
    const std::string_view value = row.values.field(i);
    if (value.empty() || std::find(kTold.begin(), kTold.end(), row.values.column(i)) != kTold.end()) {
      continue;
    }
    if (json.size() > 1) json += ',';
    append_json_text(std::string_view(row.values.column(i)).substr(0, kLongestName), json);
    json += ':';
    if (is_json_number(value) && parse_double(value)) {
      json += value;
    } else {
      append_json_text(value.substr(0, kLongestValue), json);
    }
  }
  json += '}';
  evidence.sha256 = sha256_hex(json);
  evidence.created_utc_ns = figures.end_utc_ns;
  return evidence;
}

/// A row that may become a run.
struct Candidate {
  const CodeCarbonRow* row = nullptr;
  Figures figures;
};

class PutRuns final : public record::Store::TransactionBody {
 public:
  PutRuns(const std::vector<Candidate>& candidates, const std::string& experiment, CodeCarbonImport& report)
      : candidates_(candidates), experiment_(experiment), report_(report) {}
  Status run(record::Store& store) override {
    JOULERY_CHECK_OK(choose(store));
    JOULERY_CHECK_OK(store.expect_runs(chosen_.size()));
    // The next rows are made ready while the store takes these.
    const auto prepared = [this](std::size_t at) { return std::async([this, at] { return prepare(at); }); };
    std::future<Batch> next = prepared(0);
    for (std::size_t at = 0; at < chosen_.size(); at += kBatch) {
      const Batch batch = next.get();
      if (at + kBatch < chosen_.size()) next = prepared(at + kBatch);
      JOULERY_CHECK_OK(store.put_runs(batch.runs));
      for (const record::Evidence& row : batch.rows) JOULERY_CHECK_OK(store.put_evidence(row));
    }
    return {};
  }
  std::size_t most_runs() const override { return candidates_.size(); }

 private:
  static constexpr std::size_t kBatch = 1000;
  struct Batch {
    std::vector<record::Run> runs;
    std::vector<record::Evidence> rows;
  };

  Batch prepare(std::size_t from) const {
    Batch batch;
    for (std::size_t i = from; i < std::min(from + kBatch, chosen_.size()); ++i) {
      batch.runs.push_back(make_run(*chosen_[i]->row, chosen_[i]->figures, experiment_));
      batch.rows.push_back(evidence_of(*chosen_[i]->row, chosen_[i]->figures));
    }
    return batch;
  }

  /// Those that are new, and those that went on since. A run that was deleted stays deleted, and one that was
  /// metered here is known better than any file can tell.
  Status choose(record::Store& store) {
    std::vector<std::string> ids;
    ids.reserve(candidates_.size());
    for (const Candidate& each : candidates_) ids.push_back(each.figures.id);
    JOULERY_ASSIGN(const auto known, store.known_runs(ids, kDuration, kSourceTag));
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      const bool went_on = known[i] && !known[i]->deleted && known[i]->tag == kSource &&
                           known[i]->metric.value_or(-1) < candidates_[i].figures.seconds;
      if (known[i] && !went_on) {
        ++report_.unchanged;
        continue;
      }
      ++(known[i] ? report_.updated : report_.added);
      report_.run_ids.push_back(std::move(ids[i]));
      chosen_.push_back(&candidates_[i]);
    }
    return {};
  }

  const std::vector<Candidate>& candidates_;
  const std::string& experiment_;
  CodeCarbonImport& report_;
  std::vector<const Candidate*> chosen_;
};

}  // namespace

Result<record::Run> run_of_codecarbon_row(const CodeCarbonRow& row, const std::string& experiment) {
  JOULERY_ASSIGN(const Figures figures, read_figures(row));
  return make_run(row, figures, experiment);
}

Result<CodeCarbonImport> import_codecarbon(record::Store& store, const CodeCarbonFile& file,
                                           const std::string& experiment) {
  CodeCarbonImport report;
  report.problems = file.problems;
  ::tzset();
  std::vector<Candidate> candidates;
  candidates.reserve(file.rows.size());
  std::unordered_map<std::string, std::size_t> places;
  places.reserve(file.rows.size());
  for (const CodeCarbonRow& row : file.rows) {
    auto figures = read_figures(row);
    if (!figures) {
      report.problems.push_back({row.number, figures.error().message});
      continue;
    }
    report.realigned += row.realigned ? 1 : 0;
    const auto [place, fresh] = places.emplace(figures->id, candidates.size());
    if (fresh) {
      candidates.push_back({.row = &row, .figures = std::move(*figures)});
      continue;
    }
    ++report.superseded;
    Candidate& before = candidates[place->second];
    if (figures->seconds >= before.figures.seconds) before = {.row = &row, .figures = std::move(*figures)};
  }
  std::sort(report.problems.begin(), report.problems.end(),
            [](const auto& a, const auto& b) { return a.row < b.row; });
  // The store's indexes by id then grow at their end.
  std::sort(candidates.begin(), candidates.end(),
            [](const Candidate& a, const Candidate& b) { return a.figures.id < b.figures.id; });
  PutRuns put(candidates, experiment, report);
  JOULERY_CHECK_OK(store.transaction(put));
  return report;
}

}  // namespace joulery::app
