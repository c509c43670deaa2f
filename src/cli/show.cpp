#include <fmt/format.h>

#include "app/documents.hpp"
#include "base/text.hpp"
#include "cli/run_summary.hpp"
#include "cli/terminal.hpp"
#include "cli/verb.hpp"
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
      text += known->second == record::kEnergyUnknown
                  ? std::string("  energy is unknown: no power counter had moved\n")
                  : fmt::format("  energy is {}, carbon assumed; _low and _high are the plausible range\n",
                                printable(known->second));
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

VerbResult show_verb(app::Application& application, const Arguments& arguments) {
  if (arguments.has("power") && !arguments.has("json")) {
    return user_error("--power needs --json", "joulery export last --what power    # as CSV");
  }
  JOULERY_ASSIGN(const auto store,
                 open_store_and_tell(application, app::Application::StoreAccess::read_only));
  app::RunDetails details;
  JOULERY_ASSIGN(details.run, store->run(arguments.operands.empty() ? "last" : arguments.operands.front()));
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
