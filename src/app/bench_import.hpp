#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "record/store.hpp"

namespace joulery::app {

/// What another tool's benchmark says, in our units.
struct BenchReport {
  /// "optimum-benchmark" or "aienergyscore".
  std::string source;
  /// Of the model or the benchmark; empty if the file names none.
  std::string name;
  /// By our metrics' names, without prefix.
  std::map<std::string, double> figures;
  std::map<std::string, std::string> params;
  /// Which of the figures are energy, and whether of GPUs alone.
  bool has_energy = false;
  /// What was left out, or does not add up.
  std::vector<std::string> remarks;
  /// Of all calls that were timed together; 0 if it is not told.
  double measured_seconds = 0;
};

/// Reads optimum-benchmark's benchmark_report.json (or its benchmark.json, which has the settings too), and
/// AI Energy Score's GPU_ENERGY_SUMMARY.json or the benchmark_report.json of its own runner; told apart by
/// content. User error for what is none of these, for numbers that can't be, and for units that are not
/// known: a guess could be wrong a thousand times over.
Result<BenchReport> parse_bench_report(std::string_view text);

struct BenchImport {
  std::string run_id;
  /// False: the record has it already, or it was deleted there.
  bool added = false;
};

/// A run of the record. Its id comes from the file's bytes, so that one file is one run. These files tell no
/// time: `file_utc_ns` (when the file was written) counts as the end. How they knew energy is not in them, so
/// it counts as assumed, without a range.
Result<BenchImport> import_bench_report(record::Store& store, std::string_view text,
                                        const BenchReport& report, const std::string& fallback_name,
                                        const std::string& experiment, std::int64_t file_utc_ns);

}  // namespace joulery::app
