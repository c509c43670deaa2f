#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "app/documents.hpp"
#include "app/footprint.hpp"
#include "app/workload.hpp"
#include "base/files.hpp"
#include "base/ids.hpp"
#include "base/text.hpp"
#include "cli/emissions_file.hpp"
#include "cli/output_file.hpp"
#include "cli/run_request.hpp"
#include "cli/run_summary.hpp"
#include "cli/status_line.hpp"
#include "cli/terminal.hpp"
#include "cli/verb.hpp"
#include "stats/summary.hpp"

namespace joulery::cli {
namespace {

constexpr double kLevel = 0.9;
/// The live line is redrawn at most this often.
constexpr double kLiveSeconds = 0.5;

class LiveLine final : public meter::SessionObserver {
 public:
  void on_live(const meter::LiveState& state) override {
    if (state.elapsed_seconds - shown_at_ < kLiveSeconds) return;
    shown_at_ = state.elapsed_seconds;
    // As in the list of runs: what comes from a model is only about so much.
    const std::string tilde = state.modelled ? "~" : "";
    line_.draw(fmt::format("{}  {:.2f} CPUs  machine {}  so far {}", format_duration(state.elapsed_seconds),
                           state.workload_cpus,
                           state.energy_known ? tilde + format_si(state.machine_watts, "W") : "unknown",
                           state.energy_known ? tilde + format_si(state.workload_joules, "J") : "unknown"));
  }
  void clear() {
    line_.clear();
    shown_at_ = 0;
  }

 private:
  double shown_at_ = 0;
  StatusLine line_{true};
};

/// Longest texts that the record, like MLflow, takes.
constexpr std::size_t kLongestName = 500;
constexpr std::size_t kLongestTagKey = 250;
constexpr std::size_t kLongestTagValue = 8000;

Status check_length(const std::string& flag, const std::string& text, std::size_t longest) {
  if (text.empty()) return user_error(flag + " can't be empty");
  if (text.size() <= longest) return {};
  return user_error(fmt::format("{} is {} bytes long; {} are the most", flag, text.size(), longest));
}

/// Tags that the meter writes itself: another value would be lost, or be taken for the meter's. Of MLflow's
/// only those, so that a description (mlflow.note.content) or a parent can be given.
Status check_not_ours(const std::string& key) {
  if (key.starts_with("joulery."))
    return user_error(fmt::format("--tag {}: tags that start with 'joulery.' are written by the meter", key),
                      "give it another name");
  if (key == "mlflow.runName")
    return user_error("--tag mlflow.runName is the run's name", "--name NAME sets it");
  for (const char* own : {"mlflow.user", "mlflow.source.type", "mlflow.source.name"}) {
    if (key == own)
      return user_error(fmt::format("--tag {}: this tag is written by the meter", key),
                        "give it another name");
  }
  return {};
}

}  // namespace

Result<app::WorkloadRequest> read_request(const Arguments& arguments, const config::Config& config) {
  app::WorkloadRequest request;
  request.command = arguments.command;
  if (request.command.empty()) {
    return user_error("joulery run needs a command", "for example: joulery run -- python3 train.py");
  }
  if (const auto name = arguments.value("name")) {
    request.name = printable(*name);
    JOULERY_CHECK_OK(check_length("--name", request.name, kLongestName));
  }
  JOULERY_CHECK_OK(check_length("--experiment", config.text("run.experiment"), kLongestName));
  if (const auto tags = arguments.flags.find("tag"); tags != arguments.flags.end()) {
    for (const std::string& tag : tags->second) {
      const auto equals = tag.find('=');
      if (equals == std::string::npos || equals == 0) {
        return user_error(fmt::format("--tag '{}' is not KEY=VALUE", printable(tag)),
                          "for example --tag team=vision");
      }
      const std::string key = printable(tag.substr(0, equals));
      std::string value = printable(tag.substr(equals + 1));
      JOULERY_CHECK_OK(check_length("--tag " + key.substr(0, 40), key, kLongestTagKey));
      JOULERY_CHECK_OK(check_not_ours(key));
      if (!value.empty()) JOULERY_CHECK_OK(check_length("--tag " + key, value, kLongestTagValue));
      request.tags[key] = std::move(value);
    }
  }
  if (const auto per = arguments.value("per")) {
    JOULERY_ASSIGN(request.per, app::parse_functional_unit(*per));
  }
  JOULERY_ASSIGN(request.repeat, arguments.integer("repeat", 1, 1, 100000));
  JOULERY_ASSIGN(request.warmup, arguments.integer("warmup", 0, 0, 100000));
  return request;
}

namespace {

/// One figure of the runs of a series that went through: one that failed says nothing of what the work costs.
struct SeriesFigure {
  std::string key;
  /// Empty: in the document only.
  std::string label;
  std::string unit;
  /// Of those runs that it is known of.
  std::vector<double> values = {};
  std::string provenance = {};
  std::string basis = {};
};

struct Series {
  std::vector<std::string> documents;
  std::size_t runs = 0;
  std::vector<SeriesFigure> figures;

  void add(const meter::MeteredRun& run) {
    ++runs;
    const std::string measured = provenance_name(Provenance::measured);
    add("duration_seconds", "wall time", "s", run.duration_seconds, measured, "");
    add("cpu_seconds", "CPU time", "s", run.cpu_seconds, measured, "");
    const bool known = run.energy_known();
    add("energy_joules", "energy", "J", run.energy, known);
    add("energy_machine_joules", "", "J", run.energy_machine, known);
    if (!run.footprint) return;
    add("carbon_gco2e", "carbon", "g", run.carbon, known);
    add("water_litres", "water", "l", run.footprint->water.total, known);
    if (run.footprint->cost)
      add("cost", "cost", printable(run.footprint->site.currency), *run.footprint->cost, known);
  }
  const SeriesFigure* find(std::string_view key) const {
    const auto found = std::find_if(figures.begin(), figures.end(),
                                    [&](const SeriesFigure& figure) { return figure.key == key; });
    return found == figures.end() ? nullptr : &*found;
  }

 private:
  SeriesFigure& figure(const char* key, const char* label, const std::string& unit) {
    for (SeriesFigure& figure : figures) {
      if (figure.key == key) return figure;
    }
    return figures.emplace_back(SeriesFigure{.key = key, .label = label, .unit = unit});
  }
  void add(const char* key, const char* label, const std::string& unit, double value,
           const std::string& provenance, const std::string& basis) {
    SeriesFigure& one = figure(key, label, unit);
    one.values.push_back(value);
    one.provenance = provenance;
    one.basis = basis;
  }
  template <class Unit>
  void add(const char* key, const char* label, const std::string& unit, const Quantity<Unit>& quantity,
           bool known) {
    if (known) {
      add(key, label, unit, quantity.value(), provenance_name(quantity.provenance()), quantity.basis());
    } else {
      figure(key, label, unit);
    }
  }
};

stats::MeanInterval mean_of(const std::vector<double>& values) {
  stats::MeanInterval mean = stats::mean_interval(values, kLevel);
  // Few and different runs give an interval that reaches below what can be.
  mean.low = std::max(mean.low, 0.0);
  return mean;
}

std::vector<app::SeriesMean> means_of(const Series& series) {
  std::vector<app::SeriesMean> means;
  for (const SeriesFigure& figure : series.figures) {
    means.push_back({figure.key, mean_of(figure.values), series.runs - figure.values.size(),
                     figure.provenance, figure.basis});
  }
  return means;
}

std::string series_text(const Series& series, const std::string& series_id, const Palette& colors) {
  const auto line = [&](const SeriesFigure& figure) {
    const stats::MeanInterval mean = mean_of(figure.values);
    const double half = (mean.high - mean.low) / 2;
    const auto amount = [&](double value) {
      return figure.key == "cost" ? fmt::format("{:.3g}", value) : format_si(value, figure.unit);
    };
    const std::string currency = figure.key == "cost" ? " " + figure.unit : "";
    return fmt::format("  {:<10} {}{:>9}{}  {:<9}  ± {:.1f} % from run to run, standard deviation {}{}\n",
                       figure.label, colors.bold, amount(mean.mean), colors.reset, figure.provenance,
                       mean.mean > 0 ? 100 * half / mean.mean : 0, amount(mean.standard_deviation), currency);
  };
  std::string text = fmt::format("\n{}mean of {} runs{}, with its 90 % confidence interval\n", colors.bold,
                                 series.runs, colors.reset);
  const SeriesFigure& energy = *series.find("energy_joules");
  for (const SeriesFigure& figure : series.figures) {
    if (!figure.label.empty() && !figure.values.empty()) text += line(figure);
  }
  if (energy.values.empty()) {
    text += fmt::format("  {:<10} {:>9}  in none of the runs a power counter moved\n", "energy", "unknown");
  } else if (const std::size_t left_out = series.runs - energy.values.size(); left_out > 0) {
    text += fmt::format("  {}!{} the energy is that of {} of the {} runs: in {} no power counter moved\n",
                        colors.yellow, colors.reset, energy.values.size(), series.runs, left_out);
  }
  const double lag1 = stats::lag1_autocorrelation(series.find("duration_seconds")->values);
  if (series.runs >= 5 && lag1 > 0.4) {
    text += fmt::format(
        "  {}!{} the runs drift (lag-1 correlation {:.2f}): the interval is too narrow\n    {}hint:{} let "
        "the "
        "machine settle with --warmup, or close other programs\n",
        colors.yellow, colors.reset, lag1, colors.cyan, colors.reset);
  }
  text += fmt::format(
      "  {}the interval is of repetition only; how far energy may be off as a whole is said with each "
      "run{}\n",
      colors.dim, colors.reset);
  text += fmt::format(
      "  {}series {}{}\n  {}its page: joulery report {} --html series.html; against another: joulery compare "
      "OTHER {}{}\n",
      colors.dim, series_id, colors.reset, colors.dim, series_id, series_id, colors.reset);
  return text;
}

/// The run without the warnings that an earlier run of its series had in the same words.
meter::MeteredRun without_known(meter::MeteredRun run, std::set<std::string>& told) {
  std::erase_if(run.warnings,
                [&](const meter::Warning& warning) { return !told.insert(warning.text).second; });
  return run;
}

/// Why a series ends with its run `index`.
std::string end_of_series(const meter::MeteredRun& run, int index, int repeat, const std::string& series_id) {
  if (run.interrupted_by == 0) {
    return fmt::format("the series ended after run {} of {}: exit {}\n", index, repeat,
                       run.child.shell_code());
  }
  const int whole = index - 1;
  return fmt::format("interrupted; {} of {} {} stored whole, as series {}\n", format_count(whole, "runs"),
                     repeat, whole == 1 ? "is" : "are", series_id);
}

/// `number`: which of the warm-ups, from 1.
Error failed_warmup(const meter::MeteredRun& run, int number, const app::WorkloadRequest& request) {
  const int code = run.child.shell_code();
  return {.kind = Error::Kind::user,
          .message = fmt::format("warm-up run {} of {} {}: '{}' ended with exit {}", number, request.warmup,
                                 code == 0 ? "was interrupted" : "failed",
                                 printable(request.command.front()).substr(0, kLongestTagKey), code),
          .hint = "nothing was metered or recorded: run the command alone to see what it lacks"};
}

}  // namespace

Status deliver(const Arguments& arguments, const std::string& text) {
  if (const auto file = arguments.value("output"))
    return write_file_atomically(*file, text + (text.ends_with('\n') ? "" : "\n"));
  return print(Stream::err, text + (text.ends_with('\n') ? "" : "\n"));
}

Status check_output(const Arguments& arguments) {
  const auto file = arguments.value("output");
  return file ? check_output_file("--output", *file, "run.json") : Status();
}

VerbResult run_verb(app::Application& application, const Arguments& arguments) {
  if (arguments.has("versus")) return versus_verb(application, arguments);
  for (const char* flag : {"seed", "margin"}) {
    if (arguments.has(flag)) return user_error(fmt::format("--{} goes with --versus only", flag));
  }
  JOULERY_ASSIGN(app::WorkloadRequest request, read_request(arguments, application.config()));
  JOULERY_ASSIGN(request.footprint, app::footprint_options(application, request.per,
                                                           {.persona = arguments.value("sci-ai"),
                                                            .note = arguments.value("sci-ai-note"),
                                                            .reserved = arguments.has("reserved")}));
  JOULERY_CHECK_OK(check_output(arguments));
  JOULERY_CHECK_OK(application.check_named_store());
  JOULERY_ASSIGN(const EmissionsFile emissions, EmissionsFile::create(arguments));
  const bool json = arguments.has("json");
  const bool quiet = arguments.has("quiet");
  const bool series_run = request.repeat > 1;
  const bool to_file = arguments.value("output").has_value();
  // A line that is rewritten would tear the command's own output on the same terminal, so there it must be
  // asked for.
  const bool live = arguments.has("live") ||
                    (is_terminal(Stream::err) && !same_terminal(Stream::out, Stream::err) && !quiet);
  const Palette colors = to_file ? Palette{} : palette(application, Stream::err);
  const std::string series_id =
      series_run || request.warmup > 0 ? make_run_id(application.clock().realtime_ns()) : "";
  JOULERY_ASSIGN(const auto supervisor, app::make_supervisor(application));
  LiveLine line;
  Series series;
  std::set<std::string> told;
  std::string text;
  int code = kExitOk;
  for (int index = 1 - request.warmup; index <= request.repeat; ++index) {
    auto outcome =
        app::run_workload(application, *supervisor, request, series_id, index, live ? &line : nullptr);
    line.clear();
    if (!outcome) {
      print_error(outcome.error().error, palette(application, Stream::err));
      return outcome.error().exit_code;
    }
    const meter::MeteredRun& run = outcome->run;
    code = run.child.shell_code();
    // Of a series the signal is what ended it, whatever the command made of it.
    if (request.repeat > 1 && run.interrupted_by != 0) code = 128 + run.interrupted_by;
    const bool cut_short = code != 0 || run.interrupted_by != 0;
    if (index >= 1) {
      series.documents.push_back(outcome->document);
      emissions.append(application, run);
      if (!cut_short) series.add(run);
      if (!json && (to_file || !quiet)) {
        // Warnings that came after the document was made, such as a store that could not be opened.
        JOULERY_ASSIGN(const std::string summary,
                       run_summary(app::run_document(without_known(run, told)), colors));
        if (to_file) {
          text += summary;
        } else {
          static_cast<void>(print(Stream::err, summary));
        }
      }
      if ((json || quiet) && !outcome->stored && !run.warnings.empty()) {
        print_error({.kind = Error::Kind::environment,
                     .message = run.warnings.back().text,
                     .hint = run.warnings.back().hint},
                    palette(application, Stream::err));
      }
    }
    // A failing or interrupted command ends a series: the user would not wait for the rest.
    if (cut_short) {
      if (index < 1) {
        // Nothing else tells of it: a warm-up has no document and no record.
        print_error(failed_warmup(run, index + request.warmup, request), palette(application, Stream::err));
      } else if (index < request.repeat && !quiet) {
        static_cast<void>(print(Stream::err, end_of_series(run, index, request.repeat, series_id)));
      }
      break;
    }
  }
  if (json) {
    const auto means = means_of(series);
    const bool nothing = series.documents.empty();
    if (!nothing) {
      text = series_run ? app::series_document(series_id, series.documents, means, kLevel)
                        : series.documents.front();
    }
  } else if (series_run && series.runs > 1 && (to_file || !quiet)) {
    const std::string means = series_text(series, series_id, colors);
    if (to_file) {
      text += means;
    } else {
      static_cast<void>(print(Stream::err, means));
    }
  }
  if (!text.empty()) {
    if (const Status delivered = deliver(arguments, text); !delivered) {
      print_error(delivered.error(), palette(application, Stream::err));
      // The command's own failure matters more than ours.
      return code != 0 ? code : 125;
    }
  }
  return code;
}

}  // namespace joulery::cli
