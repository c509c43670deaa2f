#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/text.hpp"
#include "cli/terminal.hpp"
#include "cli/verb.hpp"

namespace joulery::cli {
namespace {

constexpr std::size_t kMostRuns = 50;
constexpr int kPatienceMs = 200;
constexpr std::size_t kShortId = 12;

/// What a shell can take as one candidate in a line of its own.
bool is_plain(const std::string& name) {
  return !name.empty() && name.front() != '-' && printable(name) == name;
}

/// A filter for what starts with `start`; LIKE's own signs and quotes match too much or nothing, and the
/// shell looks again at what it gets.
std::string starts_with(const char* attribute, std::string start) {
  for (char& character : start) {
    if (character == '\'' || character == '"' || character == '\\' || character == '%') character = '_';
  }
  return fmt::format("attributes.{} LIKE '{}%'", attribute, start);
}

std::vector<record::Run> find_runs(record::Store& store, const std::string& filter, bool deleted) {
  record::RunQuery query;
  query.filter = filter;
  query.max_results = kMostRuns;
  query.view = deleted ? record::RunQuery::View::deleted : record::RunQuery::View::active;
  return store.search_runs(query).value_or(std::vector<record::Run>());
}

std::string run_lines(record::Store& store, const std::string& start, bool deleted) {
  const std::vector<record::Run> by_id =
      find_runs(store, start.empty() ? "" : starts_with("run_id", start), deleted);
  std::string text;
  if (!deleted && !by_id.empty() && start.empty()) text += "last\tthe latest run\n";
  if (!deleted && !start.empty() && std::string_view("last").starts_with(start))
    text += "last\tthe latest run\n";
  for (const record::Run& run : by_id) {
    const std::string id = run.id.substr(0, std::max(kShortId, start.size()));
    const bool alone = std::count_if(by_id.begin(), by_id.end(),
                                     [&](const record::Run& other) { return other.id.starts_with(id); }) == 1;
    text += fmt::format("{}\t{}  {}  {}\n", alone ? id : run.id, printable(run.name),
                        format_utc(run.start_utc_ns), record::run_status_name(run.status));
  }
  for (const record::Run& run :
       start.empty() ? by_id : find_runs(store, starts_with("run_name", start), deleted)) {
    // A name stands for a run only if no other has it.
    if (!is_plain(run.name) || !run.name.starts_with(start)) continue;
    const auto meant = store.run(run.name);
    if (!meant || meant->id != run.id) continue;
    text += fmt::format("{}\t{}  {}  {}\n", run.name, run.id.substr(0, kShortId),
                        format_utc(run.start_utc_ns), record::run_status_name(run.status));
  }
  return text;
}

std::string experiment_lines(record::Store& store, const std::string& start) {
  std::string text;
  for (const record::Experiment& experiment :
       store.experiments(false).value_or(std::vector<record::Experiment>())) {
    if (is_plain(experiment.name) && experiment.name.starts_with(start)) text += experiment.name + "\t\n";
  }
  return text;
}

}  // namespace

void complete_verb(app::Application& application, const Arguments& arguments) {
  const auto path = application.store_path();
  struct stat info{};
  if (!path || ::stat(path->c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return;
  const auto store = record::open_sqlite_store(
      *path, {.create = false, .read_only = true, .busy_timeout_ms = kPatienceMs, .filesystem = {}});
  if (!store) return;
  const std::string& kind = arguments.operands[0];
  const std::string start = arguments.operands.size() > 1 ? arguments.operands[1] : "";
  if (kind == "experiments") {
    static_cast<void>(print(Stream::out, experiment_lines(**store, start)));
  } else if (kind == "runs" || kind == "deleted") {
    static_cast<void>(print(Stream::out, run_lines(**store, start, kind == "deleted")));
  }
}

}  // namespace joulery::cli
