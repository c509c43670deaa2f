#include "data/element_conversion.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

namespace joulery::data {
namespace {

struct Half {
  std::uint16_t bits;
};
struct Bfloat {
  std::uint16_t bits;
};
struct Boolean {
  std::uint8_t value;
};

/// Calls `function` with a value of the type that `type` stands for; false if it stands for none.
template <class Function>
bool with_type(DataType type, Function function) {
  // NOLINTBEGIN(bugprone-branch-clone): the values differ in their type
  switch (type) {
    case DataType::f32:
      return function(float()), true;
    case DataType::f16:
      return function(Half()), true;
    case DataType::bf16:
      return function(Bfloat()), true;
    case DataType::f64:
      return function(double()), true;
    case DataType::i8:
      return function(std::int8_t()), true;
    case DataType::i16:
      return function(std::int16_t()), true;
    case DataType::i32:
      return function(std::int32_t()), true;
    case DataType::i64:
      return function(std::int64_t()), true;
    case DataType::u8:
      return function(std::uint8_t()), true;
    case DataType::u16:
      return function(std::uint16_t()), true;
    case DataType::u32:
      return function(std::uint32_t()), true;
    case DataType::u64:
      return function(std::uint64_t()), true;
    case DataType::boolean:
      return function(Boolean()), true;
    case DataType::unknown:
      break;
  }
  // NOLINTEND(bugprone-branch-clone)
  return false;
}

float widened(Half value) {
  return float_from_half(value.bits);
}
float widened(Bfloat value) {
  return float_from_bfloat(value.bits);
}
std::uint8_t widened(Boolean value) {
  return value.value == 0 ? 0 : 1;
}
template <class Value>
Value widened(Value value) {
  return value;
}

template <class From, class To>
bool store_whole(From value, To& target) {
  if constexpr (std::is_floating_point_v<From>) {
    // The range's upper end plus one is a power of two, and so exact in every float type.
    const From top = std::ldexp(From(1), std::numeric_limits<To>::digits);
    const From bottom = std::is_signed_v<To> ? -top : From(0);
    if (!(value >= bottom && value < top) || std::trunc(value) != value) return false;
  } else if (!std::in_range<To>(value)) {
    return false;
  }
  // NOLINTNEXTLINE(bugprone-signed-char-misuse): a number, no character
  target = static_cast<To>(value);
  return true;
}

template <class From>
bool store_float(From value, float& target) {
  target = static_cast<float>(value);
  return std::isfinite(target) || !std::isfinite(static_cast<double>(value));
}

/// False if `target` can't hold the value.
template <class From, class To>
bool store(From value, To& target) {
  if constexpr (std::is_same_v<To, Boolean>) {
    target.value = value == From(1) ? 1 : 0;
    return value == From(0) || value == From(1);
  } else if constexpr (std::is_same_v<To, Half> || std::is_same_v<To, Bfloat>) {
    float narrowed = 0;
    const bool fits = store_float(value, narrowed);
    if constexpr (std::is_same_v<To, Half>) {
      target.bits = half_from_float(narrowed);
    } else {
      target.bits = bfloat_from_float(narrowed);
    }
    return fits && (std::isfinite(widened(target)) || !std::isfinite(narrowed));
  } else if constexpr (std::is_same_v<To, float>) {
    return store_float(value, target);
  } else if constexpr (std::is_same_v<To, double>) {
    target = static_cast<double>(value);
    return true;
  } else {
    return store_whole(value, target);
  }
}

template <class Value>
std::string fault_text(Value value, DataType to) {
  if constexpr (std::is_floating_point_v<Value>) {
    if (to != DataType::boolean && std::isfinite(value) && std::trunc(value) != value) {
      return fmt::format("{} is no whole number", value);
    }
  }
  return fmt::format("{} does not fit {}", value, data_type_name(to));
}

template <class From, class To>
std::optional<ConversionFault> convert(const std::byte* source, std::byte* target, std::size_t count,
                                       DataType to) {
  for (std::size_t i = 0; i < count; ++i) {
    From from;
    To result;
    std::memcpy(&from, source + i * sizeof(From), sizeof(From));
    const auto value = widened(from);
    if (!store(value, result)) return ConversionFault{i, fault_text(value, to)};
    std::memcpy(target + i * sizeof(To), &result, sizeof(To));
  }
  return std::nullopt;
}

}  // namespace

std::optional<ConversionFault> convert_elements(DataType from, const std::byte* source, DataType to,
                                                std::byte* target, std::size_t count) {
  // There may be no memory at all.
  if (count == 0) return std::nullopt;
  if (from == to && from != DataType::unknown) {
    std::memcpy(target, source, count * byte_width(from));
    return std::nullopt;
  }
  std::optional<ConversionFault> fault;
  const bool known = with_type(from, [&](auto from_value) {
    const bool target_known = with_type(to, [&](auto to_value) {
      fault = convert<decltype(from_value), decltype(to_value)>(source, target, count, to);
    });
    if (!target_known) fault = ConversionFault{0, "the wanted type is unknown"};
  });
  if (!known) fault = ConversionFault{0, "its type is unknown"};
  return fault;
}

std::optional<std::string> store_number(const Number& number, DataType to, std::byte* target) {
  return std::visit(
      [&](auto value) -> std::optional<std::string> {
        std::optional<std::string> reason;
        const bool known = with_type(to, [&](auto result) {
          if (!store(value, result)) {
            reason = fault_text(value, to);
          } else {
            std::memcpy(target, &result, sizeof(result));
          }
        });
        if (!known) reason = "the wanted type is unknown";
        return reason;
      },
      number);
}

void swap_byte_order(std::span<std::byte> bytes, std::size_t width) {
  if (width < 2) return;
  for (std::size_t i = 0; i + width <= bytes.size(); i += width) {
    std::reverse(bytes.begin() + static_cast<std::ptrdiff_t>(i),
                 bytes.begin() + static_cast<std::ptrdiff_t>(i + width));
  }
}

float float_from_half(std::uint16_t bits) {
  const std::uint32_t sign = (bits & 0x8000U) << 16U;
  const std::uint32_t exponent = (bits >> 10U) & 0x1FU;
  const std::uint32_t fraction = bits & 0x3FFU;
  if (exponent == 0x1F) return std::bit_cast<float>(sign | 0x7F800000U | (fraction << 13U));
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112U) << 23U) | (fraction << 13U));
  const float magnitude = std::ldexp(static_cast<float>(fraction), -24);
  return sign != 0 ? -magnitude : magnitude;
}

std::uint16_t half_from_float(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16U) & 0x8000U);
  const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
  if (magnitude > 0x7F800000U) return static_cast<std::uint16_t>(sign | 0x7E00U);
  // From 65520 on, halves round to infinity.
  if (magnitude >= 0x477FF000U) return static_cast<std::uint16_t>(sign | 0x7C00U);
  if (magnitude < 0x38800000U) {
    // Subnormal halves are multiples of 2^-24.
    const float scaled = std::ldexp(std::bit_cast<float>(magnitude), 24);
    return static_cast<std::uint16_t>(sign | static_cast<std::uint32_t>(std::nearbyint(scaled)));
  }
  const std::uint32_t rounded = magnitude + 0xFFFU + ((magnitude >> 13U) & 1U);
  return static_cast<std::uint16_t>(sign | ((rounded - 0x38000000U) >> 13U));
}

float float_from_bfloat(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16U);
}

std::uint16_t bfloat_from_float(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7FFFFFFFU) > 0x7F800000U) return static_cast<std::uint16_t>((bits >> 16U) | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16U) & 1U)) >> 16U);
}

}  // namespace joulery::data
