#pragma once

#include <fmt/format.h>

#include <limits>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "onnx/decode.hpp"
#include "onnx/wire.hpp"

namespace joulery::onnx {

/// The state of one reading: place, limits, and the first thing that is wrong. What reads a field gives false
/// if it can't, and everything then stops.
class Decoder {
 public:
  Decoder(const SharedBytes& all, const DecodeLimits& limits);

  /// Reads the fields of a message that lies in `payload` into `out`.
  template <class T>
  bool fields(std::span<const std::uint8_t> payload, T& out);

  /// A message that occurs once. A second one would be merged with the first by some readers and not by
  /// others.
  template <class Holder>
  bool once(const WireField& field, const char* name, Holder& out) {
    if (out.has_value()) return fail(field, name, "it occurs twice");
    return message(field, name, -1, out.emplace());
  }
  /// One more of a list of messages.
  template <class T>
  bool repeated(const WireField& field, const char* name, std::vector<T>& out) {
    out.emplace_back();
    return message(field, name, static_cast<std::int64_t>(out.size()) - 1, out.back());
  }
  template <class T>
  bool message(const WireField& field, const char* name, std::int64_t index, T& out) {
    if (field.type != WireType::bytes) return wrong_type(field, name, "a message");
    path_.push_back({name, index});
    if (path_.size() > limits_.depth) return fail(field, nullptr, "messages are nested too deep");
    if (!spend(field, sizeof(T)) || !fields(field.payload, out)) return false;
    path_.pop_back();
    return true;
  }

  bool text(const WireField& field, const char* name, std::string& out);
  bool texts(const WireField& field, const char* name, std::vector<std::string>& out);
  /// Text that need not be UTF-8.
  bool octets(const WireField& field, const char* name, std::string& out);
  bool octet_list(const WireField& field, const char* name, std::vector<std::string>& out);
  bool number(const WireField& field, const char* name, std::int64_t& out);
  bool small_number(const WireField& field, const char* name, std::int32_t& out);
  template <class E>
    requires std::is_enum_v<E>
  bool number(const WireField& field, const char* name, E& out) {
    std::int32_t value = 0;
    if (!small_number(field, name, value)) return false;
    out = static_cast<E>(value);
    return true;
  }
  bool float_number(const WireField& field, const char* name, float& out);
  /// Lists of numbers, packed or one by one.
  bool numbers(const WireField& field, const char* name, std::vector<std::int64_t>& out);
  bool floats(const WireField& field, const char* name, std::vector<float>& out);
  bool unknown(const WireField& field, UnknownFields& out);

  /// A view of `part`, which lies in what is read.
  SharedBytes view(std::span<const std::uint8_t> part) const {
    return all_.part(static_cast<std::size_t>(part.data() - all_.data()), part.size());
  }
  /// Counts an item and its memory against the limits.
  bool spend(const WireField& field, std::uint64_t bytes, std::uint64_t items = 1);
  bool wrong_type(const WireField& field, const char* name, const char* wanted);
  bool fail(const WireField& field, const char* name, std::string why) {
    return fail_at(field.whole.data(), name, std::move(why));
  }
  bool fail_at(const std::uint8_t* position, const char* name, std::string why);
  Error error(std::string_view file) const;

 private:
  struct Step {
    const char* name;
    std::int64_t index;
  };
  struct Failure {
    std::size_t offset;
    std::string place, why;
  };
  SharedBytes all_;
  DecodeLimits limits_;
  std::uint64_t items_ = 0;
  std::uint64_t memory_ = 0;
  std::vector<Step> path_;
  std::optional<Failure> failure_;
};

// One for each message; its fields by number.
bool decode_field(Decoder& in, const WireField& field, StringPair& out);
bool decode_field(Decoder& in, const WireField& field, Dimension& out);
bool decode_field(Decoder& in, const WireField& field, Shape& out);
bool decode_field(Decoder& in, const WireField& field, TensorType& out);
bool decode_field(Decoder& in, const WireField& field, SparseTensorType& out);
bool decode_field(Decoder& in, const WireField& field, SequenceType& out);
bool decode_field(Decoder& in, const WireField& field, OptionalType& out);
bool decode_field(Decoder& in, const WireField& field, MapType& out);
bool decode_field(Decoder& in, const WireField& field, OpaqueType& out);
bool decode_field(Decoder& in, const WireField& field, Type& out);
bool decode_field(Decoder& in, const WireField& field, ValueInfo& out);
bool decode_field(Decoder& in, const WireField& field, Segment& out);
bool decode_field(Decoder& in, const WireField& field, SparseTensor& out);
bool decode_field(Decoder& in, const WireField& field, IntegerGroup& out);
bool decode_field(Decoder& in, const WireField& field, SimpleShardedDimension& out);
bool decode_field(Decoder& in, const WireField& field, ShardedDimension& out);
bool decode_field(Decoder& in, const WireField& field, ShardingSpec& out);
bool decode_field(Decoder& in, const WireField& field, NodeDeviceConfiguration& out);
bool decode_field(Decoder& in, const WireField& field, Node& out);
bool decode_field(Decoder& in, const WireField& field, TensorAnnotation& out);
bool decode_field(Decoder& in, const WireField& field, Graph& out);
bool decode_field(Decoder& in, const WireField& field, OpsetId& out);
bool decode_field(Decoder& in, const WireField& field, Function& out);
bool decode_field(Decoder& in, const WireField& field, TrainingInfo& out);
bool decode_field(Decoder& in, const WireField& field, DeviceConfiguration& out);
bool decode_field(Decoder& in, const WireField& field, Model& out);

// These need to know what came before.
bool decode_fields(Decoder& in, std::span<const std::uint8_t> payload, Tensor& out);
bool decode_fields(Decoder& in, std::span<const std::uint8_t> payload, Attribute& out);

/// Calls `read(field)` for each field of a message.
template <class Read>
bool for_each_field(Decoder& in, std::span<const std::uint8_t> payload, Read&& read) {
  WireReader reader(payload);
  WireField field;
  while (reader.next(field)) {
    if (!read(field)) return false;
  }
  return reader.error() == nullptr || in.fail_at(reader.position(), nullptr, reader.error());
}

template <class T>
bool Decoder::fields(std::span<const std::uint8_t> payload, T& out) {
  if constexpr (std::is_same_v<T, Tensor> || std::is_same_v<T, Attribute>) {
    return decode_fields(*this, payload, out);
  } else {
    return for_each_field(*this, payload,
                          [this, &out](const WireField& field) { return decode_field(*this, field, out); });
  }
}

}  // namespace joulery::onnx
