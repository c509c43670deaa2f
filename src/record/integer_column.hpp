#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "record/byte_codec.hpp"

namespace joulery::record {

/// Integers near one another, packed: their median, the zigzagged distances to it in as few bits each as
/// pays, and the few that need more bits apart, so that one outlier does not widen the whole column.
class IntegerColumn {
 public:
  /// For columns of at most `capacity` numbers without allocating.
  explicit IntegerColumn(std::size_t capacity = 0) {
    scratch_.reserve(capacity);
    distances_.reserve(capacity);
  }
  void encode(std::span<const std::int64_t> values, ByteWriter& out);
  /// Bytes that `encode` would write, nearly.
  std::size_t estimated_bytes(std::span<const std::int64_t> values);

 private:
  struct Plan {
    std::int64_t median = 0;
    unsigned width = 0;
    std::size_t bits = 0;
  };
  Plan plan(std::span<const std::int64_t> values);
  std::vector<std::int64_t> scratch_;
  std::vector<std::uint64_t> distances_;
};

/// Fills `values`, whose size is the column's. False if the bytes are no such column.
bool decode_integer_column(ByteReader& in, std::span<std::int64_t> values);

}  // namespace joulery::record
