#include "onnx/wire.hpp"

#include <bit>

namespace joulery::onnx {
namespace {

static_assert(std::endian::native == std::endian::little, "fixed fields are little-endian");

constexpr std::size_t kLongestVarint = 10;
constexpr std::uint64_t kHighestField = (1U << 29U) - 1;
/// Payloads from here on are passed on as views.
constexpr std::size_t kCopiedBelow = 4096;

}  // namespace

std::size_t read_varint(std::span<const std::uint8_t> bytes, std::uint64_t& value) {
  value = 0;
  const std::size_t most = std::min(bytes.size(), kLongestVarint);
  for (std::size_t i = 0; i < most; ++i) {
    const std::uint64_t part = bytes[i] & 0x7FU;
    // The tenth byte has room for one bit.
    if (i == kLongestVarint - 1 && bytes[i] > 1) return 0;
    value |= part << (7 * i);
    if (bytes[i] < 0x80) return i + 1;
  }
  return 0;
}

bool WireReader::next(WireField& field) {
  if (rest_.empty() || error_ != nullptr) return false;
  const std::span<const std::uint8_t> all = rest_;
  std::uint64_t tag = 0;
  std::size_t at = read_varint(all, tag);
  if (at == 0) return fail("a field's tag is cut off or longer than 64 bits");
  if ((tag >> 3) == 0 || (tag >> 3) > kHighestField) return fail("a field has a number that does not exist");
  field.number = static_cast<std::uint32_t>(tag >> 3);
  field.payload = {};
  std::size_t length = 0;
  switch (tag & 7) {
    case 0: {
      field.type = WireType::varint;
      length = read_varint(all.subspan(at), field.value);
      if (length == 0) return fail("a number is cut off or longer than 64 bits");
      break;
    }
    case 2: {
      field.type = WireType::bytes;
      std::uint64_t size = 0;
      const std::size_t prefix = read_varint(all.subspan(at), size);
      if (prefix == 0) return fail("a length is cut off or longer than 64 bits");
      if (size > all.size() - at - prefix) return fail("a length runs past the end");
      length = prefix + static_cast<std::size_t>(size);
      field.payload = all.subspan(at + prefix, static_cast<std::size_t>(size));
      break;
    }
    case 1:
    case 5: {
      field.type = (tag & 7) == 1 ? WireType::fixed64 : WireType::fixed32;
      length = field.type == WireType::fixed64 ? 8 : 4;
      if (length > all.size() - at) return fail("a number is cut off");
      field.value = 0;
      std::memcpy(&field.value, all.data() + at, length);
      break;
    }
    case 3:
    case 4:
      return fail("a group, which ONNX does not use");
    default:
      return fail("a wire type that does not exist");
  }
  at += length;
  field.whole = all.first(at);
  rest_ = all.subspan(at);
  return true;
}

bool is_utf8(std::span<const std::uint8_t> bytes) {
  const std::uint8_t* at = bytes.data();
  const std::uint8_t* const end = at + bytes.size();
  while (at != end) {
    if (*at < 0x80) {
      ++at;
      continue;
    }
    const std::uint8_t first = *at++;
    unsigned more = 0;
    std::uint8_t low = 0x80;
    std::uint8_t high = 0xBF;
    if (first >= 0xC2 && first <= 0xDF) {
      more = 1;
    } else if (first >= 0xE0 && first <= 0xEF) {
      more = 2;
      if (first == 0xE0) low = 0xA0;
      if (first == 0xED) high = 0x9F;
    } else if (first >= 0xF0 && first <= 0xF4) {
      more = 3;
      if (first == 0xF0) low = 0x90;
      if (first == 0xF4) high = 0x8F;
    } else {
      return false;
    }
    for (; more > 0; --more) {
      if (at == end || *at < low || *at > high) return false;
      ++at;
      low = 0x80;
      high = 0xBF;
    }
  }
  return true;
}

void WireWriter::shared(const SharedBytes& bytes) {
  if (bytes.size() < kCopiedBelow) {
    append(bytes.data(), bytes.size());
    return;
  }
  flush();
  pieces_.push_back(bytes);
}

void WireWriter::flush() {
  if (buffer_.empty()) return;
  pieces_.push_back(SharedBytes::adopt(std::move(buffer_)));
  buffer_ = {};
}

std::vector<SharedBytes> WireWriter::take() {
  flush();
  return std::move(pieces_);
}

}  // namespace joulery::onnx
