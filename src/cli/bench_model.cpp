#include "cli/bench_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "app/bench_foreign.hpp"
#include "app/bench_page.hpp"
#include "base/files.hpp"
#include "base/text.hpp"
#include "cli/interruption.hpp"
#include "cli/output_file.hpp"
#include "cli/status_line.hpp"
#include "cli/text_table.hpp"

namespace joulery::cli {
namespace {

class BenchLine final : public app::ModelBenchObserver {
 public:
  explicit BenchLine(bool shown) : line_(shown) {}

  void on_step(const std::string& what) override { line_.draw(what + " …"); }
  void on_progress(const evaluate::MeasureProgress& progress) override {
    std::string line = fmt::format("{}, {}", progress.doing, format_count(double(progress.blocks), "blocks"));
    if (progress.disturbed > 0) line += fmt::format(" ({} disturbed)", progress.disturbed);
    if (progress.relative_half_width > 0)
      line += fmt::format(", CPU-seconds known to ±{:.1f} %", 100 * progress.relative_half_width);
    const double left = progress.budget_seconds - progress.elapsed_seconds;
    line += fmt::format(", {}, at most {} left", format_duration(progress.elapsed_seconds),
                        format_duration(std::max(0.0, left)));
    line_.draw(line);
  }
  bool interrupted() override { return interrupted_by() != 0; }

 private:
  StatusLine line_;
};

std::string rendered(app::Application& application, const app::ModelBenchOutcome& outcome,
                     const std::string& format, bool to_file) {
  if (format == "json") return outcome.document + "\n";
  if (format == "markdown") return model_bench_markdown(outcome);
  if (format == "html") return app::bench_page(outcome);
  if (format == "optimum") return app::optimum_report(outcome) + "\n";
  if (format == "aienergyscore") return app::ai_energy_score_summary(outcome) + "\n";
  return model_bench_text(outcome, to_file ? Palette{} : palette(application, Stream::out),
                          text_width(Stream::out));
}

/// "report.json" → "report.ranges.json".
std::string ranges_file(std::string file) {
  constexpr std::string_view kExtension = ".json";
  if (file.ends_with(kExtension)) file.resize(file.size() - kExtension.size());
  return file + ".ranges.json";
}

/// Another tool's format has no place for ranges and for how a figure is known: that goes to a file beside
/// it.
Status tell_what_is_lost(const app::ModelBenchOutcome& outcome, const std::string& format,
                         const std::optional<std::string>& output) {
  if (format != "optimum" && format != "aienergyscore") return {};
  std::string note;
  if (format == "aienergyscore" && app::gpu_share(outcome) <= 0)
    note += "note: AI Energy Score counts GPUs alone; none took part, so its total of 0 is no score\n";
  if (outcome.subjects.size() > 1) note += "note: this format has one model, the first\n";
  if (output) {
    JOULERY_CHECK_OK(write_file_atomically(ranges_file(*output), outcome.document + "\n"));
    note += fmt::format("note: ranges, and how each figure is known: {}\n", printable(ranges_file(*output)));
  } else {
    note += fmt::format("note: ranges, and how each figure is known: joulery show {}\n",
                        outcome.run_id.substr(0, 12));
  }
  return print(Stream::err, note);
}

}  // namespace

VerbResult bench_model(app::Application& application, const Arguments& arguments) {
  const std::string format = arguments.has("json") ? "json" : arguments.value("format").value_or("table");
  const auto output = arguments.value("output");
  if (output)
    JOULERY_CHECK_OK(check_output_file("--output", *output, format == "html" ? "bench.html" : "bench.json"));
  JOULERY_ASSIGN(const app::ModelBenchRequest request, read_model_request(application, arguments));
  JOULERY_CHECK_OK(application.check_named_store());
  std::optional<Result<app::ModelBenchOutcome>> benched;
  {
    const Interruptible interruptible;
    BenchLine line(is_terminal(Stream::err));
    benched = app::bench_model(application, request, line);
  }
  if (!*benched) return std::unexpected(benched->error());
  app::ModelBenchOutcome& outcome = **benched;
  constexpr int kSignalled = 128;
  if (outcome.interrupted && outcome.measurement.subjects[0].cpu_blocks.values.empty()) {
    print_error(
        {.kind = Error::Kind::user, .message = "interrupted before anything was measured", .hint = {}},
        palette(application, Stream::err));
    return kSignalled + interrupted_by();
  }
  const Status stored = app::store_model_bench(application, request, outcome);
  outcome.stored = stored.has_value();
  const std::string text = rendered(application, outcome, format, output.has_value());
  JOULERY_CHECK_OK(output ? write_file_atomically(*output, text) : print(Stream::out, text));
  JOULERY_CHECK_OK(tell_what_is_lost(outcome, format, output));
  if (!stored) print_error(stored.error(), palette(application, Stream::err));
  for (const app::BenchProblem& problem : outcome.problems) {
    Error error = problem.error;
    error.message = fmt::format("{}: {}", problem.doing, error.message);
    print_error(error, palette(application, Stream::err));
  }
  if (outcome.interrupted) return kSignalled + interrupted_by();
  if (!outcome.problems.empty()) return exit_code_of(outcome.problems.front().error);
  return stored ? kExitOk : kExitEnvironment;
}

}  // namespace joulery::cli
