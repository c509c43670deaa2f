#include "app/bench_page.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "app/bench_chart.hpp"
#include "app/page_parts.hpp"
#include "app/report.hpp"
#include "base/text.hpp"
#include "stats/summary.hpp"

namespace joulery::app {
namespace {

template <class Unit>
ReportFigure report_figure(const Quantity<Unit>& quantity, const char* unit) {
  const Interval range = quantity.interval();
  return {.value = quantity.value(),
          .low = range.low,
          .high = range.high,
          .has_range = range.low < range.high,
          .confidence = range.is_confidence,
          .provenance = quantity.provenance(),
          .basis = quantity.basis(),
          .unit = unit};
}

void write_time_card(const char* label, const std::string& key, const std::optional<evaluate::Figure>& figure,
                     const std::string& remark, HtmlWriter& page) {
  open_card(label, page);
  if (!figure) {
    page.element("span", "unknown", {{"class", "value"}});
    return close_card("no block of calls was measured", page);
  }
  write_value(key, figure->value, format_duration(figure->value), "value", page);
  write_tag(figure->provenance, page);
  page.open("div");
  if (figure->has_interval) {
    page.text(fmt::format("between {} and {}", format_duration(figure->low), format_duration(figure->high)));
    page.element("span", fmt::format(" ({:.0f} % confidence interval)", 100 * figure->level),
                 {{"class", "soft small"}});
  } else {
    page.text("too few blocks for an interval");
  }
  page.close();
  close_card(remark, page);
}

void write_plain_card(const char* label, const std::string& key, double value, const std::string& shown,
                      const std::string& remark, HtmlWriter& page,
                      Provenance provenance = Provenance::measured) {
  open_card(label, page);
  write_value(key, value, shown, "value", page);
  write_tag(provenance, page);
  close_card(remark, page);
}

void write_energy_cards(const evaluate::InferenceEnergy& energy, const std::string& prefix,
                        HtmlWriter& page) {
  if (!energy.known) {
    open_card("Energy", page);
    page.element("span", "unknown", {{"class", "value"}});
    return close_card("no power was told or modelled", page);
  }
  write_card("Energy", prefix + "energy_per_inference_joules", report_figure(energy.total, "J"),
             "its share of idle included", page);
  write_card("Energy without idle", prefix + "energy_active_per_inference_joules",
             report_figure(energy.active, "J"), "what it adds to a machine that runs anyway", page);
  if (energy.machine_known)
    write_card("Energy of the whole machine", prefix + "energy_machine_per_inference_joules",
               report_figure(energy.machine, "J"), "all that was drawn meanwhile, other programs included",
               page);
  write_card("Carbon of the electricity", prefix + "carbon_per_inference_gco2e",
             report_figure(energy.carbon, "g"), "CO2 and other gases, as CO2e", page);
}

void write_cards(const ModelBenchOutcome& outcome, std::size_t side, HtmlWriter& page) {
  const evaluate::SubjectResult& result = outcome.measurement.subjects[side];
  const std::string prefix = side == 0 ? "" : "versus_";
  page.open("ul", {{"class", "cards"}});
  write_energy_cards(result.energy, prefix, page);
  write_time_card("CPU time", prefix + "cpu_seconds_per_inference", result.cpu_seconds,
                  "of the process that runs the engine", page);
  write_time_card(
      "Wall time", prefix + "wall_seconds_per_inference", result.wall_seconds,
      result.batch == 1 ? "of one call" : fmt::format("of a call, by its {} samples", result.batch), page);
  if (result.wall_seconds && result.wall_seconds->value > 0) {
    const double rate = 1 / result.wall_seconds->value;
    write_plain_card("Throughput", prefix + "throughput_per_second", rate, rate_text(rate),
                     "inferences, from the mean wall time", page, Provenance::derived);
  }
  write_plain_card("Memory", prefix + "peak_resident_bytes", result.peak_resident_bytes,
                   format_bytes(result.peak_resident_bytes), "most, of the engine\u2019s process", page);
  if (!result.cold_starts.empty()) {
    std::vector<double> wall;
    for (const evaluate::ColdStart& start : result.cold_starts) wall.push_back(start.wall_seconds);
    const double mean = stats::mean_interval(wall, outcome.protocol.level).mean;
    write_plain_card("Cold start", prefix + "cold_start_wall_seconds", mean, format_duration(mean),
                     fmt::format("from nothing to the first answer, mean of {}, files in the page cache",
                                 format_count(static_cast<double>(wall.size()), "starts")),
                     page);
  }
  page.close();
}

std::string ratio_text(double value, double low, double high) {
  return low < high ? fmt::format("{:.3g} ({:.3g} to {:.3g})", value, low, high)
                    : fmt::format("{:.3g}", value);
}

void write_ratio(const char* head, const char* key, const std::optional<evaluate::Figure>& ratio,
                 HtmlWriter& page) {
  if (!ratio) return write_row(head, {"unknown", ""}, page);
  page.open("tr").element("th", head, {{"scope", "row"}}).open("td", {{"class", "number"}});
  write_value(key, ratio->value, ratio_text(ratio->value, ratio->low, ratio->high), "", page);
  page.close().open("td");
  write_tag(ratio->provenance, page);
  page.text(ratio->has_interval
                ? fmt::format(" {:.0f} % confidence, pairs of blocks in turn", 100 * ratio->level)
                : " too few pairs for an interval");
  page.close().close();
}

void write_versus(const ModelBenchOutcome& outcome, HtmlWriter& page) {
  const evaluate::MeasurementResult& measured = outcome.measurement;
  page.element("h2", "B against A");
  open_table("B over A: below 1, B needs less", {"figure", "ratio", "known"}, page);
  write_ratio("CPU time", "cpu_seconds_ratio", measured.cpu_ratio, page);
  write_ratio("Wall time", "wall_seconds_ratio", measured.wall_ratio, page);
  if (measured.energy_ratio) {
    const Interval range = measured.energy_ratio->interval();
    page.open("tr").element("th", "Energy", {{"scope", "row"}}).open("td", {{"class", "number"}});
    write_value("energy_ratio", measured.energy_ratio->value(),
                ratio_text(measured.energy_ratio->value(), range.low, range.high), "", page);
    page.close().open("td");
    write_tag(measured.energy_ratio->provenance(), page);
    page.text(" what both rest on cancels").close().close();
  }
  close_table(page);
}

std::string cost_sentence(const ModelBenchOutcome& outcome, std::size_t side) {
  const evaluate::SubjectResult& result = outcome.measurement.subjects[side];
  const std::string name = bench_side_name(outcome, side);
  std::string text = name.empty() ? "An inference takes " : fmt::format("{}: an inference takes ", name);
  text += result.cpu_seconds ? fmt::format("{} of CPU time", format_duration(result.cpu_seconds->value))
                             : std::string("CPU time that is unknown");
  if (result.wall_seconds)
    text += fmt::format(", {} of wall time", format_duration(result.wall_seconds->value));
  if (result.energy.known)
    text += fmt::format(", and {} of electricity", figure_text(report_figure(result.energy.total, "J")));
  return text + ". ";
}

/// As the worst known of them is.
std::string times_sentence(const ModelBenchOutcome& outcome) {
  std::optional<Provenance> worst;
  for (const evaluate::SubjectResult& side : outcome.measurement.subjects) {
    for (const auto* figure : {&side.cpu_seconds, &side.wall_seconds})
      if (*figure) worst = std::max(worst.value_or((*figure)->provenance), (*figure)->provenance);
  }
  if (!worst) return "Times are unknown. ";
  return fmt::format(
      "Times are {}{}. ", provenance_name(*worst),
      *worst == Provenance::derived ? ": measured, and scaled to the machine\u2019s usual clock" : "");
}

std::string sure_sentence(const ModelBenchOutcome& outcome) {
  const evaluate::SubjectResult& first = outcome.measurement.subjects[0];
  std::string text = times_sentence(outcome);
  if (first.cpu_seconds && first.cpu_seconds->has_interval)
    text +=
        fmt::format("CPU time is known to \u00b1{:.1f} %. ", 100 * first.cpu_seconds->relative_half_width());
  if (first.energy.known) {
    text += fmt::format("Energy is {}: {}.", provenance_name(first.energy.total.provenance()),
                        range_text(report_figure(first.energy.total, "J")));
  } else {
    text += "Energy is unknown.";
  }
  if (outcome.data.synthetic) text += " The inputs are made up, which tells of speed only.";
  return text;
}

std::string worth_sentence(const ModelBenchOutcome& outcome) {
  std::string text;
  for (std::size_t i = 0; i < outcome.quality.size(); ++i) {
    const evaluate::Metric& primary = outcome.quality[i].primary;
    const std::string name = bench_side_name(outcome, i);
    text += fmt::format(
        "{}{} {:.4g}{} on {} samples. ", name.empty() ? "" : name + ": ", primary.name, primary.value,
        primary.method == "none" ? "" : fmt::format(" ({:.4g} to {:.4g})", primary.low, primary.high),
        outcome.quality[i].samples);
  }
  return text;
}

void write_short(const ModelBenchOutcome& outcome, HtmlWriter& page) {
  page.open("dl", {{"class", "short"}});
  page.element("dt", "What does it cost?").open("dd");
  for (std::size_t i = 0; i < outcome.subjects.size(); ++i) page.text(cost_sentence(outcome, i));
  page.close();
  page.element("dt", "How sure is that?").element("dd", sure_sentence(outcome));
  if (!outcome.quality.empty()) page.element("dt", "How good is it?").element("dd", worth_sentence(outcome));
  page.close();
  for (const meter::Warning& warning : outcome.warnings) {
    page.open("p", {{"class", "note"}}).element("b", "Careful: ").text(warning.text);
    if (!warning.hint.empty()) page.text(". ").element("span", warning.hint, {{"class", "soft"}});
    page.close();
  }
}

void write_latency(const ModelBenchOutcome& outcome, HtmlWriter& page) {
  page.element("h2", "Latency of a call");
  const auto& sides = outcome.measurement.subjects;
  write_latency_chart(sides, "latency", page);
  open_wide("Quantiles of the latency", page);
  open_table(
      fmt::format("Quantiles, with {:.0f} % confidence intervals; \u201cat most\u201d is MLPerf\u2019s "
                  "early-stopping bound, which holds with 99 % confidence",
                  100 * outcome.protocol.level),
      {"quantile", "seconds", "interval", "at most"}, page);
  for (std::size_t i = 0; i < sides.size(); ++i) {
    for (const LatencyFigure& figure : latency_figures(sides[i], outcome.protocol.level)) {
      const std::string quantile = fmt::format("p{:.0f}", 100 * figure.probability);
      page.open("tr").element("th", bench_side_name(outcome, i) + (sides.size() > 1 ? " " : "") + quantile,
                              {{"scope", "row"}});
      page.open("td", {{"class", "number"}});
      write_value(fmt::format("{}latency_{}_seconds", i == 0 ? "" : "versus_", quantile), figure.seconds,
                  format_duration(figure.seconds), "", page);
      page.close();
      page.element("td", figure.low && figure.high ? fmt::format("{} to {}", format_duration(*figure.low),
                                                                 format_duration(*figure.high))
                                                   : "too few calls");
      page.element("td", figure.bound_seconds ? format_duration(*figure.bound_seconds)
                                              : fmt::format("needs {} calls", figure.calls_needed));
      page.close();
    }
  }
  close_table(page);
  page.close();
}

void write_drift(const ModelBenchOutcome& outcome, HtmlWriter& page) {
  page.element("h2", "Over time");
  page.element(
      "p",
      "A slope or steps say that the machine changed while it was measured. The mean then depends "
      "on when it was looked at, and the interval is wide for a reason. Dots are blocks as they were; the "
      "line is the mean of what nothing else disturbed, so that dots far above it are blocks that "
      "something did.");
  std::vector<BlockSeries> cpu;
  std::vector<BlockSeries> wall;
  for (std::size_t i = 0; i < outcome.measurement.subjects.size(); ++i) {
    const evaluate::SubjectResult& side = outcome.measurement.subjects[i];
    const std::string name = outcome.subjects.size() == 1 ? "blocks" : bench_side_name(outcome, i);
    cpu.push_back({name, &side.cpu_blocks, side.cpu_seconds ? &*side.cpu_seconds : nullptr});
    wall.push_back({name, &side.wall_blocks, side.wall_seconds ? &*side.wall_seconds : nullptr});
  }
  write_block_chart(cpu, "CPU time per inference", "cpu", page);
  write_block_chart(wall, "Wall time per inference", "wall", page);
}

std::string threads_text(int threads) {
  return threads == 0 ? "the engine\u2019s own number" : fmt::format("{}", threads);
}

void write_settings(const ModelBenchOutcome& outcome, std::size_t side, HtmlWriter& page) {
  const SubjectFacts& facts = outcome.subjects[side];
  const evaluate::SubjectResult& result = outcome.measurement.subjects[side];
  const std::string name = bench_side_name(outcome, side);
  open_table(name.empty() ? "What was run" : fmt::format("What {} is", name), {"of", "value"}, page);
  write_row("model", {facts.model}, page);
  write_row("SHA-256", {facts.sha256}, page);
  write_row("size",
            {fmt::format("{}, {} parameters, opset {}", format_bytes(double(facts.file_bytes)),
                         facts.parameters, facts.opset)},
            page);
  write_row("multiply-adds", {facts.macs ? fmt::format("{} an inference", *facts.macs) : "unknown"}, page);
  write_row("engine", {fmt::format("{} {}", facts.engine.name, facts.engine.version)}, page);
  write_row("precision, threads, batch",
            {fmt::format("{}, {}, {}", engine::precision_name(facts.options.precision),
                         threads_text(facts.options.threads), result.batch)},
            page);
  for (const engine::EffectiveOption& option : result.effective_options)
    write_row("option " + option.name,
              {fmt::format("{} ({})", option.value, engine::known_name(option.known))}, page);
  write_row("measured",
            {fmt::format("{} calls in {} blocks of {} processes", result.calls,
                         result.cpu_blocks.values.size(), result.cpu_blocks.groups())},
            page);
  close_table(page);
}

void write_protocol(const ModelBenchOutcome& outcome, HtmlWriter& page) {
  const evaluate::Protocol& protocol = outcome.protocol;
  const evaluate::MeasurementResult& measured = outcome.measurement;
  const evaluate::Surroundings& around = measured.surroundings;
  open_table("How it was measured", {"of", "value"}, page);
  write_row("inputs",
            {outcome.data.synthetic ? std::string("made up")
                                    : fmt::format("{} ({})", outcome.data.path, outcome.data.format)},
            page);
  write_row(
      "arrivals",
      {fmt::format("{}{}", evaluate::arrivals_name(protocol.arrivals),
                   protocol.rate_hz > 0 ? fmt::format(", {:.4g} calls a second", protocol.rate_hz) : "")},
      page);
  write_row("ended",
            {fmt::format("{}, after {}", evaluate::ending_name(measured.ending),
                         format_duration(measured.seconds))},
            page);
  const evaluate::SpeedReport& speed = measured.speed;
  if (!speed.counts.empty()) {
    write_row("set aside",
              {speed.always_disturbed
                   ? std::string("nothing, though something else slowed the core nearly all the time")
                   : fmt::format("{:.3g} % of the time, in which something else slowed the core, with it {} "
                                 "of {} blocks as a whole",
                                 100 * (1 - speed.share), speed.disturbed, speed.counts.size())},
              page);
    write_row("clock of the core",
              {fmt::format("{}; times per inference are given at {}, the usual one here",
                           format_si(speed.hertz, "Hz"), format_si(speed.usual_hertz, "Hz"))},
              page);
  }
  write_row("other programs",
            {fmt::format("{} of CPU time meanwhile, {} taken by the hypervisor",
                         format_duration(around.other_busy_seconds), format_duration(around.steal_seconds))},
            page);
  if (around.highest_hertz > 0)
    write_row("clock of the CPUs",
              {fmt::format("{} to {}", format_si(around.lowest_hertz, "Hz"),
                           format_si(around.highest_hertz, "Hz"))},
              page);
  const evaluate::InferenceEnergy& energy = measured.subjects[0].energy;
  if (energy.known) {
    write_row("energy rests on", {energy.total.basis()}, page);
    write_row("idle rests on", {energy.idle_basis}, page);
    write_row("carbon rests on", {energy.carbon.basis()}, page);
  }
  write_row("run", {outcome.run_id}, page);
  write_row("started", {format_utc(outcome.start_utc_ns)}, page);
  close_table(page);
}

std::string title_of(const ModelBenchOutcome& outcome) {
  if (outcome.subjects.size() == 1) return "What \u201c" + outcome.subjects[0].name + "\u201d costs";
  return "\u201c" + outcome.subjects[0].name + "\u201d (A) and \u201c" + outcome.subjects[1].name +
         "\u201d (B)";
}

}  // namespace

std::string bench_side_name(const ModelBenchOutcome& outcome, std::size_t side) {
  if (outcome.subjects.size() == 1) return {};
  return side == 0 ? "A" : "B";
}

std::string bench_page(const ModelBenchOutcome& outcome) {
  HtmlWriter page;
  open_page(title_of(outcome), page, bench_chart_style());
  write_short(outcome, page);
  for (std::size_t i = 0; i < outcome.subjects.size(); ++i) {
    const std::string name = bench_side_name(outcome, i);
    page.element(
        "h2", name.empty() ? "What an inference costs" : fmt::format("What an inference of {} costs", name));
    write_cards(outcome, i, page);
  }
  if (outcome.subjects.size() == 2) write_versus(outcome, page);
  write_latency(outcome, page);
  write_drift(outcome, page);
  if (!outcome.quality.empty()) {
    page.element("h2", "Quality");
    write_bench_quality(outcome, page);
  }
  write_bench_details(outcome, page);
  page.element("h2", "What was measured, and how");
  for (std::size_t i = 0; i < outcome.subjects.size(); ++i) write_settings(outcome, i, page);
  write_protocol(outcome, page);
  page.element("h2", "What the marks say");
  write_tags_meaning(page);
  page.close();
  page.element(
      "footer",
      fmt::format("Written by joulery {}. This page needs no network and holds no program. A plausible "
                  "range says where the truth lies nine times in ten by what is known of models and "
                  "tables; only a confidence interval comes from repeating.",
                  version()));
  return page.finish();
}

}  // namespace joulery::app
