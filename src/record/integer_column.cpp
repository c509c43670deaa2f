#include "record/integer_column.hpp"

#include <algorithm>
#include <array>

namespace joulery::record {
namespace {

constexpr unsigned kMaxWidth = 56;  // so that a value never straddles more than eight bytes

// Distances wrap on purpose: the difference of two 64-bit numbers needs 65 bits, modulo 2^64 it is exact.
std::uint64_t to_distance(std::int64_t value, std::int64_t base) {
  const auto difference =
      static_cast<std::int64_t>(static_cast<std::uint64_t>(value) - static_cast<std::uint64_t>(base));
  return (static_cast<std::uint64_t>(difference) << 1) ^ static_cast<std::uint64_t>(difference >> 63);
}

std::int64_t from_distance(std::uint64_t distance, std::int64_t base) {
  const std::uint64_t difference = (distance >> 1) ^ (~(distance & 1) + 1);
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(base) + difference);
}

std::size_t packed_bytes(std::size_t count, unsigned width) {
  return (count * width + 7) / 8;
}

}  // namespace

IntegerColumn::Plan IntegerColumn::plan(std::span<const std::int64_t> values) {
  Plan best;
  if (values.empty()) return best;
  scratch_.assign(values.begin(), values.end());
  const auto middle = scratch_.begin() + static_cast<std::ptrdiff_t>(scratch_.size() / 2);
  std::nth_element(scratch_.begin(), middle, scratch_.end());
  best.median = *middle;
  std::array<std::size_t, 65> of_length{};
  for (const std::int64_t value : values) ++of_length[std::bit_width(to_distance(value, best.median))];
  best.bits = ~std::size_t{0};
  for (unsigned width = 0; width <= kMaxWidth; ++width) {
    std::size_t bits = values.size() * width;
    for (unsigned length = width + 1; length <= 64; ++length) {
      bits += of_length[length] * (8 + 8 * ((length - width + 6) / 7));
    }
    if (bits < best.bits) {
      best.bits = bits;
      best.width = width;
    }
  }
  return best;
}

std::size_t IntegerColumn::estimated_bytes(std::span<const std::int64_t> values) {
  return plan(values).bits / 8 + 12;
}

void IntegerColumn::encode(std::span<const std::int64_t> values, ByteWriter& out) {
  const Plan chosen = plan(values);
  out.zigzag(chosen.median);
  out.byte(static_cast<std::uint8_t>(chosen.width));
  distances_.clear();
  std::size_t exceptions = 0;
  for (const std::int64_t value : values) {
    distances_.push_back(to_distance(value, chosen.median));
    if ((distances_.back() >> chosen.width) != 0) ++exceptions;
  }
  out.varint(exceptions);
  std::uint64_t pending = 0;
  unsigned filled = 0;
  const std::uint64_t mask = (std::uint64_t{1} << chosen.width) - 1;
  for (const std::uint64_t distance : distances_) {
    pending |= (distance & mask) << filled;
    filled += chosen.width;
    while (filled >= 8) {
      out.byte(static_cast<std::uint8_t>(pending));
      pending >>= 8;
      filled -= 8;
    }
  }
  if (filled > 0) out.byte(static_cast<std::uint8_t>(pending));
  std::size_t previous = 0;
  for (std::size_t i = 0; i < distances_.size(); ++i) {
    if ((distances_[i] >> chosen.width) == 0) continue;
    out.varint(i - previous);
    out.varint(distances_[i] >> chosen.width);
    previous = i;
  }
}

bool decode_integer_column(ByteReader& in, std::span<std::int64_t> values) {
  const std::int64_t median = in.zigzag();
  const unsigned width = in.byte();
  const std::uint64_t exceptions = in.varint();
  if (!in.ok() || width > kMaxWidth || exceptions > values.size()) return false;
  const auto packed = in.take(packed_bytes(values.size(), width));
  if (!in.ok()) return false;
  const std::uint64_t mask = (std::uint64_t{1} << width) - 1;
  std::size_t bit = 0;
  for (std::int64_t& value : values) {
    const std::size_t at = bit / 8;
    std::uint64_t word = 0;
    if (width > 0) std::memcpy(&word, packed.data() + at, std::min<std::size_t>(8, packed.size() - at));
    value = static_cast<std::int64_t>((word >> (bit % 8)) & mask);
    bit += width;
  }
  std::uint64_t index = 0;
  for (std::uint64_t i = 0; i < exceptions; ++i) {
    index += in.varint();
    const std::uint64_t high = in.varint();
    if (!in.ok() || index >= values.size()) return false;
    values[index] = static_cast<std::int64_t>(static_cast<std::uint64_t>(values[index]) | (high << width));
  }
  for (std::int64_t& value : values) value = from_distance(static_cast<std::uint64_t>(value), median);
  return true;
}

}  // namespace joulery::record
