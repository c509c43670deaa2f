#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "app/html_writer.hpp"
#include "app/page_parts.hpp"
#include "app/report.hpp"
#include "app/report_chart.hpp"
#include "app/report_sections.hpp"
#include "base/text.hpp"

namespace joulery::app {
namespace {

/// Headings of a run: one level lower where the page has several.
struct Level {
  const char* section;
  const char* item;
};

void write_time_card(const char* label, const char* key, double seconds, const std::string& remark,
                     bool measured, HtmlWriter& page) {
  open_card(label, page);
  write_value(key, seconds, format_duration(seconds), "value", page);
  write_tag(measured ? Provenance::measured : Provenance::assumed, page);
  close_card(remark, page);
}

void write_unknown_card(const char* label, const std::string& why, HtmlWriter& page) {
  open_card(label, page);
  page.element("span", "unknown", {{"class", "value"}});
  close_card(why, page);
}

std::string money_text(double value, const std::string& currency) {
  constexpr double kSmallestCoin = 0.01;
  if (value > 0 && value < kSmallestCoin) return "less than 0.01 " + currency;
  return amount_text(value, currency, value < 100 ? 2 : 3);
}

void write_cost_cards(const RunReport& run, HtmlWriter& page) {
  const bool ours = !run.run.tags.contains("joulery.source");
  page.open("ul", {{"class", "cards"}});
  if (run.energy) {
    write_card("Energy", "energy_joules", *run.energy, "electricity of this run, its share of idle included",
               page);
  } else {
    write_unknown_card("Energy", "no power was told or modelled", page);
  }
  if (run.carbon) {
    write_card("Carbon of the electricity", "carbon_gco2e", *run.carbon,
               run.zone_name.empty() ? "CO2 and other gases, as CO2e"
               : run.zone == "WORLD" ? "CO2e; place unknown, so the world\u2019s average"
                                     : "CO2e, electricity of " + run.zone_name,
               page);
  } else {
    write_unknown_card("Carbon", "it follows from energy", page);
  }
  if (run.cost) {
    ReportFigure cost = *run.cost;
    open_card("Money for electricity", page);
    write_value("cost", cost.value, money_text(cost.value, run.currency), "value", page);
    write_tag(cost.provenance, page);
    page.element("div", fmt::format("{}: {}", amount_text(cost.value, run.currency, 2), range_text(cost)),
                 {{"class", "small"}});
    page.close();
  }
  if (run.duration_seconds)
    write_time_card("Wall time", "duration_seconds", *run.duration_seconds, "from start to end", ours, page);
  if (run.cpu_seconds) {
    std::string use = "of all its processes";
    if (run.duration_seconds && *run.duration_seconds > 0 && run.machine_cpus)
      use += fmt::format(": {:.2f} of {:.0f} CPUs on average", *run.cpu_seconds / *run.duration_seconds,
                         *run.machine_cpus);
    write_time_card("CPU time", "cpu_seconds", *run.cpu_seconds, use, ours, page);
  }
  if (run.energy_per_unit && run.per)
    write_card("Energy per unit", "energy_per_unit_joules", *run.energy_per_unit,
               run.per->count == 1 ? "of " + format_count(1, run.per->unit)
                                   : "one of " + format_count(run.per->count, run.per->unit),
               page);
  page.close();
}

/// How many times more or less than shown the truth may be; infinite if that is not known.
struct Doubt {
  double less = INFINITY;
  double more = INFINITY;
  double most() const { return std::max(less, more); }
};

Doubt doubt_of(const ReportFigure& figure) {
  if (!figure.has_range || figure.value <= 0) return {};
  return {.less = figure.low > 0 ? figure.value / figure.low : INFINITY, .more = figure.high / figure.value};
}

/// "Rough: it may be up to 2.9 times less or 2.1 times more."
std::string sureness(const ReportFigure& figure) {
  const Doubt doubt = doubt_of(figure);
  if (!std::isfinite(doubt.more)) return "How far it may be off is not known.";
  if (doubt.most() < 1.0005) return "No range: it is taken as it is.";
  if (doubt.most() <= 1.5) {
    return fmt::format("{}: within \u2212{:.0f} and +{:.0f} %.", doubt.most() <= 1.1 ? "Sure" : "Fairly sure",
                       std::ceil(100 * (1 - 1 / doubt.less)), std::ceil(100 * (doubt.more - 1)));
  }
  return fmt::format(
      "{}: the truth may be {} or {:.2g} times more.",
      doubt.most() <= 4 ? "Rough" : "Only its order of magnitude",
      std::isfinite(doubt.less) ? fmt::format("up to {:.2g} times less", doubt.less) : "nothing", doubt.more);
}

std::string cost_sentence(const RunReport& run) {
  std::string text = "The run " + run.end + ".";
  // Nobody wrote down what it used after its meter was killed.
  const char* least = run.run.tags.contains("joulery.recovered") ? "at least " : "";
  if (run.energy) {
    text += fmt::format(" It used {}{} of electricity", least, figure_text(*run.energy));
    if (run.carbon) text += fmt::format(", which emitted {} of CO2e", figure_text(*run.carbon));
    if (run.cost) text += fmt::format(" and cost {}", money_text(run.cost->value, run.currency));
    text += ".";
  } else {
    text += " How much electricity it used is unknown.";
  }
  if (run.duration_seconds)
    text += fmt::format(" It took {}{}", least, format_duration(*run.duration_seconds));
  if (run.duration_seconds && run.cpu_seconds)
    text += fmt::format(", and {} of CPU time", format_duration(*run.cpu_seconds));
  if (run.duration_seconds) text += ".";
  return text;
}

std::string sure_sentence(const RunReport& run) {
  const bool ours = !run.run.tags.contains("joulery.source");
  std::string text;
  if (run.duration_seconds)
    text = ours ? "The times are measured. " : "The times are as another program told them. ";
  if (run.energy) {
    text += fmt::format("Energy is {}. {} ", provenance_name(run.energy->provenance), sureness(*run.energy));
    if (const std::string range = range_text(*run.energy); !range.empty())
      text += fmt::format("It lies {}. ", range);
  }
  if (run.carbon)
    text += fmt::format("Carbon is {}. {}", provenance_name(run.carbon->provenance), sureness(*run.carbon));
  if (!run.missing.empty()) text += " What is missing stands below.";
  return text.empty() ? "Nothing was measured that could be sure or not." : text;
}

void write_short(const RunReport& run, HtmlWriter& page) {
  page.open("dl", {{"class", "short"}});
  page.element("dt", "What did it cost?").open("dd").text(cost_sentence(run));
  if (!run.equivalences.empty() && run.carbon && run.carbon->value > 0)
    page.text(fmt::format(" The carbon compares with {}.", run.equivalences.front().text));
  page.close();
  page.element("dt", "How sure is that?").element("dd", sure_sentence(run));
  page.element("dt", "What should I do?").open("dd");
  bool any = false;
  for (const Advice::Kind kind : {Advice::Kind::saves, Advice::Kind::surer}) {
    for (const Advice& advice : run.advice) {
      if (advice.kind != kind) continue;
      page.text(fmt::format("{}{}: {}.", any ? " " : "", advice.title, advice.effect));
      any = true;
      break;
    }
  }
  if (!any) page.text("Nothing in this run\u2019s figures calls for anything.");
  page.close().close();
}

void write_notes(const RunReport& run, HtmlWriter& page) {
  if (run.failed)
    page.element("p", fmt::format("This run {}. What it cost stands here all the same.", run.end),
                 {{"class", "note bad"}});
  for (const std::string& missing : run.missing)
    page.open("p", {{"class", "note"}}).element("b", "Missing: ").text(missing).close();
  for (const meter::Warning& warning : run.warnings) {
    page.open("p", {{"class", "note"}}).element("b", "Careful: ").text(warning.text);
    if (!warning.hint.empty()) page.text(". ").element("span", warning.hint, {{"class", "soft"}});
    page.close();
  }
}

void write_run(const RunReport& run, const Level& level, const std::string& id, HtmlWriter& page) {
  write_short(run, page);
  write_notes(run, page);
  page.element(level.section, "What it cost");
  write_cost_cards(run, page);
  write_everyday(run, page);
  page.element(level.section, "Power over time");
  if (run.power.empty()) {
    page.element("p", "No power over time is known of this run.");
  } else {
    write_power_chart(run.power, id + "-power", page);
  }
  page.element(level.section, "Where it went");
  write_where(run, level.item, page);
  page.element(level.section, "Carbon, water and the making of the machine");
  write_footprint(run, page);
  page.element(level.section, "How each figure is known");
  write_known(run, page);
  page.element(level.section, "What would help, and by how much");
  write_advice(run, level.item, page);
  page.element(level.section, "About this run");
  write_about(run, page);
}

std::string title_of(const Report& report) {
  if (report.runs.size() == 1) return "What \u201c" + report.runs.front().run.name + "\u201d cost";
  return fmt::format("What {} runs cost", report.runs.size());
}

std::string short_id(const RunReport& run) {
  return run.run.id.substr(0, 12);
}

/// The run that used most; null if it is known of none.
const RunReport* costliest(const Report& report) {
  const RunReport* most = nullptr;
  for (const RunReport& run : report.runs) {
    if (run.energy && (most == nullptr || run.energy->value > most->energy->value)) most = &run;
  }
  return most;
}

/// "2.31 kJ of electricity (modelled)", of all runs of which it is known; `of_runs` counts them.
std::string sum_text(const Report& report, std::optional<ReportFigure> RunReport::* figure, const char* unit,
                     const char* what, std::size_t& of_runs) {
  double sum = 0;
  Provenance worst = Provenance::measured;
  of_runs = 0;
  for (const RunReport& run : report.runs) {
    if (!(run.*figure)) continue;
    ++of_runs;
    sum += (run.*figure)->value;
    worst = std::max(worst, (run.*figure)->provenance);
  }
  return fmt::format("{} of {} ({})", amount_text(sum, unit, 2), what, provenance_name(worst));
}

/// Of all runs together, as far as it is known of them.
std::string cost_of_all(const Report& report) {
  const RunReport* most = costliest(report);
  if (most == nullptr) return "How much electricity these runs used is unknown.";
  const std::size_t all = report.runs.size();
  std::size_t known = 0;
  const std::string energy = sum_text(report, &RunReport::energy, "J", "electricity", known);
  std::string text = known == all ? fmt::format("The {} runs", known)
                                  : fmt::format("{} of the {} runs, of which it is known,", known, all);
  text += fmt::format(" used about {} together", energy);
  const std::size_t with_energy = known;
  const std::string carbon = sum_text(report, &RunReport::carbon, "g", "CO2e", known);
  if (known > 0) {
    text += fmt::format(", which emitted about {}{}", carbon,
                        known == with_energy ? "" : fmt::format(", as far as {} of them tell", known));
  }
  return text + fmt::format(". \u201c{}\u201d ({}) used most: {}.", most->run.name, short_id(*most),
                            figure_text(*most->energy));
}

std::string sureness_of_all(const Report& report) {
  const RunReport* least_sure = nullptr;
  for (const RunReport& run : report.runs) {
    if (!run.energy) continue;
    if (least_sure == nullptr || doubt_of(*run.energy).most() > doubt_of(*least_sure->energy).most())
      least_sure = &run;
  }
  if (least_sure == nullptr) return "Nothing was measured that could be sure or not.";
  return fmt::format(
      "The least sure of them is \u201c{}\u201d ({}), whose energy is {}. {} What runs of one machine are "
      "off by together cancels where they are compared.",
      least_sure->run.name, short_id(*least_sure), provenance_name(least_sure->energy->provenance),
      sureness(*least_sure->energy));
}

/// What a comparison says, else what would save most on the costliest run.
std::string what_to_do(const Report& report) {
  if (report.comparison) {
    const Comparison& both = *report.comparison;
    const FigureComparison* told = nullptr;
    for (const FigureComparison& figure : both.figures) {
      if (figure.verdict == Verdict::unknown) continue;
      if (told == nullptr || figure.key == "energy_joules") told = &figure;
    }
    if (told != nullptr) {
      return fmt::format("A is \u201c{}\u201d, B is \u201c{}\u201d: {}.", both.a.label, both.b.label,
                         told->text);
    }
  }
  const RunReport* most = costliest(report);
  if (most == nullptr || most->advice.empty())
    return "Nothing in these runs\u2019 figures calls for anything.";
  const Advice& best = most->advice.front();
  return fmt::format("For \u201c{}\u201d, the costliest: {}: {}.", most->run.name, best.title, best.effect);
}

void write_short_of_several(const Report& report, HtmlWriter& page) {
  page.open("dl", {{"class", "short"}});
  page.element("dt", "What did they cost?").element("dd", cost_of_all(report));
  page.element("dt", "How sure is that?").element("dd", sureness_of_all(report));
  page.element("dt", report.comparison ? "Which is cheaper?" : "What should I do?");
  page.element("dd", what_to_do(report)).close();
}

void write_several(const Report& report, HtmlWriter& page) {
  write_short_of_several(report, page);
  page.element("h2", "The runs side by side");
  write_summary_table(report, page);
  if (report.comparison) write_comparison(*report.comparison, page);
  if (!report.means.empty()) write_means(report, page);
  page.open("nav", {{"aria-label", "Runs of this page"}}).open("ul");
  for (std::size_t i = 0; i < report.runs.size(); ++i) {
    page.open("li")
        .element("a", fmt::format("{}. {}", i + 1, report.runs[i].run.name),
                 {{"href", fmt::format("#run{}", i + 1)}})
        .close();
  }
  page.close().close();
  for (std::size_t i = 0; i < report.runs.size(); ++i) {
    const RunReport& run = report.runs[i];
    page.open("section",
              {{"id", fmt::format("run{}", i + 1)}, {"aria-labelledby", fmt::format("run{}-name", i + 1)}});
    page.element("h2", fmt::format("{}. {} ({})", i + 1, run.run.name, short_id(run)),
                 {{"id", fmt::format("run{}-name", i + 1)}});
    write_run(run, {.section = "h3", .item = "h4"}, fmt::format("run{}", i + 1), page);
    page.close();
  }
}

}  // namespace

std::string report_page(const Report& report) {
  HtmlWriter page;
  open_page(title_of(report), page);
  if (report.runs.size() == 1) {
    write_run(report.runs.front(), {.section = "h2", .item = "h3"}, "run1", page);
  } else {
    write_several(report, page);
  }
  page.close();
  page.element(
      "footer",
      fmt::format(
          "Written by joulery {} on {}. This page needs no network and holds no program. A plausible range "
          "says where the truth lies nine times in ten by what is known of models and tables; only a "
          "confidence interval comes from repeating.",
          report.version, report.generated_at));
  return page.finish();
}

}  // namespace joulery::app
