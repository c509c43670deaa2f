#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "app/comparison.hpp"
#include "app/documents.hpp"
#include "app/footprint_documents.hpp"
#include "app/power_profile.hpp"
#include "base/quantity.hpp"
#include "base/result.hpp"
#include "footprint/tables.hpp"
#include "record/store.hpp"

namespace joulery::app {

/// One figure as a report shows it.
struct ReportFigure {
  double value = 0;
  /// Both are `value` if no range is known.
  double low = 0;
  double high = 0;
  bool has_range = false;
  /// A range that sampling alone made.
  bool confidence = false;
  Provenance provenance = Provenance::measured;
  std::string basis;
  /// "J", "g", "l", "EUR".
  std::string unit;
};

/// A part of a whole, such as the idle energy of the machine's.
struct ReportPart {
  std::string label;
  std::string explanation;
  ReportFigure figure;
  /// Of the sum of the parts, 0 to 1.
  double share = 0;
  bool of_the_run = false;
};

struct ReportDevice {
  std::string id;
  std::string name;
  std::string via;
  /// Its place in the sum: "counted", "inside package 0", "mirror of …".
  std::string role;
  std::optional<ReportFigure> energy;
  std::optional<double> mean_watts;
  std::optional<double> peak_watts;
  /// Windows that were not read as usual: "3 bridged".
  std::string remarks;
};

/// A line of the power chart.
struct ReportSeries {
  std::string label;
  enum class Kind { machine, workload, device } kind = Kind::device;
  PowerProfile profile;
  /// The same in few stretches, for a table.
  std::vector<PowerPoint> rows;
};

/// Something that can be done, with what it brings by this run's own figures.
struct Advice {
  enum class Kind { saves, surer } kind = Kind::saves;
  /// "sensor", "zone" …; stable.
  std::string key;
  std::string title;
  /// Why, with numbers of this run.
  std::string text;
  /// What it brings: "saves 0 to 12 % of its energy: up to 0.35 J".
  std::string effect;
  /// A command that does it or tells more; empty if there is none.
  std::string command;
  /// Of the figure named (energy_joules, carbon_gco2e, embodied_gco2e), from 0 to 1. For `saves`.
  std::string figure;
  double share_low = 0;
  double share_high = 0;
  /// The range of the figure with it over that without, at best. For `surer`; 1: no range is narrowed.
  double range_factor = 1;
};

/// What a GPU's idle power came to in the run.
struct ReportGpu {
  std::string name;
  double idle_share_joules = 0;
  double idle_watts = 0;
  /// Of the run, at full use of the GPU.
  double busy_seconds = 0;
};

/// All that is said of one run.
struct RunReport {
  record::Run run;
  std::optional<record::Host> host;
  std::string command;
  /// "exit 0", "exit code 3", "killed by signal 9", "cut off".
  std::string end;
  bool failed = false;
  /// What can't be said, and why.
  std::vector<std::string> missing;
  std::vector<meter::Warning> warnings;

  std::optional<double> duration_seconds, cpu_seconds, busy_seconds, peak_memory_bytes, machine_cpus;
  std::optional<double> idle_watts, idle_watts_low, idle_watts_high;
  std::string attribution, attribution_can_miss, idle_policy, idle_basis;
  std::optional<ReportFigure> energy, carbon, water, embodied, cost;
  std::optional<ReportFigure> sci, energy_idle_share;
  /// Of SCI for AI, whose score is `sci`; empty unless it was asked for.
  std::string sci_ai_score, sci_ai_stages, sci_ai_rationale;
  std::string sci_unit, currency, zone, zone_name, intensity_kind;
  /// The whole machine was there for this run.
  bool reserved = false;
  std::optional<double> pue;
  std::optional<meter::FunctionalUnit> per;
  std::optional<ReportFigure> energy_per_unit;

  /// The machine's energy, and the water's.
  std::vector<ReportPart> split, water_parts;
  std::vector<ReportDevice> devices;
  std::vector<ReportGpu> gpus;
  std::vector<ReportSeries> power;
  std::vector<footprint::Derivation> derivations;
  std::vector<footprint::Equivalence> equivalences;
  /// With what they rest on, for the advice.
  std::optional<UncertainValue> energy_parts, carbon_parts;
  std::vector<Advice> advice;
};

struct Report {
  std::vector<RunReport> runs;
  /// The runs against each other, if they are two, or the two sides of a session.
  std::optional<Comparison> comparison;
  /// Means of the runs, if they are one series. Level 0.9.
  std::vector<SeriesMean> means;
  std::string generated_at;
  std::string version;
};

/// More would make a page that nobody reads.
constexpr std::size_t kMostReportedRuns = 50;

/// As find_named_runs; a name that several runs have stands for them if they are one series. User error for a
/// run that is not there, and for more than kMostReportedRuns.
Result<std::vector<record::Run>> find_reported_runs(record::Store& store,
                                                    const std::vector<std::string>& names);

/// What the record has of these runs. What is not there, or is damaged, is in `missing` and is no error.
Result<Report> make_report(record::Store& store, const footprint::DataSet& data,
                           const std::vector<record::Run>& runs, std::int64_t now_utc_ns);

/// Fills in what the run's document (docs/schemas/run.schema.json) tells, or what its metrics do.
void read_run_document(const std::string& document, RunReport& report);
void read_run_metrics(RunReport& report);

/// What would help by this run's own figures: what saves most first, then what narrows ranges most. Never
/// advice without a figure of the run behind it.
std::vector<Advice> find_advice(const footprint::DataSet& data, const RunReport& report);

/// One page that needs nothing else: no script, no network.
std::string report_page(const Report& report);
/// docs/schemas/report.schema.json
std::string report_document(const Report& report);

/// Shares in whole percent that add up to 100 if the shares do to 1: what rounding leaves over goes to those
/// that lost most by it.
std::vector<int> whole_percents(std::span<const ReportPart> parts);
/// "about 2.9 J": as many digits as the range bears. `exact` figures have three.
std::string figure_text(const ReportFigure& figure);
/// "between 1.0 J and 6.2 J"; empty if there is no range.
std::string range_text(const ReportFigure& figure);
/// A number of a unit with `digits` significant ones and an SI prefix where the unit takes one.
std::string amount_text(double value, const std::string& unit, int digits);

}  // namespace joulery::app
