#include "onnx/decoder.hpp"

namespace joulery::onnx {
namespace {

/// Puts the elements of one tensor together: they may come packed, one by one, or in several parts.
class TensorDecoder {
 public:
  TensorDecoder(Decoder& in, Tensor& out) : in_(in), out_(out) {}

  bool field(const WireField& field);
  bool finish(std::span<const std::uint8_t> payload);

 private:
  bool claim(const WireField& field, const char* name, TensorStorage storage);
  /// Elements of 4 or 8 bytes.
  bool fixed_elements(const WireField& field, const char* name, TensorStorage storage, std::size_t width);
  bool varint_elements(const WireField& field, const char* name, TensorStorage storage);
  bool packed_varints(const WireField& field, const char* name, bool is_small);
  bool add(const WireField& field, std::span<const std::uint8_t> bytes);
  bool raw(const WireField& field);

  Decoder& in_;
  Tensor& out_;
  std::int32_t location_ = 0;
  /// Elements that do not lie in one piece.
  std::vector<std::uint8_t> gathered_;
};

constexpr std::int32_t kExternalLocation = 1;

bool TensorDecoder::claim(const WireField& field, const char* name, TensorStorage storage) {
  if (out_.storage != TensorStorage::none && out_.storage != storage) {
    return in_.fail(field, name, "the tensor has data of two kinds");
  }
  out_.storage = storage;
  return true;
}

bool TensorDecoder::add(const WireField& field, std::span<const std::uint8_t> bytes) {
  if (out_.data.empty() && gathered_.empty() && field.type == WireType::bytes) {
    out_.data = in_.view(bytes);
    return true;
  }
  if (!out_.data.empty()) {
    if (!in_.spend(field, out_.data.size(), 0)) return false;
    gathered_.assign(out_.data.data(), out_.data.data() + out_.data.size());
    out_.data = {};
  }
  if (!in_.spend(field, bytes.size(), 0)) return false;
  gathered_.insert(gathered_.end(), bytes.begin(), bytes.end());
  return true;
}

bool TensorDecoder::fixed_elements(const WireField& field, const char* name, TensorStorage storage,
                                   std::size_t width) {
  if (field.type == WireType::bytes) {
    if (field.payload.size() % width != 0) return in_.fail(field, name, "the data ends within a number");
    if (field.payload.empty()) return true;
    return claim(field, name, storage) && add(field, field.payload);
  }
  if (field.type != (width == 4 ? WireType::fixed32 : WireType::fixed64)) {
    return in_.wrong_type(field, name, "a list of such numbers");
  }
  return claim(field, name, storage) && add(field, field.whole.last(width));
}

/// Appends the shortest form of a number.
void append_varint(std::uint64_t value, std::vector<std::uint8_t>& out) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<std::uint8_t>(value | 0x80));
  out.push_back(static_cast<std::uint8_t>(value));
}

bool fits_32_bits(std::uint64_t value) {
  const auto number = static_cast<std::int64_t>(value);
  return number == static_cast<std::int32_t>(number);
}

bool TensorDecoder::packed_varints(const WireField& field, const char* name, bool is_small) {
  std::span<const std::uint8_t> rest = field.payload;
  bool is_shortest = true;
  while (!rest.empty()) {
    std::uint64_t value = 0;
    const std::size_t size = read_varint(rest, value);
    if (size == 0) return in_.fail(field, name, "a number of the data is cut off or longer than 64 bits");
    if (is_small && !fits_32_bits(value))
      return in_.fail(field, name, "a number of the data does not fit 32 bits");
    is_shortest = is_shortest && size == varint_size(value);
    rest = rest.subspan(size);
  }
  if (is_shortest) return add(field, field.payload);
  std::vector<std::uint8_t> shortest;
  for (rest = field.payload; !rest.empty();) {
    std::uint64_t value = 0;
    rest = rest.subspan(read_varint(rest, value));
    append_varint(value, shortest);
  }
  if (gathered_.empty() && out_.data.empty()) {
    gathered_ = std::move(shortest);
    return in_.spend(field, gathered_.size(), 0);
  }
  return add(field, shortest);
}

bool TensorDecoder::varint_elements(const WireField& field, const char* name, TensorStorage storage) {
  const bool is_small = storage == TensorStorage::int32_data;
  if (field.type == WireType::bytes) {
    if (field.payload.empty()) return true;
    return claim(field, name, storage) && packed_varints(field, name, is_small);
  }
  if (field.type != WireType::varint) return in_.wrong_type(field, name, "a list of numbers");
  if (is_small && !fits_32_bits(field.value)) return in_.fail(field, name, "the number does not fit 32 bits");
  std::vector<std::uint8_t> shortest;
  append_varint(field.value, shortest);
  return claim(field, name, storage) && add(field, shortest);
}

bool TensorDecoder::raw(const WireField& field) {
  if (field.type != WireType::bytes) return in_.wrong_type(field, "raw_data", "bytes");
  if (!claim(field, "raw_data", TensorStorage::raw)) return false;
  // The last one counts.
  out_.data = in_.view(field.payload);
  return true;
}

bool TensorDecoder::field(const WireField& field) {
  switch (field.number) {
    case 1:
      return in_.numbers(field, "dims", out_.dims);
    case 2:
      return in_.number(field, "data_type", out_.data_type);
    case 3:
      return in_.once(field, "segment", out_.segment);
    case 4:
      return fixed_elements(field, "float_data", TensorStorage::float_data, 4);
    case 5:
      return varint_elements(field, "int32_data", TensorStorage::int32_data);
    case 6:
      return claim(field, "string_data", TensorStorage::strings) &&
             in_.octet_list(field, "string_data", out_.strings);
    case 7:
      return varint_elements(field, "int64_data", TensorStorage::int64_data);
    case 8:
      return in_.text(field, "name", out_.name);
    case 9:
      return raw(field);
    case 10:
      return fixed_elements(field, "double_data", TensorStorage::double_data, 8);
    case 11:
      return varint_elements(field, "uint64_data", TensorStorage::uint64_data);
    case 12:
      return in_.text(field, "doc_string", out_.doc_string);
    case 13:
      return in_.repeated(field, "external_data", out_.external_data);
    case 14:
      return in_.small_number(field, "data_location", location_);
    case 16:
      return in_.repeated(field, "metadata_props", out_.metadata);
    default:
      return in_.unknown(field, out_.unknown);
  }
}

bool TensorDecoder::finish(std::span<const std::uint8_t> payload) {
  if (!gathered_.empty()) out_.data = SharedBytes::adopt(std::move(gathered_));
  if (location_ == 0) return true;
  if (location_ != kExternalLocation) {
    return in_.fail_at(payload.data(), "data_location", fmt::format("no such place: {}", location_));
  }
  if (out_.storage == TensorStorage::raw && out_.data.empty()) out_.storage = TensorStorage::none;
  if (out_.storage != TensorStorage::none) {
    return in_.fail_at(payload.data(), nullptr, "the tensor has data of its own and in another file");
  }
  out_.storage = TensorStorage::external;
  return true;
}

}  // namespace

bool decode_fields(Decoder& in, std::span<const std::uint8_t> payload, Tensor& out) {
  TensorDecoder decoder(in, out);
  return for_each_field(in, payload, [&](const WireField& field) { return decoder.field(field); }) &&
         decoder.finish(payload);
}

bool decode_field(Decoder& in, const WireField& field, Segment& out) {
  switch (field.number) {
    case 1:
      return in.number(field, "begin", out.begin);
    case 2:
      return in.number(field, "end", out.end);
    default:
      return in.unknown(field, out.unknown);
  }
}

bool decode_field(Decoder& in, const WireField& field, SparseTensor& out) {
  switch (field.number) {
    case 1:
      return in.once(field, "values", out.values);
    case 2:
      return in.once(field, "indices", out.indices);
    case 3:
      return in.numbers(field, "dims", out.dims);
    default:
      return in.unknown(field, out.unknown);
  }
}

}  // namespace joulery::onnx
