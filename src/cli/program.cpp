#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <exception>
#include <map>
#include <optional>

#include "app/engines.hpp"
#include "base/text.hpp"
#include "cli/arguments.hpp"
#include "cli/completions.hpp"
#include "cli/help.hpp"
#include "cli/terminal.hpp"
#include "cli/verb.hpp"
#include "engine/worker.hpp"

namespace joulery::cli {
namespace {

config::Environment read_environment(char** variables) {
  config::Environment environment;
  for (char** entry = variables; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    environment.entries.emplace_back(text);
    const auto equals = text.find('=');
    if (equals != std::string_view::npos) {
      environment.variables.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
  }
  environment.home = environment.get("HOME");
  if (environment.home.empty() || environment.home.front() != '/') {
    std::array<char, 4096> buffer{};
    passwd entry{};
    passwd* found = nullptr;
    const bool known =
        ::getpwuid_r(::getuid(), &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr;
    environment.home = known ? entry.pw_dir : "";
  }
  std::array<char, PATH_MAX> folder{};
  environment.working_directory = ::getcwd(folder.data(), folder.size()) != nullptr ? folder.data() : "/";
  return environment;
}

Status set_flags(app::Application& application, const Arguments& arguments) {
  const auto apply = [&](const std::vector<Flag>& flags) -> Status {
    for (const Flag& flag : flags) {
      if (flag.setting.empty()) continue;
      if (const auto value = arguments.value(flag.name)) {
        JOULERY_CHECK_OK(application.config().set_flag(flag.setting, *value, "--" + flag.name));
      }
    }
    return {};
  };
  JOULERY_CHECK_OK(apply(global_flags()));
  return arguments.verb != nullptr ? apply(arguments.verb->flags) : Status();
}

VerbResult dispatch(app::Application& application, const Arguments& arguments) {
  const std::string& name = arguments.verb->name;
  if (name == "run") return run_verb(application, arguments);
  if (name == "doctor") return doctor_verb(application, arguments);
  if (name == "runs") return runs_verb(application, arguments);
  if (name == "show") return show_verb(application, arguments);
  if (name == "bench") return bench_verb(application, arguments);
  if (name == "compare") return compare_verb(application, arguments);
  if (name == "report") return report_verb(application, arguments);
  if (name == "export") return export_verb(application, arguments);
  if (name == "import") return import_verb(application, arguments);
  if (name == "rm") return remove_verb(application, arguments);
  if (name == "gc") return gc_verb(application, arguments);
  if (name == "data") return data_verb(application, arguments);
  if (name == "engines") return engines_verb(application, arguments);
  if (name == "config") return config_verb(application, arguments);
  return kExitInternal;
}

VerbResult print_and_end(const std::string& text) {
  JOULERY_CHECK_OK(print(Stream::out, text));
  return kExitOk;
}

/// What needs neither settings nor a store, so that nothing wrong with them is in its way.
std::optional<VerbResult> without_settings(const Arguments& arguments, char** variables) {
  if (arguments.has("version")) return print_and_end(fmt::format("joulery {}\n", app::version()));
  if (arguments.has("help")) {
    return print_and_end(arguments.verb != nullptr ? verb_text(*arguments.verb, text_width(Stream::out))
                                                   : overview_text(text_width(Stream::out)));
  }
  if (arguments.verb == nullptr) return std::nullopt;
  if (arguments.verb->name == "man") return man_verb(variables);
  if (arguments.verb->name != "completions") return std::nullopt;
  return print_and_end(completion_script(arguments.operands.front()));
}

/// Nobody wants to read messages in the middle of a word.
void complete_quietly(const Arguments& arguments, char** variables, meter::InheritedSignals signals) {
  auto application = app::Application::create(read_environment(variables), signals);
  if (application && set_flags(**application, arguments)) complete_verb(**application, arguments);
}

/// The exit code of an error: `run` keeps a shell's codes for everything that is ours.
int fail(const Arguments* arguments, const Error& error, const Palette& colors) {
  print_error(error, colors);
  const bool metering = arguments != nullptr && arguments->verb != nullptr && arguments->verb->takes_command;
  return metering && error.kind != Error::Kind::user ? 125 : exit_code_of(error);
}

/// A standard stream that our caller closed would be the next file that we open, and what we print would go
/// into it. So something stands there that can't be used, as before, and that a command we start does not
/// get.
void hold_closed_streams() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(descriptor, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest free number is this one. Input can only be written, and output only be read: EBADF for us.
    const int mode = descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY;
    if (::open("/dev/null", mode | O_CLOEXEC) < 0) static_cast<void>(::open("/", O_PATH | O_CLOEXEC));
  }
}

int run_program(int argc, char** argv, char** variables) {
  hold_closed_streams();
  const meter::InheritedSignals signals = meter::InheritedSignals::capture();
  // A closed pipe is seen as EPIPE where it is written to.
  ::signal(SIGPIPE, SIG_IGN);
  // As is a limit on file sizes, as EFBIG.
  ::signal(SIGXFSZ, SIG_IGN);
  const auto arguments = parse_arguments(std::vector<std::string>(argv + 1, argv + argc));
  if (arguments) {
    if (const auto code = without_settings(*arguments, variables)) {
      // Nothing is metered, so that even with `run --help` these are no codes of `run`.
      return *code ? **code : fail(nullptr, code->error(), {});
    }
    if (arguments->verb != nullptr && arguments->verb->name == app::kEngineWorkerVerb) {
      return engine::serve_engine();
    }
    if (arguments->verb != nullptr && arguments->verb->internal) {
      complete_quietly(*arguments, variables, signals);
      return kExitOk;
    }
  }
  auto application = app::Application::create(read_environment(variables), signals);
  if (!arguments) {
    return fail(nullptr, arguments.error(), application ? palette(**application, Stream::err) : Palette{});
  }
  if (!application) return fail(&*arguments, application.error(), {});
  for (const std::string& note : (*application)->config().notes()) {
    static_cast<void>(print(Stream::err, fmt::format("note: {}\n", printable(note))));
  }
  if (arguments->verb == nullptr) {
    static_cast<void>(print(Stream::err, overview_text(text_width(Stream::err))));
    return kExitUsage;
  }
  if (const Status set = set_flags(**application, *arguments); !set) {
    return fail(&*arguments, set.error(), palette(**application, Stream::err));
  }
  const VerbResult code = dispatch(**application, *arguments);
  if (!code) return fail(&*arguments, code.error(), palette(**application, Stream::err));
  return *code;
}

}  // namespace

namespace {

/// A full store keeps them all back for one reason, which is said once.
std::string kept_text(const record::IngestReport& report) {
  std::map<std::string, std::vector<std::string>> by_reason;
  for (const auto& [file, why] : report.kept) by_reason[why].push_back(file);
  std::string text;
  for (const auto& [why, files] : by_reason) {
    if (files.size() == 1) {
      text += fmt::format("note: {} is kept: {}\n", printable(files.front()), printable(why));
    } else {
      text += fmt::format("note: {} runs are kept in {}: {}\n", files.size(),
                          printable(files.front().substr(0, files.front().rfind('/'))), printable(why));
    }
  }
  return text;
}

}  // namespace

Result<std::unique_ptr<record::Store>> open_store_and_tell(app::Application& application,
                                                           app::Application::StoreAccess access) {
  record::IngestReport report;
  auto store = application.open_store(access, &report);
  std::string text;
  for (const std::string& id : report.recovered_run_ids) {
    text += fmt::format("note: run {} was cut off; what was metered of it is kept, marked KILLED\n", id);
  }
  text += kept_text(report);
  for (const record::IngestReport::Refused& refused : report.refused) {
    text += fmt::format("note: {} {} and is now {}: {}\n", printable(refused.path),
                        refused.stored_in_part ? "could be taken into the store only in part"
                                               : "can't be taken into the store",
                        printable(refused.moved_to), printable(refused.reason));
  }
  if (!text.empty()) static_cast<void>(print(Stream::err, text));
  return store;
}

Result<std::vector<record::Run>> search_and_tell(record::Store& store, const record::RunQuery& query) {
  JOULERY_ASSIGN(auto runs, store.search_runs(query));
  JOULERY_ASSIGN(const auto unknown, store.unknown_metrics(query));
  std::string text;
  for (const record::UnknownMetric& metric : unknown) {
    text += fmt::format(
        "note: no run has a metric '{}'{}\n", printable(metric.key),
        metric.suggestion.empty() ? "" : fmt::format("; did you mean '{}'?", printable(metric.suggestion)));
  }
  if (!text.empty()) static_cast<void>(print(Stream::err, text));
  return runs;
}

int main(int argc, char** argv, char** environment) {
  try {
    return run_program(argc, argv, environment);
  } catch (const std::exception& error) {
    print_error({.kind = Error::Kind::internal,
                 .message = fmt::format("internal error: {}", printable(error.what())),
                 .hint = "please report it with the output of `joulery doctor --report`"},
                {});
    return kExitInternal;
  }
}

}  // namespace joulery::cli
