#include "onnx/data_type.hpp"

#include <fmt/format.h>

#include <array>
#include <limits>
#include <string_view>

namespace joulery::onnx {
namespace {

struct Row {
  std::string_view name;
  std::uint8_t bits;
  std::uint8_t ir_version;
};

/// Indexed by the number of the type.
constexpr std::array<Row, 29> kRows{{
    {"undefined", 0, 1},      {"float32", 32, 1},     {"uint8", 8, 1},          {"int8", 8, 1},
    {"uint16", 16, 1},        {"int16", 16, 1},       {"int32", 32, 1},         {"int64", 64, 1},
    {"string", 0, 1},         {"bool", 8, 1},         {"float16", 16, 1},       {"float64", 64, 1},
    {"uint32", 32, 1},        {"uint64", 64, 1},      {"complex64", 64, 1},     {"complex128", 128, 1},
    {"bfloat16", 16, 4},      {"float8e4m3fn", 8, 9}, {"float8e4m3fnuz", 8, 9}, {"float8e5m2", 8, 9},
    {"float8e5m2fnuz", 8, 9}, {"uint4", 4, 10},       {"int4", 4, 10},          {"float4e2m1", 4, 11},
    {"float8e8m0", 8, 12},    {"uint2", 2, 13},       {"int2", 2, 13},          {"float6e2m3", 6, 14},
    {"float6e3m2", 6, 14},
}};
constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();

const Row* row_of(DataType type) {
  const auto index = static_cast<std::int32_t>(type);
  if (index < 0 || static_cast<std::size_t>(index) >= kRows.size()) return nullptr;
  return &kRows[static_cast<std::size_t>(index)];
}

}  // namespace

std::string data_type_name(DataType type) {
  const Row* row = row_of(type);
  return row != nullptr ? std::string(row->name) : fmt::format("type {}", static_cast<std::int32_t>(type));
}

bool is_known(DataType type) {
  return type != DataType::undefined && row_of(type) != nullptr;
}

unsigned bits_of(DataType type) {
  const Row* row = row_of(type);
  return row != nullptr ? row->bits : 0;
}

int first_ir_version(DataType type) {
  const Row* row = row_of(type);
  return row != nullptr ? row->ir_version : 0;
}

std::optional<std::uint64_t> element_count(std::span<const std::int64_t> dims) {
  std::uint64_t count = 1;
  bool is_empty = false;
  for (const std::int64_t dim : dims) {
    if (dim < 0) return std::nullopt;
    const auto factor = static_cast<std::uint64_t>(dim);
    is_empty = is_empty || factor == 0;
    // Zeros elsewhere do not excuse a product that nobody can hold: an engine may multiply in another order.
    if (factor > 1 && __builtin_mul_overflow(count, factor, &count)) return std::nullopt;
    if (count > kMost) return std::nullopt;
  }
  return is_empty ? 0 : count;
}

std::optional<std::uint64_t> raw_size(DataType type, std::uint64_t elements) {
  const unsigned bits = bits_of(type);
  if (bits == 0) return std::nullopt;
  std::uint64_t size = 0;
  if (bits % 8 == 0) {
    if (__builtin_mul_overflow(elements, std::uint64_t{bits / 8}, &size) || size > kMost) return std::nullopt;
    return size;
  }
  std::uint64_t total = 0;
  if (__builtin_mul_overflow(elements, std::uint64_t{bits}, &total)) return std::nullopt;
  return total / 8 + (total % 8 != 0 ? 1 : 0);
}

}  // namespace joulery::onnx
