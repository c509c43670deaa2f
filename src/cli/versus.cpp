#include <fmt/format.h>

#include "app/command_line.hpp"
#include "app/comparison.hpp"
#include "base/ids.hpp"
#include "base/text.hpp"
#include "cli/comparison_text.hpp"
#include "cli/emissions_file.hpp"
#include "cli/run_request.hpp"
#include "cli/terminal.hpp"
#include "cli/verb.hpp"
#include "stats/random_stream.hpp"

namespace joulery::cli {
namespace {

constexpr int kDefaultPairs = 5;
/// A command that fails so often in a row won't mend itself.
constexpr int kMostFailedPairs = 3;

/// Which of the two goes first, pair by pair: by chance, but in every two pairs each goes first once, so that
/// whatever follows from the order weighs the same on both.
class PairOrder {
 public:
  explicit PairOrder(std::uint64_t seed) : random_(seed) {}
  bool b_first(int pair) {
    const bool leads_block = pair % 2 == 1;
    if (leads_block) b_first_ = random_.below(2) == 1;
    return leads_block ? b_first_ : !b_first_;
  }

 private:
  stats::RandomStream random_;
  bool b_first_ = false;
};

struct Side {
  std::string name;  // "A" or "B"
  std::string line;  // as it was given
  app::WorkloadRequest request;
  std::string series_id;
  app::RunGroup group;
};

class Versus {
 public:
  Versus(app::Application& application, const Arguments& arguments)
      : application_(application), arguments_(arguments) {}

  VerbResult run() {
    JOULERY_CHECK_OK(read());
    JOULERY_ASSIGN(supervisor_, app::make_supervisor(application_));
    note(fmt::format("{}, seed {}\n", format_count(pairs_, "pairs"), seed_));
    PairOrder order(seed_);
    int failed_in_a_row = 0;
    for (int pair = 1 - warmup_; pair <= pairs_ && !stop_; ++pair) {
      const bool b_first = pair > 0 && order.b_first(pair);
      const bool whole = run_pair(pair, b_first);
      if (launch_failure_ != 0) return launch_failure_;
      failed_in_a_row = whole ? 0 : failed_in_a_row + 1;
      // What fails at once will fail again; later on it may be bad luck.
      const bool hopeless = !whole && !interrupted_ && (pair <= 1 || failed_in_a_row >= kMostFailedPairs);
      if (failure_) tell_failure(hopeless && pair < pairs_);
      stop_ = stop_ || hopeless;
    }
    return report();
  }

 private:
  Status read() {
    if (!arguments_.command.empty()) {
      return user_error(fmt::format("--versus brings both commands; '{}' is one too many",
                                    printable(arguments_.command.front())),
                        "quote each: --versus 'python3 a.py' 'python3 b.py'");
    }
    const auto& lines = arguments_.flags.at("versus");
    JOULERY_CHECK_OK(check_output(arguments_));
    JOULERY_CHECK_OK(application_.check_named_store());
    JOULERY_ASSIGN(emissions_, EmissionsFile::create(arguments_));
    JOULERY_ASSIGN(margin_, margin_of(arguments_));
    const std::int64_t now = application_.clock().realtime_ns();
    session_ = make_run_id(now);
    for (std::size_t i = 0; i < 2; ++i) {
      Arguments one = arguments_;
      // Of several --versus, the last counts.
      JOULERY_ASSIGN(one.command, app::split_command_line(lines[lines.size() - 2 + i]));
      Side side;
      side.name = i == 0 ? "A" : "B";
      side.line = lines[lines.size() - 2 + i];
      JOULERY_ASSIGN(side.request, read_request(one, application_.config()));
      side.series_id = make_run_id(now);
      side.group.label = side.name;
      sides_.push_back(std::move(side));
    }
    JOULERY_ASSIGN(pairs_, arguments_.integer("repeat", kDefaultPairs, 1, 100'000));
    warmup_ = sides_.front().request.warmup;
    seed_ = std::hash<std::string>{}(session_) % 1'000'000;
    if (const auto text = arguments_.value("seed")) {
      const auto number = parse_uint64(*text);
      if (!number) {
        return user_error(fmt::format("--seed needs a whole number, not '{}'", printable(*text)));
      }
      seed_ = *number;
    }
    return {};
  }

  /// True if both went through.
  bool run_pair(int pair, bool b_first) {
    std::vector<app::ComparedRun> done;
    std::string line;
    for (const bool second : {false, true}) {
      Side& side = sides_[b_first != second ? 1 : 0];
      app::WorkloadRequest request = side.request;
      request.repeat = pairs_;
      request.tags[app::kVersusTag] = session_;
      request.tags[app::kVersusSideTag] = side.name;
      request.tags[app::kVersusPairTag] = fmt::format("{}", pair);
      request.tags[app::kVersusOrderTag] = b_first ? "BA" : "AB";
      request.tags[app::kVersusSeedTag] = fmt::format("{}", seed_);
      auto outcome = app::run_workload(application_, *supervisor_, request, side.series_id, pair, nullptr);
      if (!outcome) {
        print_error(with_shell_hint(outcome.error().error, request.command.front()),
                    palette(application_, Stream::err));
        launch_failure_ = outcome.error().exit_code;
        return false;
      }
      const meter::MeteredRun& run = outcome->run;
      if (pair > 0 && !outcome->stored && !run.warnings.empty()) {
        print_error({.kind = Error::Kind::environment,
                     .message = run.warnings.back().text,
                     .hint = run.warnings.back().hint},
                    palette(application_, Stream::err));
      }
      if (pair > 0) emissions_.append(application_, run);
      const int code = run.child.shell_code();
      if (code != 0 || run.interrupted_by != 0) {
        failed(pair, side, run);
        return false;
      }
      line += fmt::format("  {} {}", side.name, format_duration(run.duration_seconds));
      done.push_back(app::compared_run(run.run, outcome->document));
    }
    if (pair > 0) {
      note(fmt::format("pair {} of {}:{}\n", pair, pairs_, line));
      sides_[b_first ? 1 : 0].group.runs.push_back(std::move(done[0]));
      sides_[b_first ? 0 : 1].group.runs.push_back(std::move(done[1]));
    }
    return true;
  }

  /// What a shell would have put another text in place of.
  static Error with_shell_hint(Error error, const std::string& program) {
    if (program.find_first_of("$*?`") == std::string::npos && !program.starts_with('~')) return error;
    error.hint =
        "no shell is run, so variables, patterns and ~ stay as they are: write \"sh -c '…'\", or quote with "
        "\" and let your own shell fill them in";
    return error;
  }

  void failed(int pair, Side& side, const meter::MeteredRun& run) {
    code_ = run.child.shell_code();
    if (run.interrupted_by != 0) {
      // Nothing failed: the user wants no more of it, whatever the command made of the signal.
      stop_ = true;
      interrupted_ = true;
      code_ = 128 + run.interrupted_by;
      if (pair > 0) side.group.left_out.push_back({run.run.id, "was interrupted"});
      return;
    }
    const std::string what = fmt::format("ended with exit {}", code_);
    failure_ = {.kind = Error::Kind::user,
                .message = pair > 0
                               ? fmt::format("{} {} in pair {}; the pair is left out", side.name, what, pair)
                               : fmt::format("{} {} in a warm-up", side.name, what),
                .hint = way_to_see_why(side)};
    if (pair > 0) side.group.left_out.push_back({run.run.id, what});
  }

  static std::string way_to_see_why(const Side& side) {
    constexpr std::size_t kLongestShown = 200;
    std::string command = printable(side.line);
    if (command.size() > kLongestShown) command = "COMMAND";
    return fmt::format("see what it says: joulery run -- {}", command);
  }

  void tell_interruption() const {
    const std::size_t whole = sides_[0].group.runs.size();
    const Palette colors = palette(application_, Stream::err);
    std::string text = fmt::format("{}interrupted{}; {} of {} {} stored", colors.yellow, colors.reset,
                                   format_count(double(whole), "pairs"), pairs_, whole == 1 ? "is" : "are");
    // With a comparison at hand its own last line says how to see it again.
    if (whole > 0 && arguments_.has("quiet")) text += fmt::format(": joulery compare {}", session_);
    static_cast<void>(print(Stream::err, text + "\n"));
  }

  void tell_failure(bool ends) {
    if (ends) failure_->message += "; no more pairs are run, for it would fail again";
    print_error(*failure_, palette(application_, Stream::err));
    failure_.reset();
  }

  VerbResult report() {
    if (interrupted_) tell_interruption();
    if (sides_[0].group.runs.empty()) return code_;
    app::ComparisonOptions options;
    options.margin = margin_;
    JOULERY_ASSIGN(app::Comparison comparison,
                   app::compare_groups(sides_[0].group, sides_[1].group, options));
    const std::vector<app::Comparison> comparisons = {std::move(comparison)};
    const bool to_file = arguments_.value("output").has_value();
    const Palette colors = to_file ? Palette{} : palette(application_, Stream::err);
    std::string text;
    if (arguments_.has("json")) {
      text = app::comparison_document(comparisons);
    } else if (to_file || !arguments_.has("quiet")) {
      text = comparison_text(comparisons, colors) +
             fmt::format("  {}again: joulery compare {}{}\n", colors.dim, session_, colors.reset);
    }
    if (text.empty()) return code_;
    if (const Status delivered = deliver(arguments_, text); !delivered) {
      print_error(delivered.error(), palette(application_, Stream::err));
      return code_ != 0 ? code_ : 125;
    }
    return code_;
  }

  void note(const std::string& text) const {
    if (!arguments_.has("quiet") && !arguments_.has("json")) static_cast<void>(print(Stream::err, text));
  }

  app::Application& application_;
  const Arguments& arguments_;
  std::vector<Side> sides_;
  std::unique_ptr<meter::Supervisor> supervisor_;
  EmissionsFile emissions_;
  std::string session_;
  std::optional<double> margin_;
  std::uint64_t seed_ = 0;
  int pairs_ = 0;
  int warmup_ = 0;
  bool stop_ = false;
  bool interrupted_ = false;
  int launch_failure_ = 0;
  int code_ = kExitOk;
  std::optional<Error> failure_;
};

}  // namespace

VerbResult versus_verb(app::Application& application, const Arguments& arguments) {
  return Versus(application, arguments).run();
}

}  // namespace joulery::cli
