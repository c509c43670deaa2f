#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/text.hpp"
#include "cli/bench_model.hpp"
#include "cli/text_table.hpp"
#include "cli/wrapping.hpp"
#include "stats/summary.hpp"

namespace joulery::cli {
namespace {

constexpr std::size_t kIndent = 2;

/// "1.94 ms ±0.6 %"
std::string figure_text(const std::optional<evaluate::Figure>& figure) {
  if (!figure) return "–";
  std::string text = format_duration(figure->value);
  if (figure->has_interval) text += fmt::format(" ±{:.1f} %", 100 * figure->relative_half_width());
  return text;
}

std::string figure_known(const std::optional<evaluate::Figure>& figure) {
  return figure ? provenance_name(figure->provenance) : "nothing was measured";
}

std::string in_turn(const std::optional<evaluate::Figure>& ratio) {
  return figure_known(ratio) + (ratio ? ", in turn" : "");
}

template <class Unit>
std::string quantity_text(bool known, const Quantity<Unit>& figure, const char* unit) {
  if (!known) return "unknown";
  const Interval range = figure.interval();
  const char* tilde = figure.provenance() == Provenance::measured ? "" : "~";
  return fmt::format("{}{} ({} … {})", tilde, format_si(figure.value(), unit), format_si(range.low, unit),
                     format_si(range.high, unit));
}

std::string big(std::uint64_t number) {
  return format_si(static_cast<double>(number), "");
}

std::string trimmed(std::string text) {
  while (text.ends_with(' ')) text.pop_back();
  return text;
}

/// A row of a figure, with a cell for each side.
template <class Cell>
void add_row(TextTable& table, const app::ModelBenchOutcome& outcome, const char* name,
             const std::string& known, Cell cell) {
  std::vector<std::string> row{name};
  for (std::size_t i = 0; i < outcome.subjects.size(); ++i) row.push_back(cell(i));
  row.push_back(known);
  table.push_back(std::move(row));
}

/// How a figure is known: once if all sides have it the same way, else of each.
template <class Known>
std::string known_of(const app::ModelBenchOutcome& outcome, Known known) {
  std::vector<std::string> ways;
  for (const evaluate::SubjectResult& side : outcome.measurement.subjects) ways.push_back(known(side));
  if (std::ranges::count(ways, ways[0]) == std::ssize(ways)) return ways[0];
  return fmt::format("{}", fmt::join(ways, " / "));
}

void add_time(TextTable& table, const app::ModelBenchOutcome& outcome, const char* name,
              std::optional<evaluate::Figure> evaluate::SubjectResult::* figure) {
  const auto& sides = outcome.measurement.subjects;
  add_row(table, outcome, name,
          known_of(outcome, [&](const evaluate::SubjectResult& side) { return figure_known(side.*figure); }),
          [&](std::size_t i) { return figure_text(sides[i].*figure); });
}

template <class Unit>
void add_energy(TextTable& table, const app::ModelBenchOutcome& outcome, const char* name,
                Quantity<Unit> evaluate::InferenceEnergy::* figure, const char* unit) {
  const auto& sides = outcome.measurement.subjects;
  const std::string how = known_of(outcome, [&](const evaluate::SubjectResult& side) -> std::string {
    if (side.calls == 0) return "nothing was measured";
    return side.energy.known ? provenance_name((side.energy.*figure).provenance()) : "no sensor and no model";
  });
  add_row(table, outcome, name, how,
          [&](std::size_t i) { return quantity_text(sides[i].energy.known, sides[i].energy.*figure, unit); });
}

TextTable cost_table(const app::ModelBenchOutcome& outcome) {
  const auto& subjects = outcome.measurement.subjects;
  TextTable table{{"per inference"}};
  for (std::size_t i = 0; i < subjects.size(); ++i) table[0].emplace_back(i == 0 ? "A" : "B");
  if (subjects.size() == 1) table[0][1] = "";
  table[0].emplace_back("how known");
  add_time(table, outcome, "CPU time", &evaluate::SubjectResult::cpu_seconds);
  add_time(table, outcome, "wall time", &evaluate::SubjectResult::wall_seconds);
  add_energy(table, outcome, "energy", &evaluate::InferenceEnergy::total, "J");
  add_energy(table, outcome, "  without idle", &evaluate::InferenceEnergy::active, "J");
  // Two sides draw it together.
  if (subjects.size() == 1)
    add_energy(table, outcome, "  whole machine", &evaluate::InferenceEnergy::machine, "J");
  add_energy(table, outcome, "carbon", &evaluate::InferenceEnergy::carbon, "g");
  return table;
}

TextTable speed_table(const app::ModelBenchOutcome& outcome) {
  const auto& subjects = outcome.measurement.subjects;
  TextTable table{{"latency of a call"}};
  for (std::size_t i = 0; i < subjects.size(); ++i)
    table[0].emplace_back(subjects.size() == 1 ? "" : i == 0 ? "A" : "B");
  table[0].emplace_back("at most (99 %)");
  std::vector<std::vector<app::LatencyFigure>> figures;
  for (const auto& subject : subjects)
    figures.push_back(app::latency_figures(subject, outcome.protocol.level));
  for (std::size_t quantile = 0; quantile < figures[0].size(); ++quantile) {
    std::string bounds;
    for (const auto& figure : figures) {
      if (quantile >= figure.size()) continue;
      const auto& bound = figure[quantile].bound_seconds;
      bounds +=
          (bounds.empty() ? "" : " / ") +
          (bound ? format_duration(*bound) : fmt::format("needs {} calls", figure[quantile].calls_needed));
    }
    std::vector<std::string> row{fmt::format("p{:.0f}", 100 * figures[0][quantile].probability)};
    for (const auto& figure : figures)
      row.push_back(quantile < figure.size() ? format_duration(figure[quantile].seconds) : "–");
    row.push_back(bounds);
    table.push_back(std::move(row));
  }
  add_row(table, outcome, "throughput", "inferences, from the mean wall time", [&](std::size_t i) {
    return subjects[i].wall_seconds && subjects[i].wall_seconds->value > 0
               ? app::rate_text(1 / subjects[i].wall_seconds->value)
               : std::string("–");
  });
  const auto cold = [&](std::size_t i, double evaluate::ColdStart::* part) {
    std::vector<double> values;
    for (const evaluate::ColdStart& start : subjects[i].cold_starts) values.push_back(start.*part);
    return format_duration(stats::mean_interval(values, outcome.protocol.level).mean);
  };
  add_row(table, outcome, "cold start", "to the first answer",
          [&](std::size_t i) { return cold(i, &evaluate::ColdStart::wall_seconds); });
  add_row(table, outcome, "  CPU time", "",
          [&](std::size_t i) { return cold(i, &evaluate::ColdStart::cpu_seconds); });
  add_row(table, outcome, "memory", "most, of the engine's process",
          [&](std::size_t i) { return format_bytes(subjects[i].peak_resident_bytes); });
  return table;
}

std::string metric_text(const evaluate::Metric& metric) {
  // As an AUC of samples of one class.
  if (!std::isfinite(metric.value)) return "–";
  if (metric.method == "none") return fmt::format("{:.4g}", metric.value);
  return fmt::format("{:.4g} ({:.4g} … {:.4g})", metric.value, metric.low, metric.high);
}

TextTable quality_table(const app::ModelBenchOutcome& outcome) {
  const auto& quality = outcome.quality;
  TextTable table{{fmt::format("quality ({})", quality[0].task)}};
  for (std::size_t i = 0; i < quality.size(); ++i)
    table[0].emplace_back(quality.size() == 1 ? "" : i == 0 ? "A" : "B");
  table[0].emplace_back("interval");
  for (const evaluate::Metric& metric : quality[0].metrics) {
    std::vector<std::string> row{metric.name};
    for (const evaluate::QualityReport& report : quality) {
      const evaluate::Metric* found = evaluate::find_metric(report, metric.name);
      row.push_back(found == nullptr ? "–" : metric_text(*found));
    }
    row.push_back(metric.method == "none" ? ""
                                          : fmt::format("{}, {:.0f} %", metric.method, 100 * metric.level));
    table.push_back(std::move(row));
  }
  return table;
}

TextTable slice_table(const evaluate::QualityReport& report) {
  TextTable table{{"slice", "samples", report.primary.name, ""}};
  constexpr std::size_t kMostSlices = 12;
  for (const evaluate::Slice& slice : report.slices) {
    if (table.size() > kMostSlices) break;
    table.push_back({fmt::format("{}={}", printable(slice.dimension), printable(slice.value)),
                     fmt::format("{}", slice.samples), metric_text(slice.metric),
                     slice.declared ? "declared" : "descriptive"});
  }
  return table;
}

/// One row for each way of spoiling, over its severities.
TextTable robustness_table(const app::RobustnessOutcome& robustness) {
  const evaluate::Robustness& figures = robustness.figures;
  TextTable table{{fmt::format("robustness ({})", robustness.kind), figures.clean.name, "worst",
                   "answers changed", "CPU time"}};
  table.push_back({"clean", fmt::format("{:.4g}", figures.clean.value), "", "",
                   format_duration(robustness.clean_cpu_seconds)});
  for (std::size_t first = 0; first < figures.rows.size();) {
    const std::string& name = figures.rows[first].perturbation.name;
    double sum = 0;
    double flips = 0;
    double most_cpu = 0;
    double worst = figures.rows[first].quality.value;
    std::size_t end = first;
    for (; end < figures.rows.size() && figures.rows[end].perturbation.name == name; ++end) {
      const evaluate::RobustnessRow& row = figures.rows[end];
      sum += row.quality.value;
      worst = row.quality.higher_is_better ? std::min(worst, row.quality.value)
                                           : std::max(worst, row.quality.value);
      flips += row.flip_rate ? row.flip_rate->value : 0;
      most_cpu = std::max(most_cpu, robustness.cpu_seconds[end]);
    }
    const auto rows = static_cast<double>(end - first);
    table.push_back({name, fmt::format("{:.4g}", sum / rows), fmt::format("{:.4g}", worst),
                     figures.rows[first].flip_rate ? fmt::format("{:.1f} %", 100 * flips / rows) : "–",
                     format_duration(most_cpu)});
    first = end;
  }
  return table;
}

constexpr std::size_t kShownOperators = 10;

TextTable operator_table(const app::Explanation& found, const evaluate::InferenceEnergy& energy) {
  TextTable table{{"where the time goes", "kernel", "in", "of a call", "share", "energy"}};
  const double total = found.precision.total_seconds;
  for (std::size_t i = 0; i < found.operators.size() && i < kShownOperators; ++i) {
    const engine::OperatorTime& one = found.operators[i];
    const double share = total > 0 ? one.seconds / total : 0;
    constexpr std::size_t kLongestName = 32;
    table.push_back({fmt::format("{} {}", printable(one.op_type), cut_to(printable(one.node), kLongestName)),
                     std::string(cut_to(printable(one.kernel), kLongestName)), printable(one.precision),
                     format_duration(found.calls > 0 ? one.seconds / double(found.calls) : 0),
                     fmt::format("{:.0f} %", 100 * share),
                     energy.known ? "~" + format_si(energy.active.value() * share, "J") : "–"});
  }
  return table;
}

std::vector<std::string> explanation_notes(const app::Explanation& found) {
  std::vector<std::string> notes;
  if (found.operators.size() > kShownOperators) {
    notes.push_back(
        fmt::format("{} more operators are in the JSON", found.operators.size() - kShownOperators));
  }
  const engine::PrecisionReport& precision = found.precision;
  if (!precision.requested.empty()) {
    notes.push_back(fmt::format(
        "{} of {} operators that are to run with fewer bits do so, {} do not, {} were merged or not found",
        precision.low, precision.requested.size(), precision.not_low,
        precision.requested.size() - precision.low - precision.not_low));
  }
  for (const meter::Warning& reason : found.reasons)
    notes.push_back(fmt::format("slow: {}{}{}", reason.text, reason.hint.empty() ? "" : "; ", reason.hint));
  return notes;
}

std::string subject_line(const app::SubjectFacts& facts, const evaluate::SubjectResult& result) {
  std::string text =
      fmt::format("{}: {}, {} parameters", printable(facts.name),
                  format_bytes(static_cast<double>(facts.file_bytes)), trimmed(big(facts.parameters)));
  text += facts.macs ? fmt::format(", {} MACs", trimmed(big(*facts.macs))) : ", MACs unknown";
  return text + fmt::format("; {} {}, {}, {}, batch {}", facts.engine.name, printable(facts.engine.version),
                            engine::precision_name(facts.options.precision),
                            facts.options.threads == 0 ? "engine's own number of threads"
                                                       : format_count(facts.options.threads, "threads"),
                            result.batch);
}

std::string ratio_text(const std::optional<evaluate::Figure>& figure) {
  if (!figure) return "–";
  if (!figure->has_interval) return fmt::format("{:.3f}", figure->value);
  return fmt::format("{:.3f} ({:.3f} … {:.3f})", figure->value, figure->low, figure->high);
}

TextTable comparison_table(const app::ModelBenchOutcome& outcome) {
  const evaluate::MeasurementResult& measured = outcome.measurement;
  TextTable table{{"B over A", "", "how known"}};
  table.push_back({"CPU time", ratio_text(measured.cpu_ratio), in_turn(measured.cpu_ratio)});
  table.push_back({"wall time", ratio_text(measured.wall_ratio), in_turn(measured.wall_ratio)});
  if (measured.energy_ratio) {
    const Interval range = measured.energy_ratio->interval();
    table.push_back(
        {"energy",
         fmt::format("{:.3f} ({:.3f} … {:.3f})", measured.energy_ratio->value(), range.low, range.high),
         provenance_name(measured.energy_ratio->provenance())});
  }
  return table;
}

/// All tables of the outcome, in order.
std::vector<TextTable> tables_of(const app::ModelBenchOutcome& outcome) {
  std::vector<TextTable> tables{cost_table(outcome)};
  if (outcome.subjects.size() == 2) tables.push_back(comparison_table(outcome));
  tables.push_back(speed_table(outcome));
  if (!outcome.quality.empty()) {
    tables.push_back(quality_table(outcome));
    if (!outcome.quality[0].slices.empty()) tables.push_back(slice_table(outcome.quality[0]));
  }
  for (const app::RobustnessOutcome& robustness : outcome.robustness)
    tables.push_back(robustness_table(robustness));
  for (std::size_t i = 0; i < outcome.explanations.size(); ++i) {
    tables.push_back(operator_table(outcome.explanations[i], outcome.measurement.subjects[i].energy));
  }
  return tables;
}

/// What the times per inference leave out; latencies and energy leave out nothing.
std::string speed_note(const evaluate::MeasurementResult& measured) {
  const evaluate::SpeedReport& speed = measured.speed;
  if (speed.counts.empty() || !measured.subjects[0].cpu_seconds_as_run) return "";
  std::string note;
  constexpr double kWorthTelling = 0.005;
  if (!speed.always_disturbed && speed.share < 1 - kWorthTelling)
    note = fmt::format("{:.3g} % of the time set aside, in which something else slowed the core",
                       100 * (1 - speed.share));
  if (speed.at_other_clock()) {
    note += fmt::format("{}times per inference are at {}, the usual clock here; it ran at {}",
                        note.empty() ? "" : "; ", format_si(speed.usual_hertz, "Hz"),
                        format_si(speed.hertz, "Hz"));
  }
  if (note.empty()) return note;
  return note + fmt::format("; CPU time of all blocks as they were: {}",
                            figure_text(measured.subjects[0].cpu_seconds_as_run));
}

std::vector<std::string> notes_of(const app::ModelBenchOutcome& outcome) {
  const evaluate::MeasurementResult& measured = outcome.measurement;
  std::vector<std::string> notes;
  const auto& first = measured.subjects[0];
  notes.push_back(fmt::format("{} in {} of {}, {}; ± and ranges of times: {:.0f} % confidence",
                              format_count(double(first.cpu_blocks.values.size()), "blocks"),
                              format_count(double(first.cpu_blocks.groups()), "processes"),
                              printable(first.label), evaluate::ending_name(measured.ending),
                              100 * outcome.protocol.level));
  if (const std::string note = speed_note(measured); !note.empty()) notes.push_back(note);
  if (outcome.protocol.arrivals != evaluate::Arrivals::closed_loop) {
    notes.push_back(
        fmt::format("arrivals: {}{}; latency counts from when a call ought to have begun",
                    evaluate::arrivals_name(outcome.protocol.arrivals),
                    outcome.protocol.rate_hz > 0 ? fmt::format(", {:.4g}/s", outcome.protocol.rate_hz) : ""));
  }
  if (outcome.data.synthetic) {
    notes.emplace_back("inputs: made up, which tells of speed only");
  } else {
    notes.push_back(fmt::format("inputs: {}{}{}", printable(outcome.data.path),
                                outcome.data.note.empty() ? "" : "; ", printable(outcome.data.note)));
  }
  if (first.energy.known) notes.push_back("energy: " + first.energy.total.basis());
  for (const app::RobustnessOutcome& robustness : outcome.robustness) {
    notes.push_back(fmt::format(
        "robustness: {} samples each of input '{}'; {}; mean over severities, CPU time the most; {} of "
        "energy in {}",
        robustness.samples, printable(robustness.input), robustness.note,
        robustness.energy_known ? "~" + format_si(robustness.energy.value(), "J") : "an unknown amount",
        format_duration(robustness.seconds)));
  }
  for (const app::Explanation& found : outcome.explanations) {
    for (std::string& note : explanation_notes(found)) notes.push_back(std::move(note));
  }
  if (!outcome.quality.empty() && outcome.quality[0].calibration) {
    const evaluate::Calibration& calibration = *outcome.quality[0].calibration;
    notes.push_back(fmt::format(
        "calibration: a model whose confidences are exactly right would show an error of {:.2g} on "
        "these samples, {:.2g} at most{}",
        calibration.expected_if_calibrated, calibration.bound_if_calibrated,
        calibration.temperature
            ? fmt::format("; dividing its logits by {:.3g} would calibrate it best", *calibration.temperature)
            : ""));
  }
  return notes;
}

}  // namespace

std::string model_bench_text(const app::ModelBenchOutcome& outcome, const Palette& colors,
                             std::size_t width) {
  std::string text;
  for (std::size_t i = 0; i < outcome.subjects.size(); ++i) {
    const std::string label = outcome.subjects.size() == 1 ? "" : i == 0 ? "A  " : "B  ";
    text += fmt::format("{}{}{}{}\n", colors.bold, label,
                        subject_line(outcome.subjects[i], outcome.measurement.subjects[i]), colors.reset);
  }
  for (const TextTable& table : tables_of(outcome)) text += "\n" + plain_table(table, colors);
  text += "\n";
  for (const std::string& note : notes_of(outcome)) text += wrapped(note, kIndent, width);
  for (const meter::Warning& warning : outcome.warnings) {
    text += fmt::format("{}{}{}", colors.yellow, wrapped("! " + printable(warning.text), kIndent, width),
                        colors.reset);
    if (!warning.hint.empty()) text += wrapped(printable(warning.hint), kIndent + 2, width);
  }
  return text + fmt::format("  {}run {}{}{}\n", colors.dim, outcome.run_id.substr(0, 12),
                            outcome.stored ? "" : " (not stored)", colors.reset);
}

std::string model_bench_markdown(const app::ModelBenchOutcome& outcome) {
  std::string text;
  for (std::size_t i = 0; i < outcome.subjects.size(); ++i) {
    const std::string label = outcome.subjects.size() == 1 ? "" : i == 0 ? "A: " : "B: ";
    text +=
        fmt::format("- {}{}\n", label, subject_line(outcome.subjects[i], outcome.measurement.subjects[i]));
  }
  for (const TextTable& table : tables_of(outcome)) text += "\n" + markdown_table(table);
  text += "\n";
  for (const std::string& note : notes_of(outcome)) text += "- " + note + "\n";
  for (const meter::Warning& warning : outcome.warnings)
    text += fmt::format("- **{}** {}\n", printable(warning.text), printable(warning.hint));
  return text;
}

}  // namespace joulery::cli
