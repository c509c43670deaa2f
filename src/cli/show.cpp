#include <fmt/format.h>

#include <algorithm>

#include "app/compared_run.hpp"
#include "app/documents.hpp"
#include "app/footprint_documents.hpp"
#include "app/named_runs.hpp"
#include "base/text.hpp"
#include "cli/run_summary.hpp"
#include "cli/terminal.hpp"
#include "cli/verb.hpp"
#include "cli/why.hpp"
#include "record/spool_repair.hpp"

namespace joulery::cli {
namespace {

/// A run without our document: one that was cut off, or that another tool logged.
std::string plain_text(const app::RunDetails& details, const Palette& colors) {
  const record::Run& run = details.run;
  std::string text = fmt::format("{}{}{}  {}\n", colors.bold, printable(run.name), colors.reset,
                                 record::run_status_name(run.status));
  text += fmt::format("  run {}, experiment {}, started {}\n", run.id, printable(run.experiment),
                      format_utc(run.start_utc_ns));
  if (run.tags.count("joulery.recovered") > 0) {
    text += fmt::format("  {}!{} its meter was killed: {}\n", colors.yellow, colors.reset,
                        run.metrics.empty() ? "before there were any figures but the power series"
                                            : "the figures are those of at most half a minute before");
    if (const auto known = run.tags.find(record::kEnergyProvenanceTag); known != run.tags.end()) {
      const auto carbon = run.tags.find("joulery.carbon_provenance");
      text += known->second == record::kEnergyUnknown
                  ? std::string("  energy is unknown: no power counter had moved\n")
                  : fmt::format("  energy is {}, carbon {}; _low and _high are the plausible range\n",
                                printable(known->second),
                                carbon != run.tags.end() ? printable(carbon->second) : "assumed");
    }
  }
  if (const auto damaged = run.tags.find(record::kDamagedTag); damaged != run.tags.end()) {
    text += fmt::format("  {}!{} damaged: {}\n", colors.yellow, colors.reset, printable(damaged->second));
  }
  for (const record::LatestMetric& metric : run.metrics) {
    text += fmt::format("  {:<36} {:.6g}\n", printable(metric.key), metric.point.value);
  }
  for (const auto& [key, value] : run.params)
    text += fmt::format("  param {:<30} {}\n", printable(key), printable(value));
  for (const auto& [key, value] : run.tags)
    text += fmt::format("  tag   {:<30} {}\n", printable(key), printable(value));
  return text;
}

std::string details_text(const app::RunDetails& details, const Palette& colors) {
  const record::Run& run = details.run;
  std::string text =
      fmt::format("  {}started {}, experiment {}, by {}{}", colors.dim, format_utc(run.start_utc_ns),
                  printable(run.experiment), printable(run.user), colors.reset);
  if (details.host) {
    text += fmt::format("{}, on {} ({}){}", colors.dim, printable(details.host->name),
                        printable(details.host->cpu_model), colors.reset);
  }
  text += "\n";
  if (const auto series = run.tags.find(app::kSeriesTag); series != run.tags.end()) {
    text += fmt::format("  {}series {}{}\n", colors.dim, printable(series->second), colors.reset);
  }
  for (const auto& [key, value] : run.tags) {
    if (key.rfind("joulery.", 0) == 0 || key.rfind("mlflow.", 0) == 0) continue;
    text += fmt::format("  {}tag {}={}{}\n", colors.dim, printable(key), printable(value), colors.reset);
  }
  if (run.deleted)
    text += fmt::format("  {}! deleted: `joulery rm --restore {}` brings it back{}\n", colors.yellow, run.id,
                        colors.reset);
  return text;
}

}  // namespace

namespace {

/// RUN and FIGURE in either order of what was left out: a figure's name alone means the last run.
VerbResult show_why(app::Application& application, const Arguments& arguments) {
  std::string name = arguments.operands.empty() ? "last" : arguments.operands.front();
  std::string figure = arguments.operands.size() > 1 ? arguments.operands[1] : "";
  const auto& figures = app::figure_names();
  const auto known = [&](const std::string& word) {
    return std::find(figures.begin(), figures.end(), word) != figures.end();
  };
  if (figure.empty() && known(name)) {
    figure = name;
    name = "last";
  }
  if (!figure.empty() && !known(figure)) {
    const auto meant = did_you_mean(figure, figures);
    return user_error(fmt::format("no figure is called '{}'", printable(figure)),
                      meant ? fmt::format("did you mean '{}'?", *meant)
                            : fmt::format("it is one of {}", fmt::join(figures, ", ")));
  }
  JOULERY_ASSIGN(const auto store,
                 open_store_and_tell(application, app::Application::StoreAccess::read_only));
  JOULERY_ASSIGN(const record::Run run, app::find_one_run(*store, name));
  JOULERY_ASSIGN(const std::vector<record::Evidence> evidence, store->evidence("run:" + run.id));
  JOULERY_ASSIGN(const app::WhyReport report, app::why_report(application.data(), run, evidence, figure));
  const Palette colors = palette(application, Stream::out);
  std::string text = arguments.has("json") ? app::why_document(report) + "\n" : why_text(report, colors);
  if (!arguments.has("json") && (figure.empty() || figure == "sci")) {
    for (const record::Evidence& one : evidence) {
      if (one.type == "joulery/run") text += sci_for_ai_text(one.json, colors);
    }
  }
  JOULERY_CHECK_OK(print(Stream::out, text));
  return kExitOk;
}

}  // namespace

VerbResult show_verb(app::Application& application, const Arguments& arguments) {
  if (arguments.has("why")) return show_why(application, arguments);
  if (arguments.operands.size() > 1) {
    return user_error(
        fmt::format("joulery show takes one run, not '{}' too", printable(arguments.operands[1])),
        "a figure goes with --why: joulery show --why last carbon");
  }
  if (arguments.has("power") && !arguments.has("json")) {
    return user_error("--power needs --json", "joulery export last --what power    # as CSV");
  }
  JOULERY_ASSIGN(const auto store,
                 open_store_and_tell(application, app::Application::StoreAccess::read_only));
  app::RunDetails details;
  JOULERY_ASSIGN(details.run,
                 app::find_one_run(*store, arguments.operands.empty() ? "last" : arguments.operands.front()));
  JOULERY_ASSIGN(details.host, store->host(details.run.host_id));
  JOULERY_ASSIGN(details.evidence, store->evidence("run:" + details.run.id));
  if (arguments.has("power")) {
    details.with_power = true;
    JOULERY_ASSIGN(details.power, store->power_series(details.run.id));
  }
  if (arguments.has("json")) {
    JOULERY_CHECK_OK(print(Stream::out, app::show_document(details) + "\n"));
    return kExitOk;
  }
  const Palette colors = palette(application, Stream::out);
  std::string text;
  for (const record::Evidence& evidence : details.evidence) {
    if (evidence.type != "joulery/run") continue;
    JOULERY_ASSIGN(text, run_summary(evidence.json, colors));
    text += details_text(details, colors);
  }
  if (text.empty()) text = plain_text(details, colors);
  JOULERY_CHECK_OK(print(Stream::out, text));
  return kExitOk;
}

}  // namespace joulery::cli
