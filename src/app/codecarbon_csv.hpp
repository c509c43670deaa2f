#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
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

/// What the column `codecarbon_version` begins with in rows of ours (`joulery run --codecarbon-csv`).
constexpr std::string_view kOwnRowVersion = "joulery-";

/// The fields of one row by the names of their columns, which all rows of a file share. One text holds them
/// all: files have rows by the hundred thousand.
class CodeCarbonValues {
 public:
  using Columns = std::vector<std::string>;
  CodeCarbonValues() = default;
  CodeCarbonValues(std::initializer_list<std::pair<std::string, std::string>> values);
  /// As many fields as columns.
  CodeCarbonValues(std::shared_ptr<const Columns> columns, const std::vector<std::string>& fields);

  /// Empty if there is no such column. Valid as long as this is and is not changed.
  std::string_view at(std::string_view column) const;
  bool has(std::string_view column) const { return !at(column).empty(); }
  void set(const std::string& column, const std::string& value);
  std::size_t size() const { return ends_.size(); }
  const std::string& column(std::size_t i) const { return (*columns_)[i]; }
  std::string_view field(std::size_t i) const {
    const std::size_t begin = i == 0 ? 0 : ends_[i - 1];
    return std::string_view(text_).substr(begin, ends_[i] - begin);
  }

 private:
  std::shared_ptr<const Columns> columns_ = nullptr;
  std::string text_;
  std::vector<std::size_t> ends_;
};

struct CodeCarbonRow {
  std::uint64_t number = 0;  // 1 for the first row after the header
  CodeCarbonValues values;
  bool realigned = false;

  /// Written by joulery.
  bool is_own() const { return values.at("codecarbon_version").starts_with(kOwnRowVersion); }
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
/// realigned by the types of its values. A line that was cut off is a problem, not an error, also if others
/// follow it. Rows of ours may lack energy and emissions, which were not known. User error if it is no such
/// file.
Result<CodeCarbonFile> parse_codecarbon_csv(std::string_view text);

/// Values of a short row in the columns that they fit best, in order; empty if they fit none, or only if more
/// were dropped than any version did.
std::map<std::string, std::string> realign_codecarbon_row(const std::vector<std::string>& header,
                                                          const std::vector<std::string>& fields);

}  // namespace joulery::app
