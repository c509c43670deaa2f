#include "data/tensor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "base/text.hpp"

namespace joulery::data {
namespace {

constexpr std::array<const char*, kDataTypes> kNames{"unknown", "f32", "f16", "bf16", "f64", "i8",  "i16",
                                                     "i32",     "i64", "u8",  "u16",  "u32", "u64", "bool"};
constexpr std::size_t kAlignment = 64;

/// A float of any width is NaN or infinite when all bits of its exponent are set.
template <class Word>
bool any_with_full_exponent(const TensorView& view, Word exponent) {
  const std::size_t count = view.bytes / sizeof(Word);
  for (std::size_t i = 0; i < count; ++i) {
    Word word;
    std::memcpy(&word, view.data + i * sizeof(Word), sizeof(Word));
    if ((word & exponent) == exponent) return true;
  }
  return false;
}

}  // namespace

const char* data_type_name(DataType type) {
  const auto index = static_cast<std::size_t>(type);
  return kNames[index < kNames.size() ? index : 0];
}

std::optional<DataType> parse_data_type(std::string_view name) {
  for (std::size_t i = 1; i < kNames.size(); ++i) {
    if (name == kNames[i]) return static_cast<DataType>(i);
  }
  return std::nullopt;
}

Shape::Shape(std::initializer_list<std::int64_t> dimensions)
    : rank_(std::min(dimensions.size(), kMostDimensions)) {
  std::copy_n(dimensions.begin(), rank_, dimensions_.begin());
}

Result<Shape> Shape::create(std::span<const std::int64_t> dimensions) {
  if (dimensions.size() > kMostDimensions) {
    return user_error(fmt::format("a tensor of {} dimensions is more than the {} supported",
                                  dimensions.size(), kMostDimensions));
  }
  Shape shape;
  shape.rank_ = dimensions.size();
  for (std::size_t i = 0; i < dimensions.size(); ++i) {
    if (dimensions[i] < kUnknownDimension) {
      return user_error(fmt::format("a tensor can't have a dimension of {}", dimensions[i]));
    }
    shape.dimensions_[i] = dimensions[i];
  }
  return shape;
}

Result<Shape> Shape::parse(std::string_view text) {
  if (trim(text).empty()) return Shape();
  std::array<std::int64_t, kMostDimensions> dimensions{};
  std::size_t rank = 0;
  for (const std::string_view part : split(text, ',')) {
    const std::string_view word = trim(part);
    const auto number = word == "?" ? std::optional<std::int64_t>(kUnknownDimension) : parse_int64(word);
    if (!number || *number < kUnknownDimension) {
      return user_error(
          fmt::format("'{}' is no shape: '{}' is no dimension", printable(text), printable(word)),
          "write whole numbers between commas, such as 1,3,224,224");
    }
    if (rank == kMostDimensions) {
      return user_error(
          fmt::format("'{}' has more than the {} dimensions supported", printable(text), kMostDimensions));
    }
    dimensions[rank++] = *number;
  }
  return create({dimensions.data(), rank});
}

bool Shape::is_known() const {
  return std::all_of(dimensions_.begin(), dimensions_.begin() + static_cast<std::ptrdiff_t>(rank_),
                     [](std::int64_t dimension) { return dimension >= 0; });
}

std::optional<std::uint64_t> Shape::element_count() const {
  if (!is_known()) return std::nullopt;
  std::uint64_t count = 1;
  // A dimension of 0 makes an empty tensor, whatever the others are.
  for (const std::int64_t dimension : dimensions()) {
    if (dimension == 0) return 0;
  }
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  for (const std::int64_t dimension : dimensions()) {
    if (count > kMost / static_cast<std::uint64_t>(dimension)) return std::nullopt;
    count *= static_cast<std::uint64_t>(dimension);
  }
  return count;
}

std::string Shape::text() const {
  std::string text = "[";
  for (const std::int64_t dimension : dimensions()) {
    if (text.size() > 1) text += ", ";
    text += dimension < 0 ? "?" : fmt::format("{}", dimension);
  }
  return text + "]";
}

bool Shape::admits(const Shape& concrete) const {
  return concrete.is_known() && concrete.rank_ == rank_ &&
         std::equal(dimensions().begin(), dimensions().end(), concrete.dimensions().begin(),
                    [](std::int64_t allowed, std::int64_t given) { return allowed < 0 || allowed == given; });
}

bool Shape::operator==(const Shape& other) const {
  return std::ranges::equal(dimensions(), other.dimensions());
}

Result<std::size_t> tensor_bytes(DataType type, const Shape& shape) {
  const std::size_t width = byte_width(type);
  if (width == 0) return user_error("a tensor of unknown type has no size");
  if (!shape.is_known()) return user_error(fmt::format("a tensor of shape {} has no size yet", shape.text()));
  const auto count = shape.element_count();
  if (!count || *count > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) / width) {
    return user_error(fmt::format("a tensor of shape {} does not fit any memory", shape.text()));
  }
  return static_cast<std::size_t>(*count) * width;
}

void Tensor::Free::operator()(std::byte* memory) const {
  std::free(memory);
}

Result<Tensor> Tensor::create(DataType type, const Shape& shape) {
  JOULERY_ASSIGN(const std::size_t bytes, tensor_bytes(type, shape));
  // An empty tensor has an address too: engines refuse null.
  const std::size_t rounded = (std::max<std::size_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
  Tensor tensor;
  tensor.memory_.reset(static_cast<std::byte*>(std::aligned_alloc(kAlignment, rounded)));
  if (!tensor.memory_) {
    return environment_error(fmt::format("no memory for a tensor of {} ({})", shape.text(),
                                         format_bytes(static_cast<double>(bytes))),
                             "use a smaller batch");
  }
  std::memset(tensor.memory_.get(), 0, rounded);
  tensor.view_ = {.type = type, .shape = shape, .data = tensor.memory_.get(), .bytes = bytes};
  return tensor;
}

bool has_non_finite(const TensorView& view) {
  switch (view.type) {
    case DataType::f32:
      return any_with_full_exponent<std::uint32_t>(view, 0x7f800000U);
    case DataType::f64:
      return any_with_full_exponent<std::uint64_t>(view, 0x7ff0000000000000ULL);
    case DataType::f16:
      return any_with_full_exponent<std::uint16_t>(view, 0x7c00U);
    case DataType::bf16:
      return any_with_full_exponent<std::uint16_t>(view, 0x7f80U);
    default:
      return false;
  }
}

}  // namespace joulery::data
