#pragma once

#include <arrow/api.h>

#include <cstdint>
#include <string>
#include <vector>

#include "data/plugin.hpp"
#include "data/tensor.hpp"

namespace joulery::data {

/// How a column of a Parquet file is read.
struct ArrowColumn {
  enum class Kind : std::int32_t { numbers = 0, texts = 1, lists = 2, unreadable = 3 };
  std::string name;
  std::string type_name;
  Kind kind = Kind::unreadable;
  DataType type = DataType::unknown;
  /// Levels of lists around the numbers.
  std::size_t depth = 0;
  /// Of fixed-size lists; unknown dimensions where lists differ in length.
  std::vector<std::int64_t> dimensions;
};

ArrowColumn describe_column(const arrow::Field& field);

/// The values of a column in a run of rows, as the interface gives them.
struct ArrowValues {
  std::vector<std::uint8_t> bytes;
  std::vector<std::uint64_t> offsets;
  std::vector<std::int64_t> dimensions;
};

/// How many rows from `first` on, `most` at most, have lists of one length; `most` for other columns.
std::int64_t rows_alike(const ArrowColumn& column, const arrow::Array& array, std::int64_t first,
                        std::int64_t most);
/// Copies rows that are alike. Invalid if there are nulls where numbers belong, or lists of unequal lengths.
arrow::Status copy_rows(const ArrowColumn& column, const arrow::Array& array, std::int64_t first,
                        std::int64_t count, ArrowValues& values);

}  // namespace joulery::data
