// Search of runs: the filter's AST as SQL with bound values. A comparison of a metric, param or tag is a
// join, since a run has at most one of a key; so SQLite starts from whichever is most selective.

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "base/text.hpp"
#include "record/run_filter.hpp"
#include "record/sqlite/sqlite_store.hpp"

namespace joulery::record::sqlite {
namespace {

using Value = std::variant<std::int64_t, double, std::string>;

/// A query under construction. SQL holds no value of the user's.
struct Query {
  std::string joins;
  std::vector<Value> join_values;
  std::string conditions;
  std::vector<Value> condition_values;
  std::string orders;
  int aliases = 0;
};

const char* sql_operator(FilterOperator comparison) {
  switch (comparison) {
    case FilterOperator::equal:
      return "=";
    case FilterOperator::not_equal:
      return "<>";
    case FilterOperator::less:
      return "<";
    case FilterOperator::less_equal:
      return "<=";
    case FilterOperator::greater:
      return ">";
    case FilterOperator::greater_equal:
      return ">=";
    case FilterOperator::like:
      return "GLOB";
    case FilterOperator::ilike:
      return "LIKE";
    case FilterOperator::in:
      return "IN";
    case FilterOperator::not_in:
      return "NOT IN";
    case FilterOperator::is_null:
      return "IS NULL";
    case FilterOperator::is_not_null:
      return "IS NOT NULL";
  }
  return "=";
}

/// SQLite's LIKE ignores case; its GLOB does not, with other wildcards.
std::string as_glob(const std::string& pattern) {
  std::string glob;
  for (const char c : pattern) {
    if (c == '%') {
      glob += '*';
    } else if (c == '_') {
      glob += '?';
    } else if (c == '*' || c == '?' || c == '[') {
      glob += fmt::format("[{}]", c);
    } else {
      glob += c;
    }
  }
  return glob;
}

/// " = ?" or " IN (?, ?)", with the values appended to `values`.
std::string condition(const FilterComparison& comparison, std::vector<Value>& values) {
  for (const auto& value : comparison.values) {
    if (const auto* text = std::get_if<std::string>(&value)) {
      values.emplace_back(comparison.comparison == FilterOperator::like ? as_glob(*text) : *text);
    } else {
      values.emplace_back(std::get<double>(value));
    }
  }
  const char* text = sql_operator(comparison.comparison);
  if (comparison.comparison != FilterOperator::in && comparison.comparison != FilterOperator::not_in) {
    return fmt::format(" {} ?", text);
  }
  std::string places = "?";
  for (std::size_t i = 1; i < comparison.values.size(); ++i) places += ", ?";
  return fmt::format(" {} ({})", text, places);
}

const char* column_of(RunAttribute attribute) {
  switch (attribute) {
    case RunAttribute::run_id:
      return "r.uuid";
    case RunAttribute::run_name:
      return "r.name";
    case RunAttribute::status:
      return "r.status";
    case RunAttribute::user_id:
      return "r.user";
    case RunAttribute::start_time:
      return "(r.start_utc_ns / 1000000)";
    case RunAttribute::end_time:
      return "(nullif(r.end_utc_ns, 0) / 1000000)";
    case RunAttribute::experiment:
      return "(SELECT name FROM experiments WHERE id = r.experiment)";
    case RunAttribute::host_id:
      return "(SELECT uuid FROM hosts WHERE id = r.host)";
    case RunAttribute::artifact_uri:
      return "(SELECT value FROM tags WHERE run = r.id AND key = (SELECT id FROM keys WHERE name = "
             "'joulery.artifact_uri'))";
  }
  return "r.uuid";
}

const char* table_of(FilterEntity entity) {
  if (entity == FilterEntity::metric) return "metrics";
  return entity == FilterEntity::param ? "params" : "tags";
}

void add_dataset(const FilterComparison& comparison, Query& query) {
  if (comparison.key == "context") {
    query.conditions +=
        " AND r.id IN (SELECT i.run FROM input_tags t JOIN inputs i ON i.id = t.input WHERE t.name = "
        "'mlflow.data.context' AND t.value" +
        condition(comparison, query.condition_values) + ")";
    return;
  }
  query.conditions += fmt::format(
      " AND r.id IN (SELECT i.run FROM datasets d JOIN inputs i ON i.dataset = d.id WHERE d.{}{})",
      comparison.key == "name" ? "name" : "digest", condition(comparison, query.condition_values));
}

void add_keyed(const FilterComparison& comparison, std::optional<std::int64_t> key, Query& query) {
  const char* table = table_of(comparison.entity);
  const bool absent = comparison.comparison == FilterOperator::is_null;
  if (!key) {
    if (!absent) query.conditions += " AND 0";
    return;
  }
  if (absent) {
    query.conditions += fmt::format(" AND NOT EXISTS (SELECT 1 FROM {} WHERE run = r.id AND key = ?)", table);
    query.condition_values.emplace_back(*key);
    return;
  }
  const int alias = query.aliases++;
  query.joins += fmt::format(" JOIN {0} f{1} ON f{1}.run = r.id AND f{1}.key = ?", table, alias);
  query.join_values.emplace_back(*key);
  if (comparison.comparison == FilterOperator::is_not_null) return;
  query.joins += fmt::format(" AND f{}.value{}", alias, condition(comparison, query.join_values));
}

void add_order(const RunOrder& order, std::optional<std::int64_t> key, Query& query) {
  const char* direction = order.ascending ? "ASC" : "DESC";
  if (order.entity == FilterEntity::attribute) {
    const char* column = column_of(order.attribute);
    query.orders += fmt::format("{0} IS NULL, {0} {1}, ", column, direction);
    return;
  }
  if (!key) return;
  const int alias = query.aliases++;
  // Left alone, the planner takes the primary key of metrics, whose rows are wide and lie by run.
  query.joins +=
      fmt::format(" LEFT JOIN {0} f{1}{2} ON f{1}.run = r.id AND f{1}.key = ?", table_of(order.entity), alias,
                  order.entity == FilterEntity::metric ? " INDEXED BY metrics_by_key" : "");
  query.join_values.emplace_back(*key);
  // NaN (NULL here) comes after all numbers, and no metric at all after that.
  query.orders += fmt::format("f{0}.run IS NULL, f{0}.value IS NULL, f{0}.value {1}, ", alias, direction);
}

}  // namespace

Result<std::optional<std::int64_t>> SqliteStore::queried_key(const RunQuery& query, FilterEntity entity,
                                                             const std::string& name) {
  if (entity != FilterEntity::metric) return find("SELECT id FROM keys WHERE name = ?", name);
  constexpr const char* kMetricKey =
      "SELECT id FROM keys WHERE name = ? AND EXISTS (SELECT 1 FROM metrics WHERE key = keys.id)";
  JOULERY_ASSIGN(const auto key, find(kMetricKey, name));
  if (key || query.metric_prefix.empty()) return key;
  return find(kMetricKey, query.metric_prefix + name);
}

Result<std::vector<UnknownMetric>> SqliteStore::unknown_metrics(const RunQuery& query) {
  std::vector<std::string> named;
  JOULERY_ASSIGN(const auto comparisons, parse_run_filter(query.filter));
  for (const FilterComparison& comparison : comparisons) {
    if (comparison.entity == FilterEntity::metric) named.push_back(comparison.key);
  }
  for (const std::string& text : query.order_by) {
    JOULERY_ASSIGN(const RunOrder order, parse_run_order(text));
    if (order.entity == FilterEntity::metric) named.push_back(order.key);
  }
  std::vector<UnknownMetric> unknown;
  for (const std::string& key : named) {
    JOULERY_ASSIGN(const auto row, queried_key(query, FilterEntity::metric, key));
    if (!row) unknown.push_back({key, {}});
  }
  if (unknown.empty()) return unknown;
  // Keys are few, but a store of someone's experiments may have very many.
  JOULERY_ASSIGN(Statement select,
                 database_->prepare("SELECT name FROM keys WHERE EXISTS (SELECT 1 FROM metrics WHERE "
                                    "key = keys.id) LIMIT 2000"));
  std::vector<std::string> candidates;
  while (true) {
    JOULERY_ASSIGN(const bool row, select.step());
    if (!row) break;
    std::string name = select.text(0);
    if (!query.metric_prefix.empty() && name.starts_with(query.metric_prefix))
      name.erase(0, query.metric_prefix.size());
    candidates.push_back(std::move(name));
  }
  for (UnknownMetric& metric : unknown) {
    metric.suggestion = did_you_mean(metric.key, candidates).value_or("");
  }
  return unknown;
}

Result<std::vector<Run>> SqliteStore::search_runs(const RunQuery& query) {
  Query built;
  std::vector<RunOrder> orders;
  JOULERY_ASSIGN(const auto comparisons, parse_run_filter(query.filter));
  if (query.order_by.size() > kMaxRunOrders) {
    return user_error(fmt::format("order: runs are ordered by at most {} things", kMaxRunOrders));
  }
  for (const FilterComparison& comparison : comparisons) {
    if (comparison.entity == FilterEntity::attribute) {
      built.conditions += " AND ";
      built.conditions += column_of(comparison.attribute);
      built.conditions += condition(comparison, built.condition_values);
    } else if (comparison.entity == FilterEntity::dataset) {
      add_dataset(comparison, built);
    } else {
      JOULERY_ASSIGN(const auto key, queried_key(query, comparison.entity, comparison.key));
      add_keyed(comparison, key, built);
    }
  }
  for (const std::string& text : query.order_by) {
    JOULERY_ASSIGN(const RunOrder order, parse_run_order(text));
    std::optional<std::int64_t> key;
    if (order.entity != FilterEntity::attribute) {
      JOULERY_ASSIGN(key, queried_key(query, order.entity, order.key));
    }
    add_order(order, key, built);
  }
  JOULERY_ASSIGN(const std::string experiments, experiment_condition(query.experiments));
  const char* view = query.view == RunQuery::View::active    ? "r.deleted = 0"
                     : query.view == RunQuery::View::deleted ? "r.deleted = 1"
                                                             : "r.deleted >= 0";
  const std::string sql = fmt::format(
      "SELECT r.id FROM runs r{} WHERE {}{}{} ORDER BY {}r.start_utc_ns DESC, r.uuid LIMIT ? OFFSET ?",
      built.joins, view, experiments, built.conditions, built.orders);
  JOULERY_ASSIGN(Statement select, database_->prepare(sql));
  for (const auto* values : {&built.join_values, &built.condition_values}) {
    for (const Value& value : *values) {
      std::visit([&](const auto& inner) { select.bind(inner); }, value);
    }
  }
  constexpr std::size_t kMost = std::numeric_limits<std::int64_t>::max();
  select.bind(std::min(query.max_results, kMost)).bind(std::min(query.offset, kMost));
  std::vector<std::int64_t> rows;
  while (true) {
    JOULERY_ASSIGN(const bool row, select.step());
    if (!row) return load_runs(rows);
    rows.push_back(select.integer(0));
  }
}

Result<std::string> SqliteStore::experiment_condition(const std::vector<std::string>& names) {
  if (names.empty())
    return std::string(" AND r.experiment IN (SELECT id FROM experiments WHERE deleted = 0)");
  std::vector<std::int64_t> rows;
  for (const std::string& name : names) {
    JOULERY_ASSIGN(const auto row, find("SELECT id FROM experiments WHERE name = ?", name));
    if (row) {
      rows.push_back(*row);
      continue;
    }
    JOULERY_ASSIGN(const auto known, experiments(false));
    std::vector<std::string> candidates;
    for (const Experiment& experiment : known) candidates.push_back(experiment.name);
    const auto near = did_you_mean(name, candidates);
    constexpr std::size_t kMostListed = 10;
    const bool few = !candidates.empty() && candidates.size() <= kMostListed;
    return user_error(fmt::format("there is no experiment '{}'", printable(name)),
                      near  ? fmt::format("did you mean '{}'?", printable(*near))
                      : few ? fmt::format("there {} {}", candidates.size() == 1 ? "is" : "are",
                                          printable(fmt::format("{}", fmt::join(candidates, ", "))))
                            : std::string("`joulery runs --json` tells the experiment of each run"));
  }
  return fmt::format(" AND r.experiment IN ({})", fmt::join(rows, ", "));
}

}  // namespace joulery::record::sqlite
