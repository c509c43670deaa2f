#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace joulery::onnx {

/// Element types, by the numbers of the format. A file may hold numbers that are not here.
enum class DataType : std::int32_t {
  undefined = 0,
  float32 = 1,
  uint8 = 2,
  int8 = 3,
  uint16 = 4,
  int16 = 5,
  int32 = 6,
  int64 = 7,
  string = 8,
  boolean = 9,
  float16 = 10,
  float64 = 11,
  uint32 = 12,
  uint64 = 13,
  complex64 = 14,
  complex128 = 15,
  bfloat16 = 16,
  float8e4m3fn = 17,
  float8e4m3fnuz = 18,
  float8e5m2 = 19,
  float8e5m2fnuz = 20,
  uint4 = 21,
  int4 = 22,
  float4e2m1 = 23,
  float8e8m0 = 24,
  uint2 = 25,
  int2 = 26,
  float6e2m3 = 27,
  float6e3m2 = 28,
};

/// "float32", "bfloat16", …; "type 99" for what this version does not know.
std::string data_type_name(DataType type);
bool is_known(DataType type);
/// Bits of one element in raw data; 0 for strings, `undefined` and unknown types. Elements of less than 8
/// bits lie one after the other, lowest bits first.
unsigned bits_of(DataType type);
/// The first IR version that has the type.
int first_ir_version(DataType type);

/// Number of elements: the product of `dims`, 1 if there are none. Nothing if one is negative or the product
/// does not fit 63 bits.
std::optional<std::uint64_t> element_count(std::span<const std::int64_t> dims);
/// Bytes of so many elements in raw data. Nothing for types without a size, and where it does not fit 63
/// bits.
std::optional<std::uint64_t> raw_size(DataType type, std::uint64_t elements);

}  // namespace joulery::onnx
