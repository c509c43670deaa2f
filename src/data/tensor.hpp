#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace joulery::data {

/// Type of a tensor's elements. The numbers are part of the interface to plug-ins and worker processes: new
/// ones go to the end.
enum class DataType : std::uint8_t {
  unknown,
  f32,
  f16,
  bf16,
  f64,
  i8,
  i16,
  i32,
  i64,
  u8,
  u16,
  u32,
  u64,
  boolean
};
constexpr int kDataTypes = 14;

/// Bytes of one element; 0 for unknown.
constexpr std::size_t byte_width(DataType type) {
  constexpr std::array<std::uint8_t, kDataTypes> kWidths{0, 4, 2, 2, 8, 1, 2, 4, 8, 1, 2, 4, 8, 1};
  const auto index = static_cast<std::size_t>(type);
  return index < kWidths.size() ? kWidths[index] : 0;
}
/// "f32", "i64", "bool"; "unknown".
const char* data_type_name(DataType type);
std::optional<DataType> parse_data_type(std::string_view name);

constexpr std::size_t kMostDimensions = 12;
/// A dimension that is not fixed yet.
constexpr std::int64_t kUnknownDimension = -1;

/// Up to kMostDimensions dimensions, each 0 or more or unknown. Allocates nothing.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dimensions);
  /// User error for too many dimensions, or one below -1.
  static Result<Shape> create(std::span<const std::int64_t> dimensions);
  /// "1,3,224,224"; "?" or "-1" is an unknown dimension, an empty text a scalar. User error for anything
  /// else.
  static Result<Shape> parse(std::string_view text);

  std::size_t rank() const { return rank_; }
  std::int64_t operator[](std::size_t index) const { return dimensions_[index]; }
  void set(std::size_t index, std::int64_t dimension) { dimensions_[index] = dimension; }
  std::span<const std::int64_t> dimensions() const { return {dimensions_.data(), rank_}; }
  bool is_known() const;
  /// 1 for a scalar; nothing if a dimension is unknown or the product does not fit 63 bits.
  std::optional<std::uint64_t> element_count() const;
  /// "[1, 3, ?, 224]"
  std::string text() const;
  /// Does a concrete shape fit this one, whose unknown dimensions fit anything?
  bool admits(const Shape& concrete) const;
  bool operator==(const Shape& other) const;

 private:
  std::array<std::int64_t, kMostDimensions> dimensions_{};
  std::size_t rank_ = 0;
};

/// Bytes that a tensor of known shape takes. User error if the shape is unknown or the product overflows.
Result<std::size_t> tensor_bytes(DataType type, const Shape& shape);

/// Memory of somebody else with its meaning: row-major, without gaps, aligned to the element. Valid as long
/// as that memory.
struct TensorView {
  DataType type = DataType::unknown;
  Shape shape;
  std::byte* data = nullptr;
  std::size_t bytes = 0;

  template <class Element>
  std::span<Element> elements() const {
    return {reinterpret_cast<Element*>(data), bytes / sizeof(Element)};
  }
};

/// A tensor that owns its memory, aligned for vector instructions and zero at first.
class Tensor {
 public:
  /// User error for an unknown type or shape, environment error if there is not that much memory.
  static Result<Tensor> create(DataType type, const Shape& shape);
  const TensorView& view() const { return view_; }
  template <class Element>
  std::span<Element> elements() const {
    return view_.elements<Element>();
  }

 private:
  struct Free {
    void operator()(std::byte* memory) const;
  };
  Tensor() = default;
  std::unique_ptr<std::byte, Free> memory_;
  TensorView view_;
};

/// Do the elements that are floats hold NaN or an infinity? Whole types have none.
bool has_non_finite(const TensorView& view);

}  // namespace joulery::data
