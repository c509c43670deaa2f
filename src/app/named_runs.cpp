#include "app/named_runs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "app/compared_run.hpp"
#include "base/ids.hpp"
#include "base/text.hpp"

namespace joulery::app {
namespace {

std::vector<record::Run> runs_that(record::Store& store, const std::string& filter) {
  record::RunQuery query;
  query.metric_prefix = record::kOwnMetricPrefix;
  query.filter = filter;
  query.order_by = {"attributes.start_time ASC"};
  query.view = record::RunQuery::View::all;
  query.max_results = 100'000;
  return store.search_runs(query).value_or(std::vector<record::Run>());
}

/// Runs of a series or of a session. Of those, deleted ones only where nothing else is left.
std::vector<record::Run> runs_of_id(record::Store& store, const std::string& id) {
  if (!is_run_id(id)) return {};
  for (const char* tag : {kSeriesTag, kVersusTag}) {
    std::vector<record::Run> runs = runs_that(store, fmt::format("tags.`{}` = '{}'", tag, id));
    const auto is_deleted = [](const record::Run& run) { return run.deleted; };
    if (!std::all_of(runs.begin(), runs.end(), is_deleted)) std::erase_if(runs, is_deleted);
    if (!runs.empty()) return runs;
  }
  return {};
}

std::vector<record::Run> series_named(record::Store& store, const std::string& name) {
  // The grammar knows both quotes and no escape.
  const char quote = name.find('\'') == std::string::npos ? '\'' : '"';
  std::vector<record::Run> runs =
      runs_that(store, fmt::format("attributes.run_name = {}{}{}", quote, name, quote));
  std::erase_if(runs, [](const record::Run& run) { return run.deleted; });
  std::set<std::string> series;
  for (const record::Run& run : runs) {
    const auto found = run.tags.find(kSeriesTag);
    series.insert(found == run.tags.end() ? "" : found->second);
  }
  const bool one = series.size() == 1 && !series.begin()->empty();
  return one ? runs : std::vector<record::Run>();
}

}  // namespace

Result<std::vector<record::Run>> find_named_runs(record::Store& store, const std::vector<std::string>& names,
                                                 SharedName shared) {
  std::vector<record::Run> runs;
  std::set<std::string> seen;
  const auto add = [&](record::Run run) {
    if (seen.insert(run.id).second) runs.push_back(std::move(run));
  };
  for (const std::string& name : names) {
    auto run = store.run(name);
    if (run) {
      add(std::move(*run));
      continue;
    }
    std::vector<record::Run> several = runs_of_id(store, name);
    if (several.empty() && shared == SharedName::its_series) several = series_named(store, name);
    if (several.empty()) return std::unexpected(std::move(run.error()));
    for (record::Run& each : several) add(std::move(each));
  }
  return runs;
}

Result<record::Run> find_one_run(record::Store& store, const std::string& name) {
  auto run = store.run(name);
  if (run) return run;
  const std::vector<record::Run> several = runs_of_id(store, name);
  if (several.empty()) return run;
  const bool session =
      !several.front().tags.contains(kSeriesTag) || several.front().tags.at(kSeriesTag) != name;
  return user_error(
      fmt::format("{} is a {} of {}, not one run", name, session ? "session of `run --versus`" : "series",
                  format_count(double(several.size()), "runs")),
      fmt::format("all of it: joulery {}; its last run: joulery show {}",
                  session ? "compare " + name : "report " + name + " --html series.html", several.back().id));
}

}  // namespace joulery::app
