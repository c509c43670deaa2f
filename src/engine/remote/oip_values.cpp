#include "engine/remote/oip_values.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <array>
#include <bit>
#include <cstring>

#include "stats/random_stream.hpp"

namespace joulery::engine::remote {
namespace {

using Json = nlohmann::json;

static_assert(std::endian::native == std::endian::little, "the binary extension is little-endian");

constexpr std::array<std::string_view, 14> kDatatypes{"BOOL", "UINT8", "UINT16", "UINT32", "UINT64",
                                                      "INT8", "INT16", "INT32",  "INT64",  "FP16",
                                                      "BF16", "FP32",  "FP64",   "BYTES"};

struct Value {
  enum class Kind { boolean, integer, real, text } kind = Kind::real;
  double number = 0;
  std::string text = {};
};

Value draw(const std::string& datatype, stats::RandomStream& random) {
  constexpr std::uint64_t kWholeNumbers = 10;
  if (datatype == "BOOL") return {Value::Kind::boolean, double(random.below(2))};
  if (datatype == "BYTES") return {Value::Kind::text, 0, fmt::format("word {}", random.below(1000))};
  if (datatype.find("INT") != std::string::npos) {
    return {Value::Kind::integer, double(random.below(kWholeNumbers))};
  }
  // Sixteenths: every type has them exactly, and they are short in JSON.
  return {Value::Kind::real, double(random.below(17)) / 16};
}

template <class T>
void append(std::string& bytes, T value) {
  char raw[sizeof(T)];
  std::memcpy(raw, &value, sizeof(T));
  bytes.append(raw, sizeof(T));
}

/// The upper half of a float is a bfloat16; exact for sixteenths.
std::uint16_t as_bfloat16(double value) {
  return static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(static_cast<float>(value)) >> 16);
}

/// Exact for 0 and for sixteenths up to 1, which are normal numbers of half precision.
std::uint16_t as_half(double value) {
  const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(value));
  if ((bits & 0x7fffffffU) == 0) return 0;
  const std::uint32_t exponent = ((bits >> 23) & 0xffU) - 127 + 15;
  return static_cast<std::uint16_t>((exponent << 10) | ((bits >> 13) & 0x3ffU));
}

void append_binary(std::string& bytes, const std::string& datatype, const Value& value) {
  if (value.kind == Value::Kind::text) {
    append(bytes, static_cast<std::uint32_t>(value.text.size()));
    bytes += value.text;
  } else if (datatype == "FP64") {
    append(bytes, value.number);
  } else if (datatype == "FP32") {
    append(bytes, static_cast<float>(value.number));
  } else if (datatype == "FP16") {
    append(bytes, as_half(value.number));
  } else if (datatype == "BF16") {
    append(bytes, as_bfloat16(value.number));
  } else if (datatype.ends_with("64")) {
    append(bytes, static_cast<std::int64_t>(value.number));
  } else if (datatype.ends_with("32")) {
    append(bytes, static_cast<std::int32_t>(value.number));
  } else if (datatype.ends_with("16")) {
    append(bytes, static_cast<std::int16_t>(value.number));
  } else {
    append(bytes, static_cast<std::int8_t>(value.number));
  }
}

Json as_json(const Value& value) {
  if (value.kind == Value::Kind::boolean) return value.number != 0;
  if (value.kind == Value::Kind::integer) return static_cast<std::int64_t>(value.number);
  if (value.kind == Value::Kind::text) return value.text;
  return value.number;
}

}  // namespace

bool is_oip_datatype(std::string_view name) {
  for (const std::string_view known : kDatatypes) {
    if (known == name) return true;
  }
  return false;
}

OipRequest make_oip_request(const std::vector<OipTensor>& inputs, bool binary, std::uint64_t seed) {
  stats::RandomStream random(seed);
  std::string tensors;
  Json list = Json::array();
  for (const OipTensor& input : inputs) {
    std::int64_t count = 1;
    for (const std::int64_t size : input.shape) count *= size;
    Json tensor{{"name", input.name}, {"shape", input.shape}, {"datatype", input.datatype}};
    Json data = Json::array();
    const std::size_t before = tensors.size();
    for (std::int64_t i = 0; i < count; ++i) {
      const Value value = draw(input.datatype, random);
      if (binary) {
        append_binary(tensors, input.datatype, value);
      } else {
        data.push_back(as_json(value));
      }
    }
    if (binary) {
      tensor["parameters"] = {{"binary_data_size", tensors.size() - before}};
    } else {
      tensor["data"] = std::move(data);
    }
    list.push_back(std::move(tensor));
  }
  Json body{{"inputs", std::move(list)}};
  if (binary) body["parameters"] = {{"binary_data_output", true}};
  OipRequest request{.body = body.dump(-1, ' ', false, Json::error_handler_t::replace)};
  request.json_bytes = request.body.size();
  request.body += tensors;
  return request;
}

}  // namespace joulery::engine::remote
