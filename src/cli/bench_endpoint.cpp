#include "cli/bench_endpoint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "app/endpoint_bench.hpp"
#include "app/footprint.hpp"
#include "base/files.hpp"
#include "base/text.hpp"
#include "cli/endpoint_request.hpp"
#include "cli/endpoint_text.hpp"
#include "cli/interruption.hpp"
#include "cli/output_file.hpp"
#include "cli/status_line.hpp"
#include "cli/terminal.hpp"
#include "cli/text_table.hpp"

namespace joulery::cli {
namespace {

class ProgressLine final : public app::EndpointObserver {
 public:
  ProgressLine(const app::EndpointRequest& request, bool shown) : request_(request), line_(shown) {}

  void on_progress(std::size_t load, std::size_t loads,
                   const evaluate::endpoint::LoadProgress& progress) override {
    std::string line = fmt::format("{} of {}: {}{}, {} of {} requests ended", load + 1, loads,
                                   app::load_text(request_.loads[load]),
                                   progress.warming_up ? ", warming up" : "", progress.ended, progress.sent);
    if (progress.failed > 0) line += fmt::format(", {} failed", progress.failed);
    line += fmt::format(", {}", format_duration(progress.elapsed_seconds));
    const auto& length = request_.length;
    double left = -1;
    if (length.seconds > 0) left = length.seconds - progress.elapsed_seconds;
    if (length.requests > 0 && progress.ended > 0) {
      const double rate = double(progress.ended) / std::max(progress.elapsed_seconds, 1e-3);
      const double by_count = double(length.requests - std::min(length.requests, progress.ended)) / rate;
      left = left < 0 ? by_count : std::min(left, by_count);
    }
    if (left > 0 && !progress.warming_up) line += fmt::format(", about {} left", format_duration(left));
    line_.draw(line);
  }
  bool interrupted() override { return interrupted_by() != 0; }

 private:
  const app::EndpointRequest& request_;
  StatusLine line_;
};

std::string rendered(app::Application& application, const app::EndpointOutcome& outcome,
                     const std::string& format, bool to_file) {
  if (format == "json") return outcome.document + "\n";
  if (format == "markdown") return endpoint_markdown(outcome);
  return endpoint_text(outcome, to_file ? Palette{} : palette(application, Stream::out),
                       text_width(Stream::out));
}

/// Where to read why requests failed.
std::string reasons_hint(const std::string& format, const std::optional<std::string>& output) {
  const std::string where = output ? fmt::format(" in {}", printable(*output)) : "";
  if (format == "json") return fmt::format("'errors' of each of the 'loads'{} says why they failed", where);
  return fmt::format("the table{} says why each of them failed", where);
}

}  // namespace

VerbResult bench_endpoint(app::Application& application, const Arguments& arguments) {
  const std::string format = arguments.has("json") ? "json" : arguments.value("format").value_or("table");
  const auto output = arguments.value("output");
  if (output) JOULERY_CHECK_OK(check_output_file("--output", *output, "bench.json"));
  JOULERY_ASSIGN(app::EndpointRequest request, read_endpoint_request(application, arguments));
  JOULERY_CHECK_OK(application.check_named_store());
  std::optional<Result<app::EndpointOutcome>> benched;
  {
    const Interruptible interruptible;
    ProgressLine progress(request, is_terminal(Stream::err));
    benched = app::bench_endpoint(application, request, progress);
  }
  if (!*benched) return std::unexpected(benched->error());
  const app::EndpointOutcome& outcome = **benched;
  const std::string text = rendered(application, outcome, format, output.has_value());
  JOULERY_CHECK_OK(output ? write_file_atomically(*output, text) : print(Stream::out, text));
  constexpr int kSignalled = 128;
  if (outcome.interrupted) return kSignalled + interrupted_by();
  const bool any = std::ranges::any_of(
      outcome.points, [](const app::EndpointPoint& point) { return point.figures.completed > 0; });
  if (any) return kExitOk;
  return environment_error("no request went through", reasons_hint(format, output));
}

}  // namespace joulery::cli
