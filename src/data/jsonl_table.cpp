#include "data/jsonl_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/text.hpp"
#include "data/element_conversion.hpp"
#include "data/json_row.hpp"
#include "data/line_reader.hpp"

namespace joulery::data {
namespace {

double real_of(const Number& number) {
  return std::visit([](auto value) { return static_cast<double>(value); }, number);
}

Label label_of(const JsonField& field) {
  if (field.kind == JsonField::Kind::text) return field.text;
  if (field.kind != JsonField::Kind::numbers) return std::monostate();
  if (field.shape.rank() == 0 && field.numbers.size() == 1) {
    if (const auto* whole = std::get_if<std::int64_t>(&field.numbers.front())) return *whole;
  }
  std::vector<double> values;
  for (const Number& number : field.numbers) values.push_back(real_of(number));
  return values;
}

class JsonlTable final : public Table {
 public:
  JsonlTable(LineReader lines) : lines_(std::move(lines)) {}

  Status open() {
    JOULERY_ASSIGN(const bool has_row, next_row());
    if (!has_row) {
      return user_error(fmt::format("'{}' is empty", lines_.name()), "each line is a JSON object, a sample");
    }
    for (const JsonField& field : fields_) {
      const bool is_numbers = field.kind == JsonField::Kind::numbers;
      columns_.push_back({.name = field.key,
                          .kind = Column::Kind::written,
                          .type = DataType::unknown,
                          .sample = field.shape,
                          .is_numeric = is_numbers});
    }
    return {};
  }

  Format format() const override { return Format::jsonl; }
  std::span<const Column> columns() const override { return columns_; }
  std::optional<std::uint64_t> count() const override { return std::nullopt; }

  Status select(std::span<const Selection> selections) override {
    selections_.assign(selections.begin(), selections.end());
    for (const Selection& selection : selections_) wanted_.push_back(columns_[selection.column].name);
    return rewind();
  }

  Status rewind() override {
    has_pending_ = false;
    return lines_.rewind();
  }

  Result<std::size_t> read(std::size_t most, std::span<Chunk> chunks) override {
    for (Chunk& chunk : chunks) {
      chunk.bytes.clear();
      chunk.labels.clear();
    }
    std::size_t count = 0;
    while (count < most) {
      if (!has_pending_) {
        JOULERY_ASSIGN(has_pending_, next_row());
        if (!has_pending_) break;
        JOULERY_CHECK_OK(find_fields());
      }
      if (count > 0 && !is_like(chunks)) break;
      for (std::size_t i = 0; i < selections_.size(); ++i) {
        JOULERY_CHECK_OK(store(selections_[i], *found_[i], chunks[i]));
      }
      has_pending_ = false;
      ++count;
    }
    return count;
  }

 private:
  Result<bool> next_row() {
    std::string_view line;
    do {
      JOULERY_ASSIGN(const bool has_line, lines_.next(line));
      if (!has_line) return false;
    } while (trim(line).empty());
    JOULERY_CHECK_OK(parse_json_row(line, wanted_, lines_.place(), fields_));
    return true;
  }

  Status find_fields() {
    found_.clear();
    for (const Selection& selection : selections_) {
      const std::string& name = columns_[selection.column].name;
      const auto found = std::ranges::find(fields_, name, &JsonField::key);
      if (found == fields_.end()) {
        return user_error(
            fmt::format("{}: there is no '{}', which the first line has", lines_.place(), printable(name)));
      }
      const bool is_readable = selection.as_label ? found->kind != JsonField::Kind::other
                                                  : found->kind == JsonField::Kind::numbers;
      if (!is_readable) {
        return user_error(fmt::format("{}: '{}' is {} where {} belong", lines_.place(), printable(name),
                                      found->kind == JsonField::Kind::text   ? "a text"
                                      : found->kind == JsonField::Kind::null ? "null"
                                                                             : "neither numbers nor a text",
                                      selection.as_label ? "a number, numbers or a text" : "numbers"));
      }
      found_.push_back(&*found);
    }
    return {};
  }

  bool is_like(std::span<const Chunk> chunks) const {
    for (std::size_t i = 0; i < selections_.size(); ++i) {
      if (!selections_[i].as_label && !(found_[i]->shape == chunks[i].sample)) return false;
    }
    return true;
  }

  Status store(const Selection& selection, const JsonField& field, Chunk& chunk) {
    if (selection.as_label) {
      chunk.labels.push_back(label_of(field));
      return {};
    }
    chunk.type = selection.type;
    chunk.sample = field.shape;
    const std::size_t width = byte_width(selection.type);
    std::size_t at = chunk.bytes.size();
    chunk.bytes.resize(at + width * field.numbers.size());
    for (const Number& number : field.numbers) {
      if (auto reason = store_number(number, selection.type, chunk.bytes.data() + at)) {
        return user_error(fmt::format("{}: '{}': {}", lines_.place(), printable(field.key), *reason),
                          fmt::format("the model takes {} there", data_type_name(selection.type)));
      }
      at += width;
    }
    return {};
  }

  LineReader lines_;
  std::vector<Column> columns_;
  std::vector<Selection> selections_;
  /// Names of what is selected; all before anything is.
  std::vector<std::string> wanted_;
  std::vector<JsonField> fields_;
  /// The row's fields, in the order of the selections.
  std::vector<const JsonField*> found_;
  /// Is there a row that was read, but not given out yet?
  bool has_pending_ = false;
};

}  // namespace

Result<std::unique_ptr<Table>> open_jsonl_table(std::shared_ptr<const RandomAccess> file,
                                                const DatasetLimits& limits) {
  JOULERY_ASSIGN(auto source, whole_source(std::move(file)));
  auto table = std::make_unique<JsonlTable>(LineReader(std::move(source), limits.row_bytes));
  JOULERY_CHECK_OK(table->open());
  return table;
}

}  // namespace joulery::data
