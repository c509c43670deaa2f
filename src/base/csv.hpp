#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace joulery {

/// Reads RFC 4180 rows from a text in memory. Quoted fields, doubled quotes, CRLF and LF are understood; a
/// missing closing quote ends at the end of the text. Never fails: what is not CSV comes out as odd fields.
class CsvReader {
 public:
  /// `text` must outlive the reader.
  explicit CsvReader(std::string_view text, char separator = ',') : rest_(text), separator_(separator) {}
  /// Fills `fields` with the next row; false at the end. Blank lines are skipped.
  bool next(std::vector<std::string>& fields);
  /// True if the end of the text came before that of a quoted field.
  bool is_unclosed() const { return is_unclosed_; }

 private:
  /// The field that begins with a quote at `i`, which moves to the end of the field.
  void read_quoted(std::size_t& i, std::string& field);
  std::string_view rest_;
  char separator_;
  bool is_unclosed_ = false;
};

/// One field as RFC 4180 wants it. A text that a spreadsheet would run as a formula (a leading =, +, -, @,
/// tab or carriage return) gets a quote before it.
std::string csv_field(std::string_view text);
/// Fields and a line feed.
std::string csv_line(std::span<const std::string> fields);

/// A table whose first row names its columns.
struct CsvTable {
  struct Row {
    /// Where it starts, counted from 1.
    unsigned line = 0;
    std::vector<std::string> fields;  // as many as there are columns
  };
  std::vector<std::string> columns;
  std::vector<Row> rows;

  std::optional<std::size_t> column(std::string_view name) const;
};

/// The strict reader, for tables that figures rest on: what is not RFC 4180 to the letter, or has a row with
/// more or fewer fields than columns, is a user error that begins with "name:line:". A byte order mark is
/// passed over.
Result<CsvTable> parse_csv_table(std::string_view text, const std::string& name);

}  // namespace joulery
