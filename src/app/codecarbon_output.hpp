#pragma once

#include <string>
#include <vector>

#include "app/csv_append.hpp"
#include "footprint/tables.hpp"
#include "meter/session.hpp"

namespace joulery::app {

/// `run --codecarbon-csv FILE`: a row of each run in CodeCarbon's columns, and its ranges in a file beside
/// it.
class CodeCarbonOutput {
 public:
  /// User error if a row could not be appended now to either file.
  static Result<CodeCarbonOutput> create(const std::string& path);
  /// Appends a row to both. What a person should know of it, such as an older file that was moved aside,
  /// comes back as lines.
  Result<std::vector<std::string>> append(const meter::MeteredRun& run, const footprint::DataSet& data) const;

 private:
  CodeCarbonOutput() = default;
  SharedCsv emissions_;
  SharedCsv ranges_;
};

/// "emissions.csv" → "emissions.ranges.csv".
std::string ranges_path(const std::string& path);

}  // namespace joulery::app
