#include "arrow_table.hpp"

#include <arrow/io/file.h>
#include <parquet/arrow/schema.h>
#include <parquet/properties.h>

#include <algorithm>
#include <numeric>
#include <utility>

namespace joulery::data {
namespace {

constexpr std::int64_t kRowsAtATime = 1024;

void add_leaves(const parquet::arrow::SchemaField& field, std::vector<int>& leaves) {
  if (field.column_index >= 0) leaves.push_back(field.column_index);
  for (const auto& child : field.children) add_leaves(child, leaves);
}

}  // namespace

arrow::Result<std::unique_ptr<ArrowTable>> ArrowTable::open(const std::string& path) {
  ARROW_ASSIGN_OR_RAISE(auto file, arrow::io::ReadableFile::Open(path));
  auto table = std::make_unique<ArrowTable>();
  // Pages are read as they are needed, not whole columns of a row group.
  parquet::ReaderProperties properties;
  properties.enable_buffered_stream();
  parquet::ArrowReaderProperties arrow_properties;
  arrow_properties.set_pre_buffer(false);
  arrow_properties.set_use_threads(false);
  arrow_properties.set_batch_size(kRowsAtATime);
  parquet::arrow::FileReaderBuilder builder;
  ARROW_RETURN_NOT_OK(builder.Open(std::move(file), properties));
  builder.properties(arrow_properties);
  ARROW_ASSIGN_OR_RAISE(table->reader_, builder.Build());
  std::shared_ptr<arrow::Schema> schema;
  ARROW_RETURN_NOT_OK(table->reader_->GetSchema(&schema));
  table->count_ = static_cast<std::uint64_t>(
      std::max<std::int64_t>(0, table->reader_->parquet_reader()->metadata()->num_rows()));
  for (const auto& field : schema->fields()) table->columns_.push_back(describe_column(*field));
  ARROW_RETURN_NOT_OK(table->find_lengths());
  return table;
}

/// The lengths of lists are in no header: those of the first row stand for them.
arrow::Status ArrowTable::find_lengths() {
  std::vector<std::uint32_t> lists;
  for (std::uint32_t i = 0; i < columns_.size(); ++i) {
    if (columns_[i].kind == ArrowColumn::Kind::lists) lists.push_back(i);
  }
  if (lists.empty()) return arrow::Status::OK();
  ARROW_RETURN_NOT_OK(select(lists));
  ARROW_ASSIGN_OR_RAISE(const std::int64_t rows, read(1));
  for (std::size_t i = 0; i < lists.size() && rows > 0; ++i) {
    columns_[lists[i]].dimensions = values_[i].dimensions;
  }
  return arrow::Status::OK();
}

arrow::Status ArrowTable::select(std::span<const std::uint32_t> columns) {
  selected_.assign(columns.begin(), columns.end());
  for (const std::uint32_t column : selected_) {
    if (column >= columns_.size()) return arrow::Status::Invalid("there is no such column");
  }
  return rewind();
}

arrow::Status ArrowTable::rewind() {
  std::vector<int> leaves;
  const auto& fields = reader_->manifest().schema_fields;
  for (const std::uint32_t column : selected_) add_leaves(fields[column], leaves);
  std::ranges::sort(leaves);
  const auto repeated = std::ranges::unique(leaves);
  leaves.erase(repeated.begin(), repeated.end());
  std::vector<int> groups(static_cast<std::size_t>(reader_->num_row_groups()));
  std::iota(groups.begin(), groups.end(), 0);
  ARROW_ASSIGN_OR_RAISE(batches_, reader_->GetRecordBatchReader(groups, leaves));
  batch_.reset();
  at_ = 0;
  row_ = 0;
  return arrow::Status::OK();
}

const arrow::Array& ArrowTable::array(std::size_t selected) const {
  // What was read has the selected columns in the order of the file.
  const std::uint32_t wanted = selected_[selected];
  std::vector<std::uint32_t> sorted = selected_;
  std::ranges::sort(sorted);
  const auto repeated = std::ranges::unique(sorted);
  sorted.erase(repeated.begin(), repeated.end());
  const auto place = std::ranges::find(sorted, wanted) - sorted.begin();
  return *batch_->column(static_cast<int>(place));
}

arrow::Result<std::int64_t> ArrowTable::read(std::int64_t most) {
  values_.resize(selected_.size());
  while (!batch_ || at_ == batch_->num_rows()) {
    ARROW_RETURN_NOT_OK(batches_->ReadNext(&batch_));
    at_ = 0;
    if (!batch_) return 0;
  }
  std::int64_t count = std::min(most, batch_->num_rows() - at_);
  for (std::size_t i = 0; i < selected_.size() && count > 0; ++i) {
    count = rows_alike(columns_[selected_[i]], array(i), at_, count);
  }
  for (std::size_t i = 0; i < selected_.size(); ++i) {
    const arrow::Status status = copy_rows(columns_[selected_[i]], array(i), at_, count, values_[i]);
    if (!status.ok()) {
      return arrow::Status::Invalid("rows ", row_, " to ", row_ + static_cast<std::uint64_t>(count) - 1,
                                    " of column '", columns_[selected_[i]].name, "': ", status.message());
    }
  }
  at_ += count;
  row_ += static_cast<std::uint64_t>(count);
  return count;
}

}  // namespace joulery::data
