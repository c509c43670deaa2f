#pragma once

#include <arrow/api.h>
#include <parquet/arrow/reader.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "arrow_columns.hpp"

namespace joulery::data {

/// A Parquet file, read in batches of rows on one thread, with memory for some pages of each column.
class ArrowTable {
 public:
  static arrow::Result<std::unique_ptr<ArrowTable>> open(const std::string& path);

  std::uint64_t count() const { return count_; }
  const std::vector<ArrowColumn>& columns() const { return columns_; }
  arrow::Status select(std::span<const std::uint32_t> columns);
  arrow::Status rewind();
  /// Up to `most` rows, whose values are in `values()`; 0 at the end.
  arrow::Result<std::int64_t> read(std::int64_t most);
  const std::vector<ArrowValues>& values() const { return values_; }

 private:
  arrow::Status find_lengths();
  /// The selected column in the batch that was read last.
  const arrow::Array& array(std::size_t selected) const;

  std::unique_ptr<parquet::arrow::FileReader> reader_;
  std::uint64_t count_ = 0;
  std::vector<ArrowColumn> columns_;
  std::vector<std::uint32_t> selected_;
  std::unique_ptr<arrow::RecordBatchReader> batches_;
  std::shared_ptr<arrow::RecordBatch> batch_;
  std::int64_t at_ = 0;
  std::uint64_t row_ = 0;
  std::vector<ArrowValues> values_;
};

}  // namespace joulery::data
