#include "onnx/tensor_values.hpp"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstring>

#include "base/text.hpp"
#include "onnx/wire.hpp"

namespace joulery::onnx {
namespace {

std::uint64_t count_varints(const SharedBytes& data) {
  // Every number ends with a byte below 0x80.
  return static_cast<std::uint64_t>(
      std::ranges::count_if(data.span(), [](std::uint8_t byte) { return byte < 0x80; }));
}

/// What a storage calls its numbers, and how many of them there are.
std::uint64_t stored_count(const Tensor& tensor) {
  switch (tensor.storage) {
    case TensorStorage::none:
      return 0;
    case TensorStorage::raw:
    case TensorStorage::external:
      return tensor.data.size();
    case TensorStorage::float_data:
      return tensor.data.size() / 4;
    case TensorStorage::double_data:
      return tensor.data.size() / 8;
    case TensorStorage::int32_data:
    case TensorStorage::int64_data:
    case TensorStorage::uint64_data:
      return count_varints(tensor.data);
    case TensorStorage::strings:
      return tensor.strings.size();
  }
  return 0;
}

/// The field of its own in which elements of a type may lie.
TensorStorage typed_storage(DataType type) {
  switch (type) {
    case DataType::float32:
    case DataType::complex64:
      return TensorStorage::float_data;
    case DataType::float64:
    case DataType::complex128:
      return TensorStorage::double_data;
    case DataType::int64:
      return TensorStorage::int64_data;
    case DataType::uint32:
    case DataType::uint64:
      return TensorStorage::uint64_data;
    case DataType::string:
      return TensorStorage::strings;
    default:
      return TensorStorage::int32_data;
  }
}

/// How many numbers of the typed field `elements` take; never more than that many times two.
std::uint64_t typed_count(DataType type, std::uint64_t elements) {
  switch (type) {
    case DataType::complex64:
    case DataType::complex128:
      return elements * 2;
    case DataType::uint4:
    case DataType::int4:
    case DataType::float4e2m1:
      return elements / 2 + elements % 2;
    case DataType::uint2:
    case DataType::int2:
      return elements / 4 + (elements % 4 != 0 ? 1 : 0);
    default:
      return elements;
  }
}

bool is_six_bits(DataType type) {
  return bits_of(type) == 6;
}

const char* storage_name(TensorStorage storage) {
  switch (storage) {
    case TensorStorage::none:
      return "no data";
    case TensorStorage::raw:
      return "raw_data";
    case TensorStorage::float_data:
      return "float_data";
    case TensorStorage::double_data:
      return "double_data";
    case TensorStorage::int32_data:
      return "int32_data";
    case TensorStorage::int64_data:
      return "int64_data";
    case TensorStorage::uint64_data:
      return "uint64_data";
    case TensorStorage::strings:
      return "string_data";
    case TensorStorage::external:
      return "external data";
  }
  return "";
}

template <class Each>
void each_varint(const SharedBytes& data, Each&& each) {
  std::span<const std::uint8_t> rest = data.span();
  while (!rest.empty()) {
    std::uint64_t value = 0;
    const std::size_t size = read_varint(rest, value);
    if (size == 0) return;
    each(value);
    rest = rest.subspan(size);
  }
}

/// Four elements of six bits in three bytes, lowest bits first.
std::vector<std::uint8_t> pack_six_bits(const SharedBytes& data, std::uint64_t size) {
  std::vector<std::uint8_t> raw(size, 0);
  std::uint64_t bit = 0;
  each_varint(data, [&](std::uint64_t value) {
    const auto six = static_cast<unsigned>(value & 0x3FU) << (bit % 8);
    if (bit / 8 < raw.size()) raw[bit / 8] = static_cast<std::uint8_t>(raw[bit / 8] | (six & 0xFFU));
    if (six > 0xFF && bit / 8 + 1 < raw.size()) raw[bit / 8 + 1] = static_cast<std::uint8_t>(six >> 8U);
    bit += 6;
  });
  return raw;
}

/// False if a number of the typed field has bits that the type has no room for.
bool fits(std::uint64_t value, unsigned bits) {
  if (bits >= 64) return true;
  const auto number = static_cast<std::int64_t>(value);
  return number >= -(std::int64_t{1} << (bits - 1)) && number < (std::int64_t{1} << bits);
}

Result<SharedBytes> unpack_varints(const Tensor& tensor, std::uint64_t size) {
  const unsigned bits = bits_of(tensor.data_type);
  bool all_fit = true;
  const unsigned stored_bits = is_six_bits(tensor.data_type) ? 6 : std::max(bits, 8U);
  each_varint(tensor.data, [&](std::uint64_t value) { all_fit = all_fit && fits(value, stored_bits); });
  if (!all_fit) {
    return user_error(fmt::format("tensor '{}' has a number that {} has no room for", printable(tensor.name),
                                  data_type_name(tensor.data_type)));
  }
  if (is_six_bits(tensor.data_type)) return SharedBytes::adopt(pack_six_bits(tensor.data, size));
  std::vector<std::uint8_t> raw;
  raw.reserve(size);
  const std::size_t width = stored_bits / 8;
  each_varint(tensor.data, [&](std::uint64_t value) {
    for (std::size_t i = 0; i < width; ++i) raw.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  });
  return SharedBytes::adopt(std::move(raw));
}

template <class T, class Out>
void copy_values(const SharedBytes& raw, std::vector<Out>& out) {
  const std::size_t count = raw.size() / sizeof(T);
  out.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    T value;
    std::memcpy(&value, raw.data() + i * sizeof(T), sizeof(T));
    out.push_back(static_cast<Out>(value));
  }
}

/// Elements of 2 or 4 bits, the lowest first.
void copy_narrow(const SharedBytes& raw, unsigned bits, bool is_signed, std::uint64_t count,
                 std::vector<std::int64_t>& out) {
  const unsigned mask = (1U << bits) - 1;
  for (std::uint64_t i = 0; i < count; ++i) {
    const unsigned value = (raw.span()[i * bits / 8] >> (i * bits % 8)) & mask;
    const bool is_negative = is_signed && (value >> (bits - 1)) != 0;
    out.push_back(static_cast<std::int64_t>(value) - (is_negative ? std::int64_t{1} << bits : 0));
  }
}

double half_value(std::uint16_t half) {
  const int exponent = (half >> 10) & 0x1F;
  const int fraction = half & 0x3FF;
  const double sign = (half & 0x8000) != 0 ? -1 : 1;
  if (exponent == 0x1F) return fraction == 0 ? sign * INFINITY : NAN;
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(fraction + 0x400, exponent - 25);
}

template <class T>
Tensor tensor_of(std::string name, std::vector<std::int64_t> dims, const std::vector<T>& values,
                 DataType type) {
  Tensor tensor;
  tensor.name = std::move(name);
  tensor.dims = std::move(dims);
  tensor.data_type = type;
  tensor.storage = TensorStorage::raw;
  tensor.data =
      SharedBytes::copy_of({reinterpret_cast<const std::uint8_t*>(values.data()), values.size() * sizeof(T)});
  return tensor;
}

}  // namespace

std::optional<std::string> tensor_fault(const Tensor& tensor) {
  if (!is_known(tensor.data_type)) {
    return tensor.data_type == DataType::undefined
               ? "it has no element type"
               : "its element " + data_type_name(tensor.data_type) + " is unknown";
  }
  if (tensor.segment) return "it is a segment of a larger tensor, which nothing reads";
  const auto elements = element_count(tensor.dims);
  if (!elements) return "its shape has a negative dimension or more elements than 63 bits count";
  const bool is_raw = tensor.storage == TensorStorage::raw || tensor.storage == TensorStorage::external;
  const auto size = raw_size(tensor.data_type, *elements);
  if (is_raw && tensor.data_type == DataType::string) return "strings can't lie in raw or external data";
  if (tensor.data_type != DataType::string && !size)
    return "its data would have more bytes than 63 bits count";
  if (tensor.storage == TensorStorage::external && !tensor.attached) return std::nullopt;
  const std::uint64_t stored = stored_count(tensor);
  if (is_raw) {
    if (stored == *size) return std::nullopt;
    return fmt::format("it has {} bytes of data, but its type and shape need {}", stored, *size);
  }
  if (tensor.storage != TensorStorage::none && tensor.storage != typed_storage(tensor.data_type)) {
    return fmt::format("its data lies in {}, which is not for {}", storage_name(tensor.storage),
                       data_type_name(tensor.data_type));
  }
  const std::uint64_t needed = typed_count(tensor.data_type, *elements);
  if (stored == needed) return std::nullopt;
  return fmt::format("it has {} numbers in {}, but its type and shape need {}", stored,
                     storage_name(tensor.storage), needed);
}

Result<SharedBytes> raw_bytes(const Tensor& tensor) {
  if (const auto fault = tensor_fault(tensor)) {
    return user_error(fmt::format("tensor '{}': {}", printable(tensor.name), *fault));
  }
  const auto size = raw_size(tensor.data_type, *element_count(tensor.dims));
  if (!size) return user_error(fmt::format("tensor '{}' holds strings, not numbers", printable(tensor.name)));
  switch (tensor.storage) {
    case TensorStorage::int32_data:
    case TensorStorage::int64_data:
    case TensorStorage::uint64_data:
      return unpack_varints(tensor, *size);
    case TensorStorage::external:
      if (!tensor.attached) {
        return user_error(fmt::format("the data of tensor '{}' lies in another file, which is not open",
                                      printable(tensor.name)));
      }
      return tensor.data;
    default:
      return tensor.data;
  }
}

Result<std::vector<std::int64_t>> integer_values(const Tensor& tensor) {
  JOULERY_ASSIGN(const SharedBytes raw, raw_bytes(tensor));
  const std::uint64_t count = *element_count(tensor.dims);
  std::vector<std::int64_t> values;
  switch (tensor.data_type) {
    case DataType::boolean:
    case DataType::uint8:
      copy_values<std::uint8_t>(raw, values);
      break;
    case DataType::int8:
      copy_values<std::int8_t>(raw, values);
      break;
    case DataType::uint16:
      copy_values<std::uint16_t>(raw, values);
      break;
    case DataType::int16:
      copy_values<std::int16_t>(raw, values);
      break;
    case DataType::uint32:
      copy_values<std::uint32_t>(raw, values);
      break;
    case DataType::int32:
      copy_values<std::int32_t>(raw, values);
      break;
    case DataType::uint64:
    case DataType::int64:
      copy_values<std::int64_t>(raw, values);
      break;
    case DataType::uint4:
    case DataType::int4:
      copy_narrow(raw, 4, tensor.data_type == DataType::int4, count, values);
      break;
    case DataType::uint2:
    case DataType::int2:
      copy_narrow(raw, 2, tensor.data_type == DataType::int2, count, values);
      break;
    default:
      return user_error(fmt::format("tensor '{}' holds {}, not integers", printable(tensor.name),
                                    data_type_name(tensor.data_type)));
  }
  return values;
}

Result<std::vector<double>> real_values(const Tensor& tensor) {
  std::vector<double> values;
  JOULERY_ASSIGN(const SharedBytes raw, raw_bytes(tensor));
  switch (tensor.data_type) {
    case DataType::float32:
      copy_values<float>(raw, values);
      return values;
    case DataType::float64:
      copy_values<double>(raw, values);
      return values;
    case DataType::float16:
    case DataType::bfloat16: {
      std::vector<std::uint16_t> halves;
      copy_values<std::uint16_t>(raw, halves);
      for (const std::uint16_t half : halves) {
        values.push_back(tensor.data_type == DataType::float16
                             ? half_value(half)
                             : double{std::bit_cast<float>(std::uint32_t{half} << 16U)});
      }
      return values;
    }
    default:
      break;
  }
  JOULERY_ASSIGN(const std::vector<std::int64_t> integers, integer_values(tensor));
  for (const std::int64_t value : integers) {
    values.push_back(tensor.data_type == DataType::uint64
                         ? static_cast<double>(static_cast<std::uint64_t>(value))
                         : static_cast<double>(value));
  }
  return values;
}

Tensor make_tensor(std::string name, std::vector<std::int64_t> dims, const std::vector<float>& values) {
  return tensor_of(std::move(name), std::move(dims), values, DataType::float32);
}

Tensor make_tensor(std::string name, std::vector<std::int64_t> dims,
                   const std::vector<std::int64_t>& values) {
  return tensor_of(std::move(name), std::move(dims), values, DataType::int64);
}

Result<Tensor> with_own_data(Tensor tensor) {
  if (tensor.storage != TensorStorage::external) return tensor;
  JOULERY_ASSIGN(tensor.data, raw_bytes(tensor));
  tensor.storage = TensorStorage::raw;
  tensor.attached = false;
  tensor.external_data.clear();
  return tensor;
}

}  // namespace joulery::onnx
