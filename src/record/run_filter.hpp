#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.hpp"

namespace joulery::record {

enum class FilterEntity { attribute, metric, param, tag, dataset };

enum class FilterOperator {
  equal,
  not_equal,
  less,
  less_equal,
  greater,
  greater_equal,
  like,
  ilike,
  in,
  not_in,
  is_null,
  is_not_null
};

/// What attributes of a run can be compared by. Numbers are compared in MLflow's unit, milliseconds.
enum class RunAttribute {
  run_id,
  run_name,
  status,
  artifact_uri,
  user_id,
  experiment,
  host_id,
  start_time,
  end_time
};

/// One comparison, such as metrics.loss < 0.1.
struct FilterComparison {
  FilterEntity entity = FilterEntity::attribute;
  /// Key of the metric, param or tag; name, digest or context of a data set; empty for an attribute.
  std::string key;
  RunAttribute attribute = RunAttribute::run_id;
  FilterOperator comparison = FilterOperator::equal;
  /// One value; several for IN; none for IS NULL. A number for metrics and times, else a text.
  std::vector<std::variant<double, std::string>> values;
};

/// What to order runs by. Runs without a value come last.
struct RunOrder {
  FilterEntity entity = FilterEntity::attribute;
  std::string key;
  RunAttribute attribute = RunAttribute::start_time;
  bool ascending = true;
};

constexpr std::size_t kMaxFilterBytes = 10'000;
constexpr std::size_t kMaxFilterComparisons = 32;
constexpr std::size_t kMaxRunOrders = 8;

/// Parses MLflow's filter grammar: comparisons joined by AND, all of which must hold. An empty filter has
/// none. Times are milliseconds or a text in ISO 8601 ("start_time >= '2026-11-20'", see iso_time.hpp); a
/// status is read in any case. A user error says what is wrong at which column.
Result<std::vector<FilterComparison>> parse_run_filter(std::string_view text);

/// Parses "metrics.loss DESC", "start_time", "tags.`my key` ASC".
Result<RunOrder> parse_run_order(std::string_view text);

bool is_numeric(RunAttribute attribute);

}  // namespace joulery::record
