#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "app/bench_chart.hpp"
#include "app/bench_page.hpp"
#include "app/page_parts.hpp"

namespace joulery::app {
namespace {

/// More rows than anybody reads are left to the JSON.
constexpr std::size_t kMostRows = 60;

std::string interval_text(const evaluate::Metric& metric) {
  if (metric.method == "none") return "too few samples for an interval";
  return fmt::format("{:.4g} to {:.4g}, {:.0f} % confidence, {}", metric.low, metric.high, 100 * metric.level,
                     metric.method);
}

std::string number_text(const evaluate::Metric& metric) {
  // As an AUC of samples of one class.
  if (!std::isfinite(metric.value)) return "not defined";
  if (metric.method == "none") return fmt::format("{:.4g}", metric.value);
  return fmt::format("{:.4g} ({:.4g} to {:.4g})", metric.value, metric.low, metric.high);
}

void write_metrics(const ModelBenchOutcome& outcome, HtmlWriter& page) {
  const evaluate::QualityReport& first = outcome.quality[0];
  std::vector<std::string> columns{"figure"};
  for (std::size_t i = 0; i < outcome.quality.size(); ++i)
    columns.push_back(outcome.quality.size() == 1 ? "value" : bench_side_name(outcome, i));
  open_table(fmt::format("Quality on {} samples{}", first.samples,
                         first.groups > 0 ? fmt::format(" in {} groups", first.groups) : ""),
             columns, page);
  for (const evaluate::Metric& metric : first.metrics) {
    page.open("tr").open("th", {{"scope", "row"}, {"class", "long"}}).text(words_of(metric.name));
    page.element("div", metric.higher_is_better ? "more is better" : "less is better",
                 {{"class", "soft small"}});
    page.close();
    for (std::size_t i = 0; i < outcome.quality.size(); ++i) {
      const evaluate::Metric* found = evaluate::find_metric(outcome.quality[i], metric.name);
      page.open("td", {{"class", "number"}});
      if (found == nullptr) {
        page.text("not known");
      } else {
        write_value((i == 0 ? "" : "versus_") + found->name, found->value,
                    fmt::format("{:.4g}", found->value), "", page);
        page.element("div", interval_text(*found), {{"class", "soft small"}});
      }
      page.close();
    }
    page.close();
  }
  close_table(page);
}

void write_calibration(const ModelBenchOutcome& outcome, std::size_t side, HtmlWriter& page) {
  const evaluate::QualityReport& report = outcome.quality[side];
  if (!report.calibration) return;
  const evaluate::Calibration& calibration = *report.calibration;
  const std::string name = bench_side_name(outcome, side);
  page.element("h3", name.empty() ? "Is it as sure as it should be?"
                                  : fmt::format("{}: is it as sure as it should be?", name));
  std::string text = fmt::format(
      "Expected calibration error {}. A model whose confidences are exactly right would show {:.2g} on these "
      "samples on average, and {:.2g} at most in 95 of 100 cases.",
      number_text(calibration.equal_width), calibration.expected_if_calibrated,
      calibration.bound_if_calibrated);
  if (calibration.temperature)
    text += fmt::format(" Dividing its logits by {:.3g} would calibrate it best.", *calibration.temperature);
  page.element("p", text);
  write_calibration_chart(calibration, fmt::format("calibration{}", side), page);
}

void write_slices(const ModelBenchOutcome& outcome, std::size_t side, HtmlWriter& page) {
  const evaluate::QualityReport& report = outcome.quality[side];
  if (report.slices.empty()) return;
  const std::string name = bench_side_name(outcome, side);
  page.element("h3", name.empty() ? "Parts of the data" : fmt::format("{}: parts of the data", name));
  page.element("p",
               "A part that was not declared before the data were seen is descriptive: among many parts some "
               "look bad by chance.",
               {{"class", "soft small"}});
  open_wide("Parts of the data", page);
  open_table(report.primary.name + " by part", {"part", "samples", report.primary.name, "declared"}, page);
  for (std::size_t i = 0; i < std::min(report.slices.size(), kMostRows); ++i) {
    const evaluate::Slice& slice = report.slices[i];
    write_row(fmt::format("{} = {}", slice.dimension, slice.value),
              {fmt::format("{}", slice.samples), number_text(slice.metric), slice.declared ? "yes" : "no"},
              page);
  }
  close_table(page);
  page.close();
  if (report.slices.size() > kMostRows)
    page.element("p", fmt::format("and {} more, which the JSON has", report.slices.size() - kMostRows));
}

void write_classes(const ModelBenchOutcome& outcome, std::size_t side, HtmlWriter& page) {
  const evaluate::QualityReport& report = outcome.quality[side];
  if (report.classes.empty()) return;
  const std::string name = bench_side_name(outcome, side);
  page.open("details").element("summary", name.empty() ? "By class" : fmt::format("{}: by class", name));
  open_wide("By class", page);
  open_table("Of each class", {"class", "labelled", "predicted", "precision", "recall", "F1"}, page);
  for (std::size_t i = 0; i < std::min(report.classes.size(), kMostRows); ++i) {
    const evaluate::ClassFigures& one = report.classes[i];
    write_row(one.name,
              {fmt::format("{}", one.labelled), fmt::format("{}", one.predicted),
               fmt::format("{:.3f}", one.precision), fmt::format("{:.3f}", one.recall),
               fmt::format("{:.3f}", one.f1)},
              page);
  }
  close_table(page);
  page.close();
  if (report.classes.size() > kMostRows)
    page.element("p", fmt::format("and {} more, which the JSON has", report.classes.size() - kMostRows));
  page.close();
}

}  // namespace

void write_bench_quality(const ModelBenchOutcome& outcome, HtmlWriter& page) {
  const evaluate::QualityReport& first = outcome.quality[0];
  page.element("p", fmt::format("Task: {}. Outputs were taken for {}.", first.task,
                                first.interpretation.empty() ? "what they are" : first.interpretation));
  for (std::size_t i = 0; i < outcome.quality.size(); ++i) {
    if (outcome.quality[i].non_finite_samples == 0) continue;
    page.element("p",
                 fmt::format("{} {} of {} samples got an answer that is no number; they count as wrong.",
                             bench_side_name(outcome, i), outcome.quality[i].non_finite_samples,
                             outcome.quality[i].samples),
                 {{"class", "note bad"}});
  }
  write_metrics(outcome, page);
  for (std::size_t i = 0; i < outcome.quality.size(); ++i) {
    write_calibration(outcome, i, page);
    write_slices(outcome, i, page);
    write_classes(outcome, i, page);
  }
}

}  // namespace joulery::app
