#include "app/report_sections.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "app/page_parts.hpp"
#include "app/report_chart.hpp"
#include "base/text.hpp"

namespace joulery::app {
namespace {

using footprint::Derivation;
using footprint::Factor;

std::string range_or_nothing(const ReportFigure& figure) {
  std::string range = range_text(figure);
  if (!range.empty() || figure.has_range || figure.provenance == Provenance::measured) return range;
  return "its range is not known";
}

/// A figure with its exact value, range and tag.
void write_figure_row(const std::string& head, const char* key, const ReportFigure& figure,
                      const std::string& remark, HtmlWriter& page) {
  page.open("tr").open("th", {{"scope", "row"}}).text(head);
  if (!remark.empty()) page.element("div", remark, {{"class", "soft small"}});
  page.close().open("td", {{"class", "number"}});
  page.element("data", figure_text(figure),
               {{"value", fmt::format("{}", figure.value)}, {"data-figure", key}});
  page.element("div", range_or_nothing(figure), {{"class", "soft small"}}).close();
  page.open("td").element("span", provenance_name(figure.provenance),
                          {{"class", fmt::format("tag {}", provenance_name(figure.provenance))}});
  page.close().close();
}

void write_parts_table(const std::vector<ReportPart>& parts, const std::string& caption, HtmlWriter& page) {
  open_table(caption, {"part", "amount", "share"}, page);
  const std::vector<int> percents = whole_percents(parts);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const ReportPart& part = parts[i];
    page.open("tr").open("th", {{"scope", "row"}}).text(fmt::format("{}. {}", i + 1, part.label));
    page.element("div", part.explanation, {{"class", "soft small"}});
    page.close();
    page.open("td", {{"class", "number"}}).text(figure_text(part.figure));
    page.element("div", range_or_nothing(part.figure), {{"class", "soft small"}}).close();
    page.element("td", fmt::format("{} %", percents[i]), {{"class", "number"}}).close();
  }
  close_table(page);
}

/// "0.5 × 1.12 × 44.18 / 8".
std::string with_numbers(const Derivation& derivation) {
  const auto number_of = [&](const std::string& key) {
    for (const Factor& factor : derivation.factors) {
      if (factor.key == key) return fmt::format("{:.6g}", factor.value);
    }
    return std::string("?");
  };
  std::string text;
  for (const footprint::Term& term : derivation.terms) {
    if (!text.empty()) text += " + ";
    for (std::size_t i = 0; i < term.times.size(); ++i)
      text += (i == 0 ? "" : " \u00d7 ") + number_of(term.times[i]);
    for (const std::string& key : term.over) text += " / " + number_of(key);
  }
  return text;
}

void write_factor(const Factor& factor, HtmlWriter& page) {
  page.open("li").element("b", factor.label).text(fmt::format(": {:.6g} {}", factor.value, factor.unit));
  if (factor.low != factor.high) page.text(fmt::format(", {:.4g} to {:.4g}", factor.low, factor.high));
  page.text(", ").element("span", provenance_name(factor.provenance),
                          {{"class", fmt::format("tag {}", provenance_name(factor.provenance))}});
  if (!factor.basis.empty()) page.element("div", factor.basis, {{"class", "soft small"}});
  if (!factor.source.empty())
    page.element(
        "div",
        fmt::format("source: {}{}", factor.source, factor.year != 0 ? fmt::format(", {}", factor.year) : ""),
        {{"class", "soft small"}});
  page.close();
}

void write_derivation(const Derivation& derivation, HtmlWriter& page) {
  page.open("details").open("summary").element("b", derivation.label);
  page.text(fmt::format(": {:.4g} {}, {}", derivation.value, derivation.unit,
                        provenance_name(derivation.provenance)));
  page.close();
  page.element("p", fmt::format("{} = {}", derivation.label, derivation.words));
  page.open("ul");
  for (const Factor& factor : derivation.factors) write_factor(factor, page);
  page.close();
  page.open("p")
      .text("With the numbers: ")
      .element("code",
               fmt::format("{} = {:.6g} {}", with_numbers(derivation), derivation.value, derivation.unit));
  page.close().close();
}

void write_devices(const RunReport& run, HtmlWriter& page) {
  open_wide("Devices", page);
  open_table("What was read on this machine; only what is counted adds up to the whole",
             {"device", "energy", "mean and peak"}, page);
  for (const ReportDevice& device : run.devices) {
    page.open("tr").open("th", {{"scope", "row"}, {"class", "long"}}).text(device.name);
    page.element("div",
                 fmt::format("by {}; {}{}{}", device.via, device.role, device.remarks.empty() ? "" : "; ",
                             device.remarks),
                 {{"class", "soft small"}})
        .close();
    page.open("td");
    if (device.energy) {
      page.text(figure_text(*device.energy));
      page.element("div",
                   fmt::format("{}{}", provenance_name(device.energy->provenance),
                               range_text(*device.energy).empty() ? "" : ", " + range_text(*device.energy)),
                   {{"class", "soft small"}});
    } else {
      page.text("unknown");
    }
    page.close();
    std::string power = "unknown";
    if (device.mean_watts) {
      power = amount_text(*device.mean_watts, "W", 3);
      // A peak below the mean is none: sources that tell power only have none of their own.
      if (device.peak_watts.value_or(0) >= *device.mean_watts)
        power += ", " + amount_text(*device.peak_watts, "W", 3);
    }
    page.element("td", power);
    page.close();
  }
  close_table(page);
  page.close();
}

}  // namespace

void write_everyday(const RunReport& run, HtmlWriter& page) {
  if (!run.carbon || run.carbon->value <= 0) return;
  page.open("p");
  for (std::size_t i = 0; i < run.equivalences.size(); ++i) {
    page.text(i == 0 ? "The carbon of this run is that of " : ", or of ").text(run.equivalences[i].text);
  }
  if (!run.equivalences.empty()) page.text(". ");
  constexpr int kMany = 1000;
  page.text(fmt::format("{} such runs would emit {}", kMany, amount_text(run.carbon->value * kMany, "g", 2)));
  if (run.energy)
    page.text(fmt::format(" and use {} of electricity", amount_text(run.energy->value * kMany, "J", 2)));
  page.text(".").close();
  if (run.equivalences.empty()) return;
  page.open("p", {{"class", "soft small"}}).text("By ");
  for (std::size_t i = 0; i < run.equivalences.size(); ++i)
    page.text(fmt::format("{}{}", i == 0 ? "" : "; ", run.equivalences[i].source));
  page.text(".").close();
}

void write_where(const RunReport& run, const char* heading, HtmlWriter& page) {
  if (run.split.empty()) {
    page.element("p", run.energy ? "Into what the machine\u2019s energy divides was not kept of this run."
                                 : "Nothing can be divided: energy is unknown.");
  } else {
    int of_run = 0;
    const std::vector<int> percents = whole_percents(run.split);
    for (std::size_t i = 0; i < percents.size(); ++i) of_run += run.split[i].of_the_run ? percents[i] : 0;
    page.element(
        "p", fmt::format(
                 "While it ran, the machine as a whole drew energy for these. {} % of it is this run\u2019s.",
                 of_run));
    write_parts_bar(run.split, "The machine\u2019s energy", page);
    write_parts_table(run.split, "The machine\u2019s energy while the run lasted", page);
  }
  if (run.devices.empty()) return;
  page.element(heading, "By device");
  write_devices(run, page);
}

void write_footprint(const RunReport& run, HtmlWriter& page) {
  if (!run.carbon && !run.embodied && !run.water) {
    page.element("p", "Nothing of this is known for this run.");
    return;
  }
  open_table("What the run left behind", {"figure", "amount", "known"}, page);
  if (run.carbon)
    write_figure_row("Carbon of the electricity", "carbon_gco2e", *run.carbon, "emitted where power is made",
                     page);
  if (run.embodied)
    write_figure_row("Making the machine", "embodied_gco2e", *run.embodied,
                     "the run\u2019s share of its manufacture", page);
  if (run.sci)
    write_figure_row("Both together (SCI)", "sci_gco2e", *run.sci,
                     fmt::format("per {}, ISO/IEC 21031, energy of the {}",
                                 run.sci_unit.empty() ? "run" : singular(run.sci_unit),
                                 run.reserved ? "whole machine" : "run\u2019s share"),
                     page);
  if (run.sci && !run.sci_ai_score.empty()) {
    write_figure_row(fmt::format("SCI for AI, {} score", run.sci_ai_score), "sci_ai_gco2e", *run.sci,
                     fmt::format("per {}: {}{}{}", singular(run.sci_unit), run.sci_ai_stages,
                                 run.sci_ai_rationale.empty() ? "" : "; ", run.sci_ai_rationale),
                     page);
  }
  if (run.water)
    write_figure_row("Water", "water_litres", *run.water, "that evaporates, here and at power plants", page);
  const std::vector<int> water_percents = whole_percents(run.water_parts);
  for (std::size_t i = 0; i < run.water_parts.size(); ++i) {
    const ReportPart& part = run.water_parts[i];
    if (part.figure.value > 0)
      write_row("\u2013 " + part.label,
                {figure_text(part.figure) + (part.figure.has_range ? ", " + range_text(part.figure) : ""),
                 fmt::format("{} % of the water", water_percents[i])},
                page);
  }
  close_table(page);
  if (run.carbon && run.embodied && run.carbon->value + run.embodied->value > 0) {
    const double all = run.carbon->value + run.embodied->value;
    const std::vector<ReportPart> parts = {{.label = "electricity",
                                            .explanation = {},
                                            .figure = *run.carbon,
                                            .share = run.carbon->value / all,
                                            .of_the_run = true},
                                           {.label = "making the machine",
                                            .explanation = {},
                                            .figure = *run.embodied,
                                            .share = run.embodied->value / all,
                                            .of_the_run = true}};
    write_parts_bar(parts, "Carbon", page);
    const std::vector<int> percents = whole_percents(parts);
    page.element(
        "p",
        fmt::format("1. Electricity {} %, 2. making the machine {} %. Carbon above is of electricity alone.",
                    percents[0], percents[1]),
        {{"class", "soft small"}});
  }
}

void write_known(const RunReport& run, HtmlWriter& page) {
  write_tags_meaning(page);
  if (!run.attribution.empty()) {
    page.open("p").text(fmt::format("The run was told apart from other programs by: {}.", run.attribution));
    if (!run.attribution_can_miss.empty())
      page.text(fmt::format(" That can miss {}.", run.attribution_can_miss));
    page.close();
  }
  if (run.idle_watts) {
    std::string idle =
        fmt::format("Idle power is taken as {} ({})", amount_text(*run.idle_watts, "W", 3), run.idle_basis);
    if (run.idle_watts_low && run.idle_watts_high && *run.idle_watts_low < *run.idle_watts_high)
      idle += fmt::format("; it may be {} to {}", amount_text(*run.idle_watts_low, "W", 2),
                          amount_text(*run.idle_watts_high, "W", 2));
    page.element("p", idle + ".");
  }
  if (run.derivations.empty())
    page.element("p", "How energy, carbon and the rest came about was not kept of this run.");
  for (const Derivation& derivation : run.derivations) write_derivation(derivation, page);
}

void write_advice(const RunReport& run, const char* heading, HtmlWriter& page) {
  if (run.advice.empty()) {
    page.element("p", "Nothing in this run\u2019s figures calls for anything.");
    return;
  }
  page.element("p", "Savings of several of these don\u2019t add up: some save the same joules.");
  page.open("ol", {{"class", "advice"}});
  for (const Advice& advice : run.advice) {
    page.open("li", {{"data-advice", advice.key}}).element(heading, advice.title);
    page.element(
        "p", fmt::format("{}: {}.", advice.kind == Advice::Kind::saves ? "Cheaper" : "Surer", advice.effect),
        {{"class", "effect"}});
    page.element("p", advice.text);
    if (!advice.command.empty()) page.open("p").element("code", advice.command).close();
    page.close();
  }
  page.close();
}

void write_about(const RunReport& run, HtmlWriter& page) {
  page.open("table").open("tbody");
  write_row("run", {run.run.id}, page);
  if (!run.command.empty()) write_row("command", {run.command}, page);
  write_row("end", {run.end}, page);
  write_row("started", {format_utc(run.run.start_utc_ns)}, page);
  write_row("experiment", {run.run.experiment}, page);
  if (!run.run.user.empty()) write_row("by", {run.run.user}, page);
  if (run.host)
    write_row("machine",
              {fmt::format("{}: {}, {} threads, {} memory, {}{}", run.host->name, run.host->cpu_model,
                           run.host->cpu_threads, format_bytes(run.host->memory_bytes), run.host->os,
                           run.host->virtual_machine ? ", virtual" : "")},
              page);
  if (run.peak_memory_bytes && *run.peak_memory_bytes > 0)
    write_row("peak memory", {format_bytes(*run.peak_memory_bytes)}, page);
  for (const auto& [key, value] : run.run.tags) {
    if (key.starts_with("joulery.") || key.starts_with("mlflow.")) continue;
    write_row("tag " + key, {value}, page);
  }
  close_table(page);
}

void write_summary_table(const Report& report, HtmlWriter& page) {
  open_wide("Runs side by side", page);
  open_table("Each run; ranges in brackets", {"run", "end", "wall time", "CPU time", "energy", "carbon"},
             page);
  for (std::size_t i = 0; i < report.runs.size(); ++i) {
    const RunReport& run = report.runs[i];
    const auto seconds = [](const std::optional<double>& value) {
      return value ? format_duration(*value) : "unknown";
    };
    const auto figure = [&](const std::optional<ReportFigure>& value) {
      if (!value) return std::string("unknown");
      return fmt::format("{}, {}{}", figure_text(*value), provenance_name(value->provenance),
                         range_text(*value).empty() ? "" : " (" + range_text(*value) + ")");
    };
    page.open("tr").open("th", {{"scope", "row"}, {"class", "long"}});
    page.element("a", fmt::format("{}. {}", i + 1, run.run.name), {{"href", fmt::format("#run{}", i + 1)}})
        .close();
    page.element("td", run.end)
        .element("td", seconds(run.duration_seconds))
        .element("td", seconds(run.cpu_seconds));
    page.element("td", figure(run.energy)).element("td", figure(run.carbon)).close();
  }
  close_table(page);
  page.close();
}

void write_comparison(const Comparison& comparison, HtmlWriter& page) {
  page.element("h3", fmt::format("A (\u201c{}\u201d) against B (\u201c{}\u201d)", comparison.a.label,
                                 comparison.b.label));
  page.open("ul");
  for (const FigureComparison& figure : comparison.figures) {
    page.open("li").element("b", figure.label).text(": " + figure.text);
    if (figure.repeated)
      page.text(fmt::format(". B / A = {:.3g}{}, {}.", figure.repeated->ratio,
                            figure.range && figure.range->low < figure.range->high
                                ? fmt::format(" ({:.3g} to {:.3g})", figure.range->low, figure.range->high)
                                : "",
                            provenance_name(figure.provenance)));
    page.close();
  }
  page.close();
  for (const meter::Warning& warning : comparison.warnings)
    page.open("p", {{"class", "note"}})
        .element("b", "Careful: ")
        .text(warning.text)
        .text(warning.hint.empty() ? "" : ". " + warning.hint)
        .close();
}

void write_means(const Report& report, HtmlWriter& page) {
  static constexpr std::array<std::array<const char*, 3>, 4> kLabels = {
      {{"duration_seconds", "wall time", "s"},
       {"cpu_seconds", "CPU time", "s"},
       {"energy_joules", "energy", "J"},
       {"carbon_gco2e", "carbon", "g"}}};
  page.element("h3", "The series as a whole");
  open_table(
      "Means over the runs that went through, with 90 % confidence intervals: scatter only, not what a model "
      "may be off by",
      {"figure", "mean", "interval", "runs"}, page);
  for (const SeriesMean& mean : report.means) {
    const auto label =
        std::find_if(kLabels.begin(), kLabels.end(), [&](const auto& each) { return mean.key == each[0]; });
    if (label == kLabels.end() || mean.interval.count == 0) continue;
    const std::string unit = (*label)[2];
    write_row(
        (*label)[1],
        {fmt::format("{}, {}", amount_text(mean.interval.mean, unit, 3), mean.provenance),
         mean.interval.count < 2 ? "not known of one run"
                                 : fmt::format("between {} and {}", amount_text(mean.interval.low, unit, 3),
                                               amount_text(mean.interval.high, unit, 3)),
         fmt::format("{}", mean.interval.count)},
        page);
  }
  close_table(page);
}

}  // namespace joulery::app
