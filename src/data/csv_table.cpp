#include "data/csv_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "base/csv.hpp"
#include "base/text.hpp"
#include "data/element_conversion.hpp"
#include "data/line_reader.hpp"

namespace joulery::data {
namespace {

constexpr std::size_t kMostColumns = 100'000;

std::optional<Number> number_of(std::string_view field) {
  field = trim(field);
  if (field.starts_with('+')) field.remove_prefix(1);
  if (const auto whole = parse_int64(field)) return Number(*whole);
  if (const auto large = parse_uint64(field)) return Number(*large);
  if (const auto real = parse_double(field)) return Number(*real);
  const std::string word = to_lower(field);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (word == "nan" || word == "-nan") return Number(std::numeric_limits<double>::quiet_NaN());
  if (word == "inf" || word == "infinity") return Number(kInfinity);
  if (word == "-inf" || word == "-infinity") return Number(-kInfinity);
  if (word == "true") return Number(std::int64_t{1});
  if (word == "false") return Number(std::int64_t{0});
  return std::nullopt;
}

Label label_of(const std::string& field) {
  if (field.empty()) return std::monostate();
  if (const auto whole = parse_int64(field)) return *whole;
  if (const auto real = parse_double(field)) return std::vector<double>{*real};
  return field;
}

char separator_of(std::string_view heading) {
  char best = ',';
  std::ptrdiff_t most = 0;
  for (const char candidate : {',', ';', '\t'}) {
    const auto count = std::ranges::count(heading, candidate);
    if (count > most) {
      best = candidate;
      most = count;
    }
  }
  return best;
}

class CsvSamples final : public Table {
 public:
  CsvSamples(LineReader lines, const DatasetLimits& limits) : lines_(std::move(lines)), limits_(limits) {}

  Status open() {
    JOULERY_ASSIGN(const bool has_heading, next_row());
    if (!has_heading) {
      return user_error(fmt::format("'{}' is empty", lines_.name()), "the first row names the columns");
    }
    std::set<std::string> names;
    bool is_all_numbers = true;
    for (const std::string& field : fields_) {
      Column& column = columns_.emplace_back();
      column.name = trim(field);
      column.kind = Column::Kind::written;
      if (!names.insert(column.name).second) {
        return user_error(fmt::format("'{}' has two columns called '{}'", lines_.name(), printable(field)));
      }
      is_all_numbers = is_all_numbers && number_of(field).has_value();
    }
    if (is_all_numbers) {
      return user_error(fmt::format("the first row of '{}' has numbers where the names of the columns belong",
                                    lines_.name()),
                        "put a row with the columns' names before the first");
    }
    JOULERY_ASSIGN(const bool has_row, next_row());
    for (std::size_t i = 0; has_row && i < columns_.size(); ++i) {
      columns_[i].is_numeric = number_of(fields_[i]).has_value();
    }
    return {};
  }

  Format format() const override { return Format::csv; }
  std::span<const Column> columns() const override { return columns_; }
  std::optional<std::uint64_t> count() const override { return std::nullopt; }

  Status select(std::span<const Selection> selections) override {
    selections_.assign(selections.begin(), selections.end());
    return rewind();
  }

  Status rewind() override {
    JOULERY_CHECK_OK(lines_.rewind());
    // The heading is no sample.
    JOULERY_CHECK_OK(next_row());
    return {};
  }

  Result<std::size_t> read(std::size_t most, std::span<Chunk> chunks) override {
    for (std::size_t i = 0; i < selections_.size(); ++i) {
      chunks[i].type = selections_[i].type;
      chunks[i].sample = Shape();
      chunks[i].bytes.clear();
      chunks[i].labels.clear();
    }
    std::size_t count = 0;
    while (count < most) {
      JOULERY_ASSIGN(const bool has_row, next_row());
      if (!has_row) break;
      for (std::size_t i = 0; i < selections_.size(); ++i) JOULERY_CHECK_OK(store(selections_[i], chunks[i]));
      ++count;
    }
    return count;
  }

 private:
  Status store(const Selection& selection, Chunk& chunk) {
    const std::string& field = fields_[selection.column];
    if (selection.as_label) {
      chunk.labels.push_back(label_of(field));
      return {};
    }
    const auto number = number_of(field);
    const std::string& column = columns_[selection.column].name;
    if (!number) {
      return user_error(
          fmt::format("{}: '{}' has {} where a number belongs", lines_.place(), printable(column),
                      trim(field).empty() ? std::string("nothing") : fmt::format("'{}'", printable(field))),
          "fill in or remove rows with missing values; encode texts as the model was trained");
    }
    const std::size_t at = chunk.bytes.size();
    chunk.bytes.resize(at + byte_width(selection.type));
    if (auto reason = store_number(*number, selection.type, chunk.bytes.data() + at)) {
      return user_error(fmt::format("{}: '{}': {}", lines_.place(), printable(column), *reason),
                        fmt::format("the model takes {} there", data_type_name(selection.type)));
    }
    return {};
  }

  /// Fills `fields_`; false at the end. A row goes on over line ends that are inside quotes.
  Result<bool> next_row() {
    std::string_view line;
    do {
      JOULERY_ASSIGN(const bool has_line, lines_.next(line));
      if (!has_line) return false;
    } while (line.empty());
    if (columns_.empty()) separator_ = separator_of(line);
    if (std::ranges::count(line, '"') % 2 != 0) {
      JOULERY_CHECK_OK(join_lines(line));
      line = joined_;
    }
    CsvReader reader(line, separator_);
    (void)reader.next(fields_);
    if (fields_.size() > kMostColumns) {
      return user_error(fmt::format("{}: more than {} columns", lines_.place(), kMostColumns));
    }
    if (!columns_.empty() && fields_.size() != columns_.size()) {
      return user_error(fmt::format("{}: {} fields where the heading has {}", lines_.place(), fields_.size(),
                                    columns_.size()),
                        "is a field with a separator in it without quotes, or a line cut short?");
    }
    return true;
  }

  Status join_lines(std::string_view line) {
    const std::uint64_t start = lines_.line_number();
    joined_ = line;
    bool is_open = true;
    while (is_open) {
      JOULERY_ASSIGN(const bool has_line, lines_.next(line));
      if (!has_line || joined_.size() + line.size() > limits_.row_bytes) {
        return user_error(fmt::format("'{}', line {}: a quote that is never closed", lines_.name(), start));
      }
      joined_ += '\n';
      joined_ += line;
      is_open = std::ranges::count(line, '"') % 2 == 0;
    }
    return {};
  }

  LineReader lines_;
  DatasetLimits limits_;
  char separator_ = ',';
  std::vector<Column> columns_;
  std::vector<Selection> selections_;
  std::vector<std::string> fields_;
  std::string joined_;
};

}  // namespace

Result<std::unique_ptr<Table>> open_csv_table(std::shared_ptr<const RandomAccess> file,
                                              const DatasetLimits& limits) {
  JOULERY_ASSIGN(auto source, whole_source(std::move(file)));
  auto table = std::make_unique<CsvSamples>(LineReader(std::move(source), limits.row_bytes), limits);
  JOULERY_CHECK_OK(table->open());
  return table;
}

}  // namespace joulery::data
