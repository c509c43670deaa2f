#include "data/parquet_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/text.hpp"
#include "data/plugin_library.hpp"

namespace joulery::data {
namespace {

constexpr std::uint32_t kMostColumns = 100'000;

DataType type_of(std::int32_t number) {
  return number > 0 && number < kDataTypes ? static_cast<DataType>(number) : DataType::unknown;
}

Shape shape_of(const std::int64_t* dimensions, std::uint32_t rank) {
  const auto shape = Shape::create({dimensions, std::min<std::size_t>(rank, kMostDimensions)});
  return shape ? *shape : Shape();
}

class PluginTable final : public Table {
 public:
  PluginTable(DynamicLibrary library, const JouleryTablesApi* api)
      : library_(std::move(library)), api_(api) {}
  PluginTable(const PluginTable&) = delete;
  PluginTable& operator=(const PluginTable&) = delete;
  ~PluginTable() override {
    if (table_ != nullptr) api_->close(table_);
  }

  Status open(const std::string& path) {
    JouleryDataError error = empty_plugin_error();
    if (api_->open(path.c_str(), &table_, &error) != 0) return std::unexpected(error_from_plugin(error));
    name_ = printable(path);
    count_ = api_->count(table_);
    JouleryColumn column{};
    column.struct_size = sizeof(column);
    for (std::uint32_t i = 0; i < kMostColumns && api_->column(table_, i, &column) != 0; ++i) {
      std::optional<Error> refusal;
      if (column.kind == 3) {
        refusal = Error{.kind = Error::Kind::user,
                        .message = fmt::format("column '{}' of '{}' is of type {}, which can't be read",
                                               printable(column.name), name_, printable(column.type_name)),
                        .hint = "write it as numbers, lists of numbers or texts"};
      }
      columns_.push_back({.name = column.name,
                          .kind = column.kind == 1 ? Column::Kind::texts : Column::Kind::numbers,
                          .type = type_of(column.type),
                          .sample = shape_of(column.dimensions, column.rank),
                          .is_numeric = column.kind == 0 || column.kind == 2,
                          .refusal = std::move(refusal)});
    }
    return {};
  }

  Format format() const override { return Format::parquet; }
  std::span<const Column> columns() const override { return columns_; }
  std::optional<std::uint64_t> count() const override { return count_; }

  Status select(std::span<const Selection> selections) override {
    selections_.assign(selections.begin(), selections.end());
    std::vector<std::uint32_t> wanted;
    for (const Selection& selection : selections_) {
      wanted.push_back(static_cast<std::uint32_t>(selection.column));
    }
    data_.assign(wanted.size(), JouleryColumnData{});
    for (JouleryColumnData& data : data_) data.struct_size = sizeof(data);
    JouleryDataError error = empty_plugin_error();
    if (api_->select(table_, wanted.data(), static_cast<std::uint32_t>(wanted.size()), &error) != 0) {
      return std::unexpected(error_from_plugin(error));
    }
    return {};
  }

  Result<std::size_t> read(std::size_t most, std::span<Chunk> chunks) override {
    std::uint64_t rows = 0;
    JouleryDataError error = empty_plugin_error();
    if (api_->read(table_, most, data_.data(), &rows, &error) != 0) {
      return std::unexpected(error_from_plugin(error));
    }
    for (std::size_t i = 0; i < selections_.size() && rows > 0; ++i) {
      JOULERY_CHECK_OK(take(selections_[i], data_[i], static_cast<std::size_t>(rows), chunks[i]));
    }
    return static_cast<std::size_t>(rows);
  }

  Status rewind() override {
    JouleryDataError error = empty_plugin_error();
    if (api_->rewind(table_, &error) != 0) return std::unexpected(error_from_plugin(error));
    return {};
  }

 private:
  Status take(const Selection& selection, const JouleryColumnData& data, std::size_t rows,
              Chunk& chunk) const {
    const Column& column = columns_[selection.column];
    const auto* bytes = static_cast<const std::byte*>(data.data);
    chunk.labels.clear();
    if (column.kind == Column::Kind::texts) {
      for (std::size_t i = 0; i < rows; ++i) {
        chunk.labels.emplace_back(std::string(reinterpret_cast<const char*>(bytes) + data.offsets[i],
                                              data.offsets[i + 1] - data.offsets[i]));
      }
      return {};
    }
    chunk.type = column.type;
    chunk.sample = shape_of(data.dimensions, data.rank);
    chunk.bytes.assign(bytes, bytes + data.bytes);
    if (!selection.as_label) return {};
    const std::size_t stride = chunk.bytes.size() / rows;
    for (std::size_t i = 0; i < rows; ++i) {
      chunk.labels.push_back(
          number_label(column.type, chunk.bytes.data() + i * stride, stride / byte_width(column.type)));
    }
    return {};
  }

  DynamicLibrary library_;
  const JouleryTablesApi* api_;
  void* table_ = nullptr;
  std::string name_;
  std::uint64_t count_ = 0;
  std::vector<Column> columns_;
  std::vector<Selection> selections_;
  std::vector<JouleryColumnData> data_;
};

}  // namespace

Result<std::unique_ptr<Table>> open_parquet_table(const std::string& path, const DatasetRequest& request) {
  JOULERY_ASSIGN(
      DynamicLibrary library,
      open_plugin(request.plugin_directory, "arrow",
                  "pyarrow was missing when joulery was built: `./dev setup` gets it; or convert the "
                  "file to npz, CSV or JSONL"));
  const auto* api = plugin_api<JouleryTablesApi>(library, JOULERY_TABLES_ENTRY);
  if (api == nullptr) return wrong_plugin(library);
  auto table = std::make_unique<PluginTable>(std::move(library), api);
  JOULERY_CHECK_OK(table->open(path));
  return table;
}

}  // namespace joulery::data
