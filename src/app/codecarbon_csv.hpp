#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace joulery::app {

enum class CodeCarbonType { timestamp, text, number, count, uuid, country, tracking_mode, yes_no };

struct CodeCarbonColumn {
  std::string_view name;
  CodeCarbonType type;
  /// A version of CodeCarbon wrote nothing at all, not even the separator, where it had no value.
  bool droppable;
};

/// The columns of emissions.csv, in CodeCarbon's order (3.1 to 3.3).
const std::array<CodeCarbonColumn, 38>& codecarbon_columns();

/// One row: values by column, without those that are empty.
struct CodeCarbonRow {
  std::uint64_t number = 0;  // 1 for the first row after the header
  std::map<std::string, std::string> values;
  bool realigned = false;
};

struct CodeCarbonFile {
  std::vector<CodeCarbonRow> rows;
  struct Problem {
    std::uint64_t row = 0;
    std::string reason;
  };
  /// Rows that could not be read.
  std::vector<Problem> problems;
};

/// Reads emissions.csv or a file of tasks, of any version: columns by their names, comma, semicolon or tab,
/// decimal commas where the comma does not separate. A row that is short because empty values were dropped is
/// realigned by the types of its values. A last line that was cut off is a problem, not an error. User error
/// if it is no such file.
Result<CodeCarbonFile> parse_codecarbon_csv(std::string_view text);

/// Values of a short row in the columns that they fit best, in order; empty if they fit none.
std::map<std::string, std::string> realign_codecarbon_row(const std::vector<std::string>& header,
                                                          const std::vector<std::string>& fields);

}  // namespace joulery::app
