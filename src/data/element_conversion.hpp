#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>

#include "data/tensor.hpp"

namespace joulery::data {

/// A number as a text format has it: whole where it was written so and fits 64 bits.
using Number = std::variant<std::int64_t, std::uint64_t, double>;

/// A value that another type can't hold.
struct ConversionFault {
  std::size_t index = 0;
  std::string reason;  // "3.5 is no whole number"
};

/// Converts elements between any two known types; half precision rounds to the nearest, ties to even. A
/// fraction does not become a whole number, and a number outside the other type's range is a fault, also a
/// finite one that would become infinite. Digits that a narrower float type lacks are lost without a fault.
std::optional<ConversionFault> convert_elements(DataType from, const std::byte* source, DataType to,
                                                std::byte* target, std::size_t count);
/// Stores one number by the same rules; gives the reason if it does not fit.
std::optional<std::string> store_number(const Number& number, DataType to, std::byte* target);

/// Reverses the bytes of each element of `width` bytes.
void swap_byte_order(std::span<std::byte> bytes, std::size_t width);

float float_from_half(std::uint16_t bits);
std::uint16_t half_from_float(float value);
float float_from_bfloat(std::uint16_t bits);
std::uint16_t bfloat_from_float(float value);

}  // namespace joulery::data
