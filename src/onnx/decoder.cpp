#include "onnx/decoder.hpp"

#include <algorithm>
#include <bit>

#include "base/text.hpp"

namespace joulery::onnx {
namespace {

/// Of a place that an error names: deep nesting is told in short.
constexpr std::size_t kLongestPlace = 400;
/// What a file may take beyond a part that every one may: what exporters write takes some ten times its size.
constexpr std::uint64_t kMostGrowth = 64;
constexpr std::uint64_t kFreeBytes = 64ULL << 20U;

}  // namespace

Decoder::Decoder(const SharedBytes& all, const DecodeLimits& limits) : all_(all), limits_(limits) {
  const std::uint64_t fair = kFreeBytes + std::min<std::uint64_t>(all.size(), 1ULL << 40U) * kMostGrowth;
  limits_.memory_bytes = std::min(limits_.memory_bytes, fair);
}

bool Decoder::fail_at(const std::uint8_t* position, const char* name, std::string why) {
  if (failure_) return false;
  std::string place;
  for (const Step& step : path_) {
    if (!place.empty()) place += '.';
    place += step.name;
    if (step.index >= 0) place += fmt::format("[{}]", step.index);
  }
  if (name != nullptr) place += (place.empty() ? "" : ".") + std::string(name);
  if (place.size() > kLongestPlace) place.replace(kLongestPlace / 2, place.size() - kLongestPlace, "…");
  failure_ = Failure{static_cast<std::size_t>(position - all_.data()), std::move(place), std::move(why)};
  return false;
}

Error Decoder::error(std::string_view file) const {
  if (!failure_) return {Error::Kind::internal, "no error", ""};
  const std::string place = failure_->place.empty() ? "" : fmt::format(" in {}", failure_->place);
  return {Error::Kind::user,
          fmt::format("{} is no valid ONNX model: at byte {}{}: {}", file, failure_->offset, place,
                      failure_->why),
          "the file is damaged or was made by a broken program: fetch or export it again"};
}

bool Decoder::wrong_type(const WireField& field, const char* name, const char* wanted) {
  return fail(field, name, fmt::format("field {} is not {}", field.number, wanted));
}

bool Decoder::spend(const WireField& field, std::uint64_t bytes, std::uint64_t items) {
  items_ += items;
  memory_ += bytes;
  if (items_ > limits_.items) return fail(field, nullptr, "the model has too many parts");
  if (memory_ > limits_.memory_bytes) return fail(field, nullptr, "the model would take too much memory");
  return true;
}

bool Decoder::octets(const WireField& field, const char* name, std::string& out) {
  if (field.type != WireType::bytes) return wrong_type(field, name, "a text");
  if (!spend(field, field.payload.size())) return false;
  out.assign(reinterpret_cast<const char*>(field.payload.data()), field.payload.size());
  return true;
}

bool Decoder::text(const WireField& field, const char* name, std::string& out) {
  if (field.type == WireType::bytes && !is_utf8(field.payload))
    return fail(field, name, "the text is no UTF-8");
  return octets(field, name, out);
}

bool Decoder::texts(const WireField& field, const char* name, std::vector<std::string>& out) {
  return spend(field, sizeof(std::string), 0) && text(field, name, out.emplace_back());
}

bool Decoder::octet_list(const WireField& field, const char* name, std::vector<std::string>& out) {
  return spend(field, sizeof(std::string), 0) && octets(field, name, out.emplace_back());
}

bool Decoder::number(const WireField& field, const char* name, std::int64_t& out) {
  if (field.type != WireType::varint) return wrong_type(field, name, "a number");
  out = static_cast<std::int64_t>(field.value);
  return true;
}

bool Decoder::small_number(const WireField& field, const char* name, std::int32_t& out) {
  std::int64_t value = 0;
  if (!number(field, name, value)) return false;
  // A protobuf library takes the low 32 bits, whatever the others say.
  if (value != static_cast<std::int32_t>(value)) return fail(field, name, "the number does not fit 32 bits");
  out = static_cast<std::int32_t>(value);
  return true;
}

bool Decoder::float_number(const WireField& field, const char* name, float& out) {
  if (field.type != WireType::fixed32) return wrong_type(field, name, "a float");
  out = std::bit_cast<float>(static_cast<std::uint32_t>(field.value));
  return true;
}

bool Decoder::numbers(const WireField& field, const char* name, std::vector<std::int64_t>& out) {
  if (field.type != WireType::bytes) {
    std::int64_t value = 0;
    if (!number(field, name, value) || !spend(field, sizeof value, 0)) return false;
    out.push_back(value);
    return true;
  }
  std::span<const std::uint8_t> rest = field.payload;
  while (!rest.empty()) {
    std::uint64_t value = 0;
    const std::size_t size = read_varint(rest, value);
    if (size == 0) return fail(field, name, "a number of the list is cut off or longer than 64 bits");
    if (!spend(field, sizeof value, 0)) return false;
    out.push_back(static_cast<std::int64_t>(value));
    rest = rest.subspan(size);
  }
  return true;
}

bool Decoder::floats(const WireField& field, const char* name, std::vector<float>& out) {
  if (field.type != WireType::bytes) {
    float value = 0;
    if (!float_number(field, name, value) || !spend(field, sizeof value, 0)) return false;
    out.push_back(value);
    return true;
  }
  if (field.payload.size() % sizeof(float) != 0) return fail(field, name, "the list ends within a number");
  if (!spend(field, field.payload.size(), 0)) return false;
  const std::size_t before = out.size();
  const std::size_t count = field.payload.size() / sizeof(float);
  out.resize(before + count);
  if (count > 0) std::memcpy(out.data() + before, field.payload.data(), field.payload.size());
  return true;
}

bool Decoder::unknown(const WireField& field, UnknownFields& out) {
  if (!spend(field, field.whole.size() + (out.has_value() ? 0 : sizeof(std::string)))) return false;
  if (!out.has_value()) out.emplace();
  out->append(reinterpret_cast<const char*>(field.whole.data()), field.whole.size());
  return true;
}

Result<Model> decode_model(const SharedBytes& bytes, std::string_view name, const DecodeLimits& limits) {
  Decoder decoder(bytes, limits);
  Model model;
  if (!decoder.fields(bytes.span(), model)) return std::unexpected(decoder.error(name));
  return model;
}

}  // namespace joulery::onnx
