#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace joulery {

/// Reads RFC 4180 rows from a text in memory. Quoted fields, doubled quotes, CRLF and LF are understood; a
/// missing closing quote ends at the end of the text. Never fails: what is not CSV comes out as odd fields.
class CsvReader {
 public:
  /// `text` must outlive the reader.
  explicit CsvReader(std::string_view text, char separator = ',') : rest_(text), separator_(separator) {}
  /// Fills `fields` with the next row; false at the end. Blank lines are skipped.
  bool next(std::vector<std::string>& fields);

 private:
  std::string_view rest_;
  char separator_;
};

}  // namespace joulery
