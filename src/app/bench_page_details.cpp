#include <fmt/format.h>

#include <algorithm>

#include "app/bench_page.hpp"
#include "app/page_parts.hpp"
#include "base/text.hpp"

namespace joulery::app {
namespace {

constexpr std::size_t kMostOperators = 30;

std::string of_side(const ModelBenchOutcome& outcome, std::size_t side) {
  const std::string name = bench_side_name(outcome, side);
  return name.empty() ? "" : name + ": ";
}

std::string share_text(double share) {
  return fmt::format("{:.1f} %", 100 * share);
}

void write_robustness(const ModelBenchOutcome& outcome, std::size_t side, HtmlWriter& page) {
  const RobustnessOutcome& robustness = outcome.robustness[side];
  const evaluate::Robustness& figures = robustness.figures;
  page.element(
      "p", fmt::format("{}{} samples of input '{}' were spoiled in every way that suits {}; {}. {} in {}.",
                       of_side(outcome, side), robustness.samples, printable(robustness.input),
                       robustness.kind, robustness.note,
                       robustness.energy_known
                           ? "The engine used " + format_si(robustness.energy.value(), "J") + " for it"
                           : std::string("It took an unknown energy"),
                       format_duration(robustness.seconds)));
  open_wide("robustness", page);
  open_table(fmt::format("{}{} of {} clean samples: {:.4g}", of_side(outcome, side), figures.clean.name,
                         robustness.samples, figures.clean.value),
             {"spoiled by", "severity", figures.clean.name, "loss", "answers changed", "CPU time"}, page);
  for (std::size_t i = 0; i < figures.rows.size(); ++i) {
    const evaluate::RobustnessRow& row = figures.rows[i];
    write_row(words_of(row.perturbation.name),
              {row.perturbation.severity == 0 ? "" : fmt::format("{}", row.perturbation.severity),
               fmt::format("{:.4g}", row.quality.value),
               fmt::format("{:.3g} ({:.3g} to {:.3g})", row.loss.value, row.loss.low, row.loss.high),
               row.flip_rate ? share_text(row.flip_rate->value) : "",
               i < robustness.cpu_seconds.size() ? format_duration(robustness.cpu_seconds[i]) : ""},
              page);
  }
  close_table(page);
  page.close();
}

void write_explanation(const ModelBenchOutcome& outcome, std::size_t side, HtmlWriter& page) {
  const Explanation& found = outcome.explanations[side];
  const evaluate::InferenceEnergy& energy = outcome.measurement.subjects[side].energy;
  const double total = found.precision.total_seconds;
  const engine::PrecisionReport& precision = found.precision;
  if (!precision.requested.empty()) {
    page.element(
        "p",
        fmt::format("{}{} of {} operators that are to run with fewer bits do so; {} do not, {} were merged "
                    "or not found. Changes of type or layout take {} of the time.",
                    of_side(outcome, side), precision.low, precision.requested.size(), precision.not_low,
                    precision.requested.size() - precision.low - precision.not_low,
                    share_text(total > 0 ? precision.boundary_seconds / total : 0)));
  }
  for (const meter::Warning& reason : found.reasons)
    page.element("p", fmt::format("{}{}.", printable(reason.text),
                                  reason.hint.empty() ? "" : ": " + printable(reason.hint)));
  open_wide("operators", page);
  open_table(fmt::format("{}the operators that take longest, of {}; energy by their share of the time",
                         of_side(outcome, side), found.operators.size()),
             {"operator", "kernel", "in", "of a call", "share", "energy"}, page);
  for (std::size_t i = 0; i < found.operators.size() && i < kMostOperators; ++i) {
    const engine::OperatorTime& one = found.operators[i];
    const double share = total > 0 ? one.seconds / total : 0;
    write_row(fmt::format("{} {}", printable(one.op_type), printable(one.node)),
              {printable(one.kernel), printable(one.precision),
               format_duration(found.calls > 0 ? one.seconds / static_cast<double>(found.calls) : 0),
               share_text(share), energy.known ? "~" + format_si(energy.active.value() * share, "J") : ""},
              page);
  }
  close_table(page);
  page.close();
}

}  // namespace

void write_bench_details(const ModelBenchOutcome& outcome, HtmlWriter& page) {
  if (!outcome.robustness.empty()) page.element("h2", "Spoiled inputs");
  for (std::size_t i = 0; i < outcome.robustness.size(); ++i) write_robustness(outcome, i, page);
  if (!outcome.explanations.empty()) page.element("h2", "Where the time goes");
  for (std::size_t i = 0; i < outcome.explanations.size(); ++i) write_explanation(outcome, i, page);
}

}  // namespace joulery::app
