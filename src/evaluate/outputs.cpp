#include "evaluate/outputs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "base/text.hpp"
#include "data/element_conversion.hpp"

namespace joulery::evaluate {
namespace {

using data::DataType;

template <class Element>
void read_as(const std::byte* from, std::span<double> values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    Element element;
    std::memcpy(&element, from + i * sizeof(Element), sizeof(Element));
    values[i] = static_cast<double>(element);
  }
}

template <class Element>
void write_as(std::byte* to, std::span<const double> values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    Element element;
    if constexpr (std::is_floating_point_v<Element>) {
      element = static_cast<Element>(values[i]);
    } else {
      // The upper end of 64-bit types is no double: the next one below it is.
      constexpr auto kLow = static_cast<double>(std::numeric_limits<Element>::min());
      constexpr auto kHigh = static_cast<double>(std::numeric_limits<Element>::max());
      const double rounded = std::isnan(values[i]) ? 0 : std::nearbyint(values[i]);
      if (rounded >= kHigh) {
        element = std::numeric_limits<Element>::max();
      } else {
        element = static_cast<Element>(std::max(rounded, kLow));
      }
    }
    std::memcpy(to + i * sizeof(Element), &element, sizeof(Element));
  }
}

void read_words(const std::byte* from, std::span<double> values, float (*convert)(std::uint16_t)) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::uint16_t word;
    std::memcpy(&word, from + i * sizeof word, sizeof word);
    values[i] = convert(word);
  }
}

void write_words(std::byte* to, std::span<const double> values, std::uint16_t (*convert)(float)) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint16_t word = convert(static_cast<float>(values[i]));
    std::memcpy(to + i * sizeof word, &word, sizeof word);
  }
}

std::string names_of(std::span<const engine::Port> outputs) {
  std::string names;
  for (const engine::Port& port : outputs) {
    if (!names.empty()) names += ", ";
    names += fmt::format("'{}' {}", printable(port.name), port.shape.text());
  }
  return names.empty() ? "none" : names;
}

}  // namespace

Result<Rows> Rows::create(const data::TensorView& tensor, std::size_t count, std::string_view name) {
  JOULERY_ASSIGN(const std::size_t bytes, data::tensor_bytes(tensor.type, tensor.shape));
  if (bytes != tensor.bytes || (bytes > 0 && tensor.data == nullptr)) {
    return internal_error(fmt::format("output '{}' of shape {} has {} bytes instead of {}", printable(name),
                                      tensor.shape.text(), tensor.bytes, bytes));
  }
  const std::int64_t rows = tensor.shape.rank() == 0 ? 1 : tensor.shape[0];
  if (static_cast<std::uint64_t>(rows) < count) {
    return user_error(fmt::format("output '{}' of shape {} does not have {} samples along its first axis",
                                  printable(name), tensor.shape.text(), count),
                      "the first axis must be the sample; bench with --batch 1 if the model has none");
  }
  Rows result;
  result.tensor_ = tensor;
  result.count_ = count;
  if (rows > 0) {
    result.width_ = bytes / data::byte_width(tensor.type) / static_cast<std::size_t>(rows);
  }
  return result;
}

void Rows::read(std::size_t row, std::span<double> values) const {
  const std::byte* from = tensor_.data + row * width_ * data::byte_width(tensor_.type);
  switch (tensor_.type) {
    case DataType::f32:
      return read_as<float>(from, values);
    case DataType::f64:
      return read_as<double>(from, values);
    case DataType::f16:
      return read_words(from, values, data::float_from_half);
    case DataType::bf16:
      return read_words(from, values, data::float_from_bfloat);
    case DataType::i8:
      return read_as<std::int8_t>(from, values);
    case DataType::i16:
      return read_as<std::int16_t>(from, values);
    case DataType::i32:
      return read_as<std::int32_t>(from, values);
    case DataType::i64:
      return read_as<std::int64_t>(from, values);
    case DataType::u8:
    case DataType::boolean:
      return read_as<std::uint8_t>(from, values);
    case DataType::u16:
      return read_as<std::uint16_t>(from, values);
    case DataType::u32:
      return read_as<std::uint32_t>(from, values);
    case DataType::u64:
      return read_as<std::uint64_t>(from, values);
    case DataType::unknown:
      break;
  }
}

void Rows::write(std::size_t row, std::span<const double> values) const {
  std::byte* to = tensor_.data + row * width_ * data::byte_width(tensor_.type);
  switch (tensor_.type) {
    case DataType::f32:
      return write_as<float>(to, values);
    case DataType::f64:
      return write_as<double>(to, values);
    case DataType::f16:
      return write_words(to, values, data::half_from_float);
    case DataType::bf16:
      return write_words(to, values, data::bfloat_from_float);
    case DataType::i8:
      return write_as<std::int8_t>(to, values);
    case DataType::i16:
      return write_as<std::int16_t>(to, values);
    case DataType::i32:
      return write_as<std::int32_t>(to, values);
    case DataType::i64:
      return write_as<std::int64_t>(to, values);
    case DataType::u8:
    case DataType::boolean:
      return write_as<std::uint8_t>(to, values);
    case DataType::u16:
      return write_as<std::uint16_t>(to, values);
    case DataType::u32:
      return write_as<std::uint32_t>(to, values);
    case DataType::u64:
      return write_as<std::uint64_t>(to, values);
    case DataType::unknown:
      break;
  }
}

bool is_floating(DataType type) {
  return type == DataType::f32 || type == DataType::f64 || type == DataType::f16 || type == DataType::bf16;
}

bool all_finite(std::span<const double> values) {
  return std::ranges::all_of(values, [](double value) { return std::isfinite(value); });
}

std::size_t largest(std::span<const double> values) {
  return static_cast<std::size_t>(std::ranges::max_element(values) - values.begin());
}

void softmax(std::span<double> values) {
  if (values.empty()) return;
  const double top = values[largest(values)];
  double sum = 0;
  for (double& value : values) {
    value = std::exp(value - top);
    sum += value;
  }
  for (double& value : values) value /= sum;
}

Result<std::size_t> find_output(std::span<const engine::Port> outputs, std::string_view name) {
  const auto found = std::ranges::find(outputs, name, &engine::Port::name);
  if (found != outputs.end()) return static_cast<std::size_t>(found - outputs.begin());
  return user_error(fmt::format("the model has no output '{}', but {}", printable(name), names_of(outputs)));
}

Result<std::size_t> choose_output(std::span<const engine::Port> outputs, std::string_view name,
                                  std::string_view purpose,
                                  const std::function<bool(const engine::Port&)>& fits) {
  if (!name.empty()) return find_output(outputs, name);
  if (outputs.size() == 1) return 0;
  std::vector<std::size_t> fitting;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (fits(outputs[i])) fitting.push_back(i);
  }
  if (fitting.size() == 1) return fitting.front();
  return user_error(fmt::format("{} of the model's outputs look like {}: {}",
                                fitting.empty() ? "none" : "several", purpose, names_of(outputs)),
                    "name the one to judge with --task-output NAME");
}

}  // namespace joulery::evaluate
