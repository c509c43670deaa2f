#include "base/csv.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.hpp"

namespace joulery {
namespace {

constexpr std::size_t kMostColumns = 200;
constexpr std::size_t kMostRows = 1'000'000;

/// One pass over a text that must be RFC 4180.
class StrictReader {
 public:
  StrictReader(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  bool at_end() const { return position_ >= text_.size(); }
  unsigned line() const { return line_; }

  std::unexpected<Error> error(unsigned line, const std::string& what, std::string hint = {}) const {
    return user_error(fmt::format("{}:{}: {}", name_, line, what), std::move(hint));
  }

  Result<std::vector<std::string>> row() {
    std::vector<std::string> fields;
    while (true) {
      std::string field;
      JOULERY_CHECK_OK(read_field(field));
      fields.push_back(std::move(field));
      if (fields.size() > kMostColumns) return error(line_, fmt::format("more than {} fields", kMostColumns));
      if (at_end()) return fields;
      const char c = text_[position_];
      if (c == ',') {
        ++position_;
        continue;
      }
      // read_field stops at a comma or at the end of a line only.
      position_ += c == '\r' ? 2 : 1;
      ++line_;
      return fields;
    }
  }

 private:
  bool at_line_end() const {
    if (text_[position_] == '\n') return true;
    return text_[position_] == '\r' && position_ + 1 < text_.size() && text_[position_ + 1] == '\n';
  }

  Status read_field(std::string& field) {
    if (!at_end() && text_[position_] == '"') return read_quoted(field);
    const std::size_t start = position_;
    while (!at_end() && text_[position_] != ',' && !at_line_end()) {
      const char c = text_[position_];
      if (c == '"') return error(line_, "a quote inside a field that does not begin with one");
      if (!is_plain(c)) return control_character(c);
      ++position_;
    }
    field.assign(text_.substr(start, position_ - start));
    return {};
  }

  Status read_quoted(std::string& field) {
    const unsigned start = line_;
    ++position_;
    while (!at_end()) {
      const char c = text_[position_++];
      if (c == '"') {
        if (!at_end() && text_[position_] == '"') {
          field.push_back('"');
          ++position_;
          continue;
        }
        if (at_end() || text_[position_] == ',' || at_line_end()) return {};
        return error(line_, "text after a closing quote");
      }
      if (c == '\n') ++line_;
      if (c != '\n' && c != '\r' && !is_plain(c)) return control_character(c);
      field.push_back(c);
    }
    return error(start, "a quote that is never closed");
  }

  static bool is_plain(char c) { return static_cast<unsigned char>(c) >= 0x20 || c == '\t'; }
  Status control_character(char c) const {
    return error(line_, c == '\r' ? "a carriage return in the middle of a line" : "a control character");
  }

  std::string_view text_;
  const std::string& name_;
  std::size_t position_ = 0;
  unsigned line_ = 1;
};

}  // namespace

void CsvReader::read_quoted(std::size_t& i, std::string& field) {
  field.clear();
  bool quoted = false;
  for (; i < rest_.size(); ++i) {
    const char c = rest_[i];
    if (quoted) {
      if (c != '"') {
        field.push_back(c);
      } else if (i + 1 < rest_.size() && rest_[i + 1] == '"') {
        field.push_back('"');
        ++i;
      } else {
        quoted = false;
      }
    } else if (c == '"' && field.empty()) {
      quoted = true;
    } else if (c == separator_ || c == '\n') {
      return;
    } else if (c != '\r' || i + 1 >= rest_.size() || rest_[i + 1] != '\n') {
      field.push_back(c);
    }
  }
  is_unclosed_ = quoted;
}

bool CsvReader::next(std::vector<std::string>& fields) {
  while (!rest_.empty() && (rest_.front() == '\n' || rest_.front() == '\r')) rest_.remove_prefix(1);
  if (rest_.empty()) {
    fields.clear();
    return false;
  }
  std::size_t count = 0;
  std::size_t i = 0;
  while (true) {
    // The strings of the row before are filled again.
    if (count == fields.size()) fields.emplace_back();
    std::string& field = fields[count++];
    if (i < rest_.size() && rest_[i] == '"') {
      read_quoted(i, field);
    } else {
      const std::size_t start = i;
      while (i < rest_.size() && rest_[i] != separator_ && rest_[i] != '\n') ++i;
      const bool crlf = i < rest_.size() && rest_[i] == '\n' && i > start && rest_[i - 1] == '\r';
      field.assign(rest_.substr(start, i - start - (crlf ? 1 : 0)));
    }
    if (i >= rest_.size() || rest_[i] == '\n') break;
    ++i;
  }
  fields.resize(count);
  rest_.remove_prefix(i < rest_.size() ? i + 1 : i);
  return true;
}

std::string csv_field(std::string_view text) {
  std::string safe(text);
  if (!safe.empty() && std::string_view("=+-@\t\r").find(safe.front()) != std::string_view::npos &&
      !parse_double(safe)) {
    safe.insert(safe.begin(), '\'');
  }
  if (safe.find_first_of(",\"\n\r") == std::string::npos) return safe;
  std::string quoted = "\"";
  for (const char c : safe) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

std::string csv_line(std::span<const std::string> fields) {
  std::string line;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (i > 0) line += ',';
    line += csv_field(fields[i]);
  }
  return line + '\n';
}

std::optional<std::size_t> CsvTable::column(std::string_view name) const {
  const auto found = std::find(columns.begin(), columns.end(), name);
  if (found == columns.end()) return std::nullopt;
  return static_cast<std::size_t>(found - columns.begin());
}

Result<CsvTable> parse_csv_table(std::string_view text, const std::string& name) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  StrictReader reader(text, name);
  if (reader.at_end()) return reader.error(1, "the file is empty", "the first row names the columns");
  CsvTable table;
  JOULERY_ASSIGN(table.columns, reader.row());
  std::set<std::string> seen;
  for (const std::string& column : table.columns) {
    if (column.empty()) return reader.error(1, "a column without a name");
    if (!seen.insert(column).second)
      return reader.error(1, fmt::format("two columns are called '{}'", printable(column)));
  }
  while (!reader.at_end()) {
    CsvTable::Row row{.line = reader.line(), .fields = {}};
    JOULERY_ASSIGN(row.fields, reader.row());
    if (row.fields.size() != table.columns.size()) {
      return reader.error(row.line, fmt::format("{} fields where the heading has {}", row.fields.size(),
                                                table.columns.size()));
    }
    table.rows.push_back(std::move(row));
    if (table.rows.size() > kMostRows) return reader.error(reader.line(), "more rows than any table has");
  }
  return table;
}

}  // namespace joulery
