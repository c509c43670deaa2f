#include "app/codecarbon_csv.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/csv.hpp"
#include "base/text.hpp"

namespace joulery::app {
namespace {

using Type = CodeCarbonType;

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
/// Without these a row says nothing.
constexpr std::array<std::string_view, 4> kNeeded = {"timestamp", "duration", "emissions", "energy_consumed"};
/// Wider files are none of CodeCarbon's.
constexpr std::size_t kMostColumns = 200;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool looks_like_timestamp(std::string_view text) {
  // 2026-01-31T12:34:56, perhaps with a blank for the T, perhaps with more after it.
  static constexpr std::string_view kShape = "dddd-dd-dd?dd:dd:dd";
  if (text.size() < kShape.size()) return false;
  for (std::size_t i = 0; i < kShape.size(); ++i) {
    const bool fits = kShape[i] == 'd' ? is_digit(text[i]) : kShape[i] == '?' || kShape[i] == text[i];
    if (!fits) return false;
  }
  return true;
}

bool looks_like_uuid(std::string_view text) {
  return text.size() == 36 && text[8] == '-' && text[13] == '-' && text[18] == '-' && text[23] == '-';
}

/// How badly a value fits a column; infinity if it can't be meant.
double misfit(Type type, std::string_view value) {
  constexpr double kNever = std::numeric_limits<double>::infinity();
  constexpr double kUnlikely = 1;
  if (value.empty()) return 0;
  const auto parsed = parse_double(value);
  const bool number = parsed.has_value();
  switch (type) {
    case Type::timestamp:
      return looks_like_timestamp(value) ? 0 : kNever;
    case Type::number:
      return number ? 0 : kNever;
    case Type::count:
      if (!number) return kNever;
      return *parsed >= 0 && *parsed == std::floor(*parsed) ? 0 : kUnlikely;
    case Type::uuid:
      return looks_like_uuid(value) ? 0 : kUnlikely;
    case Type::country:
      return value.size() == 3 && !number ? 0 : kUnlikely;
    case Type::tracking_mode:
      return value == "machine" || value == "process" ? 0 : kNever;
    case Type::yes_no:
      return value == "Y" || value == "N" ? 0 : kNever;
    case Type::text:
      return number ? kUnlikely : 0;
  }
  return kNever;
}

const CodeCarbonColumn* column_of(std::string_view name) {
  for (const CodeCarbonColumn& column : codecarbon_columns()) {
    if (column.name == name) return &column;
  }
  return nullptr;
}

constexpr double kSeldomDropped = 10;

double cost_of_dropping(const CodeCarbonColumn* column) {
  if (column == nullptr || !column->droppable) return kSeldomDropped;
  // The number of GPUs is known to be 0 more often than a place or a model is known.
  if (column->name == "gpu_count") return 0.15;
  return 0.1;
}

char separator_of(std::string_view header) {
  const auto count = [&](char c) { return std::count(header.begin(), header.end(), c); };
  if (count(';') > count(',') && count(';') >= count('\t')) return ';';
  return count('\t') > count(',') ? '\t' : ',';
}

/// "1,5" to "1.5" in columns of numbers, where the comma is not what separates.
void mend_decimal_comma(std::string& value) {
  const auto comma = value.find(',');
  if (comma == std::string::npos || value.find('.') != std::string::npos) return;
  std::string mended = value;
  mended[comma] = '.';
  if (parse_double(mended)) value = std::move(mended);
}

/// Columns that rows of ours leave empty where energy is not known.
bool may_be_unknown(std::string_view column) {
  return column == "emissions" || column == "energy_consumed";
}

/// Plain letters in units of so many bytes, of which all but the first or the last are 0.
bool has_letters_of(std::string_view text, std::size_t bytes) {
  if (text.size() < 2 * bytes) return false;
  const auto letters_at = [&](std::size_t place) {
    for (std::size_t i = 0; i < 2 * bytes; ++i) {
      if ((text[i] != '\0') != (i % bytes == place)) return false;
    }
    return true;
  };
  return letters_at(0) || letters_at(bytes - 1);
}

Status check_encoding(std::string_view text) {
  const bool utf32 = text.starts_with(std::string_view("\xff\xfe\0\0", 4)) ||
                     text.starts_with(std::string_view("\0\0\xfe\xff", 4)) || has_letters_of(text, 4);
  const bool utf16 = text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff") || has_letters_of(text, 2);
  if (utf32 || utf16) {
    const char* name = utf32 ? "UTF-32" : "UTF-16";
    return user_error(fmt::format("the file is {}{}", name, utf32 ? "" : ", as some spreadsheets save it"),
                      fmt::format("save it as UTF-8, or: iconv -f {} -t UTF-8 FILE > NEW", name));
  }
  if (text.substr(0, text.find('\n')).find('\0') != std::string_view::npos) {
    return user_error("this is no emissions file of CodeCarbon: it is binary, not text",
                      "name the emissions.csv that CodeCarbon wrote");
  }
  return {};
}

class Reader {
 public:
  Reader(std::string_view text, char separator) : text_(text), separator_(separator), csv_(text, separator) {}

  Result<CodeCarbonFile> read() {
    std::vector<std::string> header;
    if (!csv_.next(header)) return user_error("the file is empty");
    if (csv_.is_unclosed()) {
      return user_error("a quote in the first line is never closed",
                        "the first line has to name the columns, as CodeCarbon writes it");
    }
    if (header.size() > kMostColumns) return not_codecarbon("has too many columns");
    for (std::string& name : header) name = std::string(trim(name));
    for (const std::string_view needed : kNeeded) {
      if (std::find(header.begin(), header.end(), needed) == header.end()) {
        return not_codecarbon(fmt::format("has no column '{}'", needed).c_str());
      }
    }
    header_ = std::make_shared<const CodeCarbonValues::Columns>(std::move(header));
    read_types();
    std::vector<std::string> fields;
    bool more = csv_.next(fields);
    std::vector<std::string> next_fields;
    while (more) {
      more = csv_.next(next_fields);
      const bool swallowed = !more && csv_.is_unclosed() &&
                             std::any_of(fields.begin(), fields.end(), [](const std::string& field) {
                               return field.find('\n') != std::string::npos;
                             });
      if (swallowed) {
        file_.problems.push_back(
            {++number_, "a quote is never closed, which makes one field of all lines that follow"});
        break;
      }
      read_row(fields, !more && !text_.ends_with('\n'));
      std::swap(fields, next_fields);
    }
    return std::move(file_);
  }

 private:
  static std::unexpected<Error> not_codecarbon(const char* why) {
    return user_error(fmt::format("this is no emissions file of CodeCarbon: it {}", why),
                      "the first line has to name the columns, as CodeCarbon writes it");
  }

  /// Column types and the places of what every row needs.
  void read_types() {
    for (const std::string& name : *header_) columns_.push_back(column_of(name));
    for (const std::string_view needed : kNeeded) {
      needed_.push_back(
          static_cast<std::size_t>(std::find(header_->begin(), header_->end(), needed) - header_->begin()));
    }
  }

  /// Fields of a short row in their columns; empty if it can't be told which they are.
  std::vector<std::string> realigned(const std::vector<std::string>& fields) const {
    std::vector<std::string> all;
    const auto values = realign_codecarbon_row(*header_, fields);
    if (values.empty()) return all;
    for (const std::string& name : *header_) {
      const auto found = values.find(name);
      all.push_back(found == values.end() ? "" : found->second);
    }
    return all;
  }

  /// What is wrong with a row of more than one line, which CodeCarbon never writes; empty for one of a single
  /// line. Rows that it swallowed are counted, so that those after it have the numbers that they have for a
  /// reader of the file.
  std::string line_breaks(const std::vector<std::string>& fields) {
    std::string reason;
    for (std::size_t i = 0; i < fields.size(); ++i) {
      const std::string& field = fields[i];
      if (field.find_first_of("\r\n") == std::string::npos) continue;
      const auto breaks = static_cast<std::size_t>(std::count(field.begin(), field.end(), '\n'));
      number_ += breaks;
      if (!reason.empty()) continue;
      const std::string column = i < header_->size() ? printable((*header_)[i]).substr(0, 60) : "a field";
      const std::string count = breaks > 1 ? fmt::format("{} line breaks", breaks) : "a line break";
      reason = fmt::format("{} has {}, as a stray quote makes them of the lines that follow", column, count);
    }
    return reason;
  }

  void read_row(std::vector<std::string>& fields, bool maybe_cut_off) {
    CodeCarbonRow row;
    row.number = ++number_;
    const auto problem = [&](std::string reason) {
      file_.problems.push_back({row.number, std::move(reason)});
    };
    const std::size_t count = fields.size();
    if (const std::string broken = line_breaks(fields); !broken.empty()) return problem(broken);
    if (count > header_->size()) {
      return problem(fmt::format("{} fields under {} columns", count, header_->size()));
    }
    if (count < header_->size()) {
      if (maybe_cut_off) return problem("the last line is cut off");
      fields = realigned(fields);
      row.realigned = true;
      if (fields.empty()) {
        return problem(
            fmt::format("{} fields under {} columns, which fit none of them", count, header_->size()));
      }
    }
    if (separator_ != ',') {
      for (std::size_t i = 0; i < fields.size(); ++i) {
        const CodeCarbonColumn* column = columns_[i];
        if (column != nullptr && (column->type == Type::number || column->type == Type::count))
          mend_decimal_comma(fields[i]);
      }
    }
    row.values = CodeCarbonValues(header_, fields);
    for (std::size_t i = 0; i < kNeeded.size(); ++i) {
      const std::string_view value = row.values.field(needed_[i]);
      if (value.empty() && may_be_unknown(kNeeded[i]) && row.is_own()) continue;
      if (value.empty()) return problem(fmt::format("no {}", kNeeded[i]));
      if (misfit(columns_[needed_[i]]->type, value) > 0) {
        return problem(fmt::format("{} is '{}'", kNeeded[i], printable(value).substr(0, 60)));
      }
    }
    file_.rows.push_back(std::move(row));
  }

  std::string_view text_;
  char separator_;
  CsvReader csv_;
  std::shared_ptr<const CodeCarbonValues::Columns> header_;
  /// Null for a column that we don't know.
  std::vector<const CodeCarbonColumn*> columns_;
  std::vector<std::size_t> needed_;
  std::uint64_t number_ = 0;
  CodeCarbonFile file_;
};

}  // namespace

CodeCarbonValues::CodeCarbonValues(std::shared_ptr<const Columns> columns,
                                   const std::vector<std::string>& fields)
    : columns_(std::move(columns)) {
  std::size_t length = 0;
  for (const std::string& field : fields) length += field.size();
  text_.reserve(length);
  ends_.reserve(fields.size());
  for (const std::string& field : fields) {
    text_ += field;
    ends_.push_back(text_.size());
  }
}

CodeCarbonValues::CodeCarbonValues(std::initializer_list<std::pair<std::string, std::string>> values) {
  for (const auto& [column, value] : values) set(column, value);
}

std::string_view CodeCarbonValues::at(std::string_view column) const {
  for (std::size_t i = 0; i < ends_.size(); ++i) {
    if ((*columns_)[i] == column) return field(i);
  }
  return {};
}

void CodeCarbonValues::set(const std::string& column, const std::string& value) {
  Columns columns;
  std::vector<std::string> fields;
  for (std::size_t i = 0; i < size(); ++i) {
    columns.push_back(this->column(i));
    fields.emplace_back(field(i));
  }
  const auto found = std::find(columns.begin(), columns.end(), column);
  if (found != columns.end()) {
    fields[static_cast<std::size_t>(found - columns.begin())] = value;
  } else {
    columns.push_back(column);
    fields.push_back(value);
  }
  *this = CodeCarbonValues(std::make_shared<const Columns>(std::move(columns)), fields);
}

const std::array<CodeCarbonColumn, 38>& codecarbon_columns() {
  static constexpr std::array<CodeCarbonColumn, 38> kColumns = {{
      {"timestamp", Type::timestamp, false},
      {"project_name", Type::text, false},
      {"run_id", Type::uuid, false},
      {"experiment_id", Type::uuid, false},
      {"duration", Type::number, false},
      {"emissions", Type::number, false},
      {"emissions_rate", Type::number, false},
      {"cpu_power", Type::number, false},
      {"gpu_power", Type::number, false},
      {"ram_power", Type::number, false},
      {"cpu_energy", Type::number, false},
      {"gpu_energy", Type::number, false},
      {"ram_energy", Type::number, false},
      {"energy_consumed", Type::number, false},
      {"water_consumed", Type::number, false},
      {"country_name", Type::text, false},
      {"country_iso_code", Type::country, false},
      {"region", Type::text, true},
      {"cloud_provider", Type::text, true},
      {"cloud_region", Type::text, true},
      {"os", Type::text, false},
      {"python_version", Type::text, false},
      {"codecarbon_version", Type::text, false},
      {"cpu_count", Type::count, false},
      {"cpu_model", Type::text, false},
      {"gpu_count", Type::count, true},
      {"gpu_model", Type::text, true},
      {"longitude", Type::number, true},
      {"latitude", Type::number, true},
      {"ram_total_size", Type::number, false},
      {"tracking_mode", Type::tracking_mode, false},
      {"cpu_utilization_percent", Type::number, false},
      {"gpu_utilization_percent", Type::number, false},
      {"ram_utilization_percent", Type::number, false},
      {"ram_used_gb", Type::number, false},
      {"on_cloud", Type::yes_no, false},
      {"pue", Type::number, false},
      {"wue", Type::number, false},
  }};
  return kColumns;
}

std::map<std::string, std::string> realign_codecarbon_row(const std::vector<std::string>& header,
                                                          const std::vector<std::string>& fields) {
  const std::size_t columns = header.size();
  const std::size_t count = fields.size();
  constexpr double kNever = std::numeric_limits<double>::infinity();
  if (count > columns || columns > kMostColumns) return {};
  // cost[c][f]: of the first c columns taking the first f fields, as in an edit distance with deletions only.
  std::vector<std::vector<double>> cost(columns + 1, std::vector<double>(count + 1, kNever));
  std::vector<std::vector<bool>> taken(columns + 1, std::vector<bool>(count + 1, false));
  cost[0][0] = 0;
  for (std::size_t c = 0; c < columns; ++c) {
    const CodeCarbonColumn* column = column_of(header[c]);
    const Type type = column != nullptr ? column->type : Type::text;
    for (std::size_t f = 0; f <= std::min(c + 1, count); ++f) {
      const double dropped = cost[c][f] + cost_of_dropping(column);
      const double kept = f > 0 ? cost[c][f - 1] + misfit(type, fields[f - 1]) : kNever;
      taken[c + 1][f] = kept <= dropped;
      cost[c + 1][f] = std::min(kept, dropped);
    }
  }
  // No version dropped what is never empty; a line that was cut off in the middle looks as if one had.
  constexpr double kMostSeldom = 3;
  if (cost[columns][count] >= kMostSeldom * kSeldomDropped) return {};
  std::map<std::string, std::string> values;
  std::size_t f = count;
  for (std::size_t c = columns; c > 0; --c) {
    if (!taken[c][f]) continue;
    --f;
    if (!fields[f].empty()) values[header[c - 1]] = fields[f];
  }
  return values;
}

Result<CodeCarbonFile> parse_codecarbon_csv(std::string_view text) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  JOULERY_CHECK_OK(check_encoding(text));
  return Reader(text, separator_of(text.substr(0, text.find('\n')))).read();
}

}  // namespace joulery::app
