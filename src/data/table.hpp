#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "data/dataset.hpp"
#include "data/tensor.hpp"

namespace joulery::data {

/// A column of a table; a row is a sample.
struct Column {
  enum class Kind : std::uint8_t {
    numbers,  // of one type and shape
    texts,
    /// Of a text format: each value shows what it is. The shape is that of the first row.
    written,
  };
  std::string name;
  Kind kind = Kind::numbers;
  DataType type = DataType::unknown;
  Shape sample;
  /// Can it be a number? For a written column: is it one in the first row?
  bool is_numeric = true;
  /// Why it can't be read; told when it is asked for.
  std::optional<Error> refusal = std::nullopt;
};

/// A column that is wanted, and as what.
struct Selection {
  std::size_t column = 0;
  /// A written column's numbers are stored as this type; others come in their own.
  DataType type = DataType::unknown;
  /// As labels instead.
  bool as_label = false;
};

/// The values of a selected column in the rows that were read together.
struct Chunk {
  DataType type = DataType::unknown;
  Shape sample;
  std::vector<std::byte> bytes;
  std::vector<Label> labels;
};

/// A sample's numbers as a label: one whole number is an index, anything else are real values.
Label number_label(DataType type, const std::byte* bytes, std::size_t count);

/// What all data files come down to: named columns of values, read row by row. Not thread-safe.
class Table {
 public:
  Table() = default;
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;
  virtual ~Table() = default;
  virtual Format format() const = 0;
  virtual std::span<const Column> columns() const = 0;
  /// Rows of the selected columns; nothing if only reading to the end tells it.
  virtual std::optional<std::uint64_t> count() const = 0;
  /// Says once, before the first read, what will be read. User error if columns do not go together.
  virtual Status select(std::span<const Selection> selections) = 0;
  /// Reads up to `most` rows, one chunk a selection, all samples of a chunk of one shape. 0 at the end.
  virtual Result<std::size_t> read(std::size_t most, std::span<Chunk> chunks) = 0;
  virtual Status rewind() = 0;
  /// What is to be said of the data as a whole.
  virtual std::string note() const { return {}; }
  virtual std::vector<std::string> class_names() const { return {}; }
  /// Is the one column of values without a name of its own, such as that of an npy file?
  virtual bool is_unnamed() const { return false; }
};

}  // namespace joulery::data
