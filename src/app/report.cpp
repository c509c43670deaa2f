#include "app/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "app/application.hpp"
#include "app/compared_run.hpp"
#include "app/named_runs.hpp"
#include "base/text.hpp"
#include "stats/summary.hpp"

namespace joulery::app {
namespace {

/// Points of a line where there is room, and rows of the table beside it.
constexpr std::size_t kMostPoints = 600;
constexpr std::size_t kTableRows = 12;
/// Lines that a chart can show; further devices are in the table of devices.
constexpr std::size_t kMostLines = 6;

std::string tag(const record::Run& run, const std::string& key) {
  const auto found = run.tags.find(key);
  return found == run.tags.end() ? "" : found->second;
}

std::size_t points_for(std::size_t runs) {
  return runs <= 4 ? kMostPoints : std::max<std::size_t>(100, 4 * kMostPoints / runs);
}

ReportSeries make_series(std::string label, ReportSeries::Kind kind,
                         std::span<const record::PowerSample> samples, std::int64_t start_ns,
                         std::size_t points) {
  return {.label = std::move(label),
          .kind = kind,
          .profile = profile_power(samples, start_ns, points),
          .rows = profile_power(samples, start_ns, kTableRows).points};
}

/// Devices that nothing contains. A run without a document has no better word for it.
bool is_counted(const record::Device& device, const std::set<std::string>& of_run,
                const std::vector<ReportDevice>& documented) {
  for (const ReportDevice& known : documented) {
    if (known.id == device.id) return known.role == "counted";
  }
  return device.parent_id.empty() || !of_run.contains(device.parent_id);
}

Status read_power(record::Store& store, std::size_t points, RunReport& report) {
  const record::Run& run = report.run;
  auto all = store.power_series(run.id);
  if (!all) {
    report.missing.push_back("power over time can't be read: " + all.error().message);
    return {};
  }
  JOULERY_ASSIGN(const std::vector<record::Device> devices, store.devices(run.host_id));
  std::set<std::string> of_run;
  for (const auto& series : *all) of_run.insert(series.device_id);
  std::vector<std::span<const record::PowerSample>> counted;
  std::string last_counted;
  std::vector<ReportSeries> lines;
  for (const record::Store::PowerSeries& series : *all) {
    if (series.samples.empty() || !record::energy_is_known(series, *all)) continue;
    const bool workload = series.device_id == record::kDerivedWorkloadDevice ||
                          series.device_id == record::kModelledWorkloadDevice;
    if (workload) {
      lines.insert(lines.begin(), make_series("this run", ReportSeries::Kind::workload, series.samples,
                                              run.start_boottime_ns, points));
      continue;
    }
    const auto device = std::find_if(devices.begin(), devices.end(),
                                     [&](const auto& each) { return each.id == series.device_id; });
    record::Device found = device != devices.end() ? *device : record::Device{};
    found.id = series.device_id;
    if (is_counted(found, of_run, report.devices)) {
      counted.emplace_back(series.samples);
      last_counted = found.name.empty() ? series.device_id : found.name;
    }
    lines.push_back(make_series(found.name.empty() ? series.device_id : found.name,
                                ReportSeries::Kind::device, series.samples, run.start_boottime_ns, points));
  }
  if (!counted.empty()) {
    const bool only_one = counted.size() == 1;
    const std::vector<record::PowerSample> sum =
        only_one ? std::vector<record::PowerSample>() : add_power(counted, run.start_boottime_ns);
    report.power.push_back(make_series("the whole machine", ReportSeries::Kind::machine,
                                       only_one ? counted.front() : std::span(sum), run.start_boottime_ns,
                                       points));
    // One device alone is the machine: it would be drawn twice.
    if (only_one) {
      std::erase_if(lines, [&](const ReportSeries& line) {
        return line.kind == ReportSeries::Kind::device && line.label == last_counted;
      });
    }
  }
  // The largest first: what there is no room for is in the table of devices.
  std::sort(lines.begin(), lines.end(), [](const ReportSeries& a, const ReportSeries& b) {
    return std::pair(a.kind, -a.profile.joules) < std::pair(b.kind, -b.profile.joules);
  });
  for (ReportSeries& line : lines) {
    if (report.power.size() < kMostLines) report.power.push_back(std::move(line));
  }
  if (report.power.empty())
    report.missing.emplace_back("there is no power over time: no sample was stored, or none told of energy");
  return {};
}

void tell_status(RunReport& report, bool has_document) {
  const record::Run& run = report.run;
  if (has_document) {
    if (run.status == record::RunStatus::killed && !report.failed) report.end = "was cut off";
    return;
  }
  if (tag(run, "joulery.source") == "codecarbon") {
    report.end = "was imported from CodeCarbon";
    report.missing.emplace_back(
        "CodeCarbon recorded this run: it keeps no range, no power over time, and nothing of how its figures "
        "came about");
  } else if (run.status == record::RunStatus::running) {
    report.end = "is still running, or its meter was killed and nothing has been recovered yet";
    report.missing.emplace_back("the run has not ended in the record: totals are not known yet");
  } else if (run.tags.contains("joulery.recovered") || run.status == record::RunStatus::killed) {
    report.end = "was cut off: its meter was killed";
    report.missing.emplace_back(
        "its meter was killed: figures are those of at most half a minute before, and how they came about "
        "was "
        "not kept");
  } else {
    report.end = fmt::format("ended as {}", record::run_status_name(run.status));
    report.missing.emplace_back(
        "another program logged this run: nothing is known of how its figures came about");
  }
  report.failed = run.status == record::RunStatus::failed;
}

Result<RunReport> make_run_report(record::Store& store, const footprint::DataSet& data,
                                  const record::Run& run, std::size_t points) {
  RunReport report;
  report.run = run;
  report.command = tag(run, "joulery.command");
  JOULERY_ASSIGN(report.host, store.host(run.host_id));
  JOULERY_ASSIGN(const std::vector<record::Evidence> evidence, store.evidence("run:" + run.id));
  const auto document = std::find_if(evidence.begin(), evidence.end(),
                                     [](const auto& one) { return one.type == "joulery/run"; });
  const bool has_document = document != evidence.end();
  if (has_document) {
    read_run_document(document->json, report);
  } else {
    read_run_metrics(report);
  }
  tell_status(report, has_document);
  if (const std::string damage = tag(run, "joulery.damaged"); !damage.empty())
    report.missing.push_back("the record of this run is damaged: " + damage);
  if (has_document) {
    // A derivation that can't be read is a gap of the page, not the end of it.
    if (auto why = why_report(data, run, evidence, ""); why) {
      report.derivations = std::move(why->derivations);
    } else {
      report.missing.push_back("how the figures came about can't be read: " + why.error().message);
    }
  }
  if (report.carbon) {
    if (auto found = footprint::equivalences(data, report.carbon->value))
      report.equivalences = std::move(*found);
  }
  const ComparedRun parts = compared_run(run, has_document ? document->json : "");
  if (report.energy) report.energy_parts = parts.energy;
  if (report.carbon) report.carbon_parts = parts.carbon;
  JOULERY_CHECK_OK(read_power(store, points, report));
  if (report.duration_seconds && *report.duration_seconds <= 0)
    report.missing.emplace_back("the run took no time that the clock could tell: power is not known");
  report.advice = find_advice(data, report);
  return report;
}

/// The two sides: of a session of `run --versus`, or of two runs, or of two names.
std::vector<std::vector<const record::Run*>> sides_of(const std::vector<record::Run>& runs) {
  const auto split_by = [&](const auto& key_of) {
    std::vector<std::pair<std::string, std::vector<const record::Run*>>> sides;
    for (const record::Run& run : runs) {
      const std::string key = key_of(run);
      auto side =
          std::find_if(sides.begin(), sides.end(), [&](const auto& each) { return each.first == key; });
      if (side == sides.end()) side = sides.insert(side, {key, {}});
      side->second.push_back(&run);
    }
    std::vector<std::vector<const record::Run*>> groups;
    for (auto& side : sides) groups.push_back(std::move(side.second));
    return groups;
  };
  const bool one_session = std::all_of(runs.begin(), runs.end(), [&](const record::Run& run) {
    return !tag(run, kVersusTag).empty() && tag(run, kVersusTag) == tag(runs.front(), kVersusTag);
  });
  if (one_session) return split_by([](const record::Run& run) { return tag(run, kVersusSideTag); });
  if (runs.size() == 2) return split_by([](const record::Run& run) { return run.id; });
  return split_by([](const record::Run& run) { return run.name; });
}

Result<RunGroup> make_group(record::Store& store, const std::vector<const record::Run*>& runs) {
  RunGroup group;
  group.label = runs.front()->name;
  for (const record::Run* run : runs) {
    if (run->status != record::RunStatus::finished) {
      group.left_out.push_back({run->id, to_lower(record::run_status_name(run->status))});
      continue;
    }
    JOULERY_ASSIGN(ComparedRun compared, load_compared_run(store, *run));
    group.runs.push_back(std::move(compared));
  }
  return group;
}

Status compare(record::Store& store, const std::vector<record::Run>& runs, Report& report) {
  auto sides = sides_of(runs);
  if (sides.size() != 2) return {};
  // A is what was run first, unless the session says which it is.
  if (tag(*sides[0].front(), kVersusSideTag) == "B") std::swap(sides[0], sides[1]);
  JOULERY_ASSIGN(RunGroup a, make_group(store, sides[0]));
  JOULERY_ASSIGN(RunGroup b, make_group(store, sides[1]));
  // Two sides of which one has nothing to compare are two runs beside each other.
  if (auto comparison = compare_groups(std::move(a), std::move(b), {}); comparison)
    report.comparison = std::move(*comparison);
  return {};
}

void find_means(Report& report) {
  const std::string series = tag(report.runs.front().run, kSeriesTag);
  if (series.empty() || report.runs.size() < 2) return;
  for (const RunReport& run : report.runs) {
    if (tag(run.run, kSeriesTag) != series) return;
  }
  const auto mean = [&](const char* key, const auto& value_of) {
    std::vector<double> values;
    SeriesMean mean{.key = key, .interval = {}, .left_out = 0, .provenance = {}, .basis = {}};
    Provenance weakest = Provenance::measured;
    for (const RunReport& run : report.runs) {
      const std::optional<double> value = run.failed ? std::nullopt : value_of(run, weakest);
      if (value) {
        values.push_back(*value);
      } else {
        ++mean.left_out;
      }
    }
    mean.interval = stats::mean_interval(values, 0.9);
    mean.provenance = provenance_name(weakest);
    report.means.push_back(std::move(mean));
  };
  using Value = std::optional<double>;
  mean("duration_seconds", [](const RunReport& run, Provenance&) { return run.duration_seconds; });
  mean("cpu_seconds", [](const RunReport& run, Provenance&) { return run.cpu_seconds; });
  const auto of_figure = [](const std::optional<ReportFigure>& figure, Provenance& weakest) -> Value {
    if (!figure) return std::nullopt;
    weakest = std::max(weakest, figure->provenance);
    return figure->value;
  };
  mean("energy_joules",
       [&](const RunReport& run, Provenance& weakest) { return of_figure(run.energy, weakest); });
  mean("carbon_gco2e",
       [&](const RunReport& run, Provenance& weakest) { return of_figure(run.carbon, weakest); });
}

}  // namespace

Result<std::vector<record::Run>> find_reported_runs(record::Store& store,
                                                    const std::vector<std::string>& names) {
  JOULERY_ASSIGN(std::vector<record::Run> runs, find_named_runs(store, names, SharedName::its_series));
  if (runs.size() > kMostReportedRuns) {
    return user_error(
        fmt::format("a page of more than {} runs would tell nobody anything", kMostReportedRuns),
        "name fewer, or see joulery compare and joulery export");
  }
  return runs;
}

Result<Report> make_report(record::Store& store, const footprint::DataSet& data,
                           const std::vector<record::Run>& runs, std::int64_t now_utc_ns) {
  Report report;
  report.generated_at = format_utc(now_utc_ns);
  report.version = version();
  for (const record::Run& run : runs) {
    JOULERY_ASSIGN(RunReport one, make_run_report(store, data, run, points_for(runs.size())));
    report.runs.push_back(std::move(one));
  }
  if (runs.size() > 1) {
    JOULERY_CHECK_OK(compare(store, runs, report));
    find_means(report);
  }
  return report;
}

}  // namespace joulery::app
