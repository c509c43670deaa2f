#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/quantity.hpp"
#include "base/result.hpp"
#include "meter/session.hpp"
#include "record/store.hpp"

namespace joulery::app {

/// Tags by which runs of `joulery run --repeat` find each other.
constexpr const char* kSeriesTag = "joulery.series";             // id of the series
constexpr const char* kSeriesIndexTag = "joulery.series_index";  // 1, 2, …

/// Tags by which runs of `joulery run --versus` find each other.
constexpr const char* kVersusTag = "joulery.versus";             // id of the whole session
constexpr const char* kVersusSideTag = "joulery.versus_side";    // "A" or "B"
constexpr const char* kVersusPairTag = "joulery.versus_pair";    // 1, 2, …
constexpr const char* kVersusOrderTag = "joulery.versus_order";  // "AB" or "BA"
constexpr const char* kVersusSeedTag = "joulery.versus_seed";

/// What a comparison needs of one run.
struct ComparedRun {
  std::string run_id;
  std::string name;
  std::string command;
  std::int64_t start_utc_ns = 0;
  std::string host_id;
  std::string host_name;
  std::string attribution;
  std::string idle_policy;
  /// Which grid factor its carbon rests on: ids of the sources that energy does not have.
  std::string grid;
  std::optional<meter::FunctionalUnit> per;
  /// Runs of the same pair ran side by side; empty for those of no pair.
  std::string pair;
  /// Nothing where it is not known.
  std::optional<double> duration_seconds;
  std::optional<double> cpu_seconds;
  std::optional<UncertainValue> energy;
  std::optional<UncertainValue> carbon;
  /// False for a value that came without a range, as an imported one: it is not exact, but how far it is off
  /// is not known.
  bool energy_has_range = true;
  bool carbon_has_range = true;
};

/// Runs that are to be taken together.
struct RunGroup {
  std::string label;
  std::vector<ComparedRun> runs;  // by start
  /// Runs that belong here but say nothing of the cost, and why.
  struct LeftOut {
    std::string run_id;
    std::string reason;
  };
  std::vector<LeftOut> left_out;
};

/// From the document of the run (docs/schemas/run.schema.json). An older one, and a run without any, are read
/// from what there is; what it does not tell is taken for its own, so that nothing cancels that may not.
ComparedRun compared_run(const record::Run& run, const std::string& document);
Result<ComparedRun> load_compared_run(record::Store& store, const record::Run& run);

/// The runs that an operand names: all of a name, all of a series (by its id), else one run as `show` finds
/// it and, unless `single`, the series that it belongs to.
Result<RunGroup> find_group(record::Store& store, const std::string& operand, bool single);
/// The two sides of the session of `run --versus` to which the run that `operand` names belongs.
Result<std::vector<RunGroup>> find_versus_groups(record::Store& store, const std::string& operand);
/// Runs that match `filter`, by the value of a tag; the group of `baseline` first, if it is given. User error
/// for fewer than two values.
Result<std::vector<RunGroup>> group_by_tag(record::Store& store, const std::string& tag,
                                           const std::string& filter,
                                           const std::optional<std::string>& baseline);

}  // namespace joulery::app
