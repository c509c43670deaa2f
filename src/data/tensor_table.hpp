#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/byte_source.hpp"
#include "data/table.hpp"

namespace joulery::data {

/// An array in a file, whose first dimension is the sample.
struct StoredArray {
  /// How text elements are written.
  enum class Text : std::uint8_t { none, bytes, utf32 };
  std::string name;
  DataType type = DataType::unknown;
  Text text = Text::none;
  /// Bytes of one element.
  std::size_t element_bytes = 0;
  Shape sample;
  std::uint64_t count = 0;
  bool is_big_endian = false;
  /// Before the first element.
  std::uint64_t header_bytes = 0;
  std::unique_ptr<ByteSource> source;
  /// What was made of it, for the note.
  std::string note;
  /// Why it can't be read; told when it is asked for.
  std::optional<Error> refusal;
};

/// Checks that the bytes are as many as the shape needs, as far as that is known before reading.
Status check_array_size(const StoredArray& array);

/// A table of arrays, a column each.
std::unique_ptr<Table> make_tensor_table(Format format, std::vector<StoredArray> arrays, bool is_unnamed);

}  // namespace joulery::data
