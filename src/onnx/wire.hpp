#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "onnx/shared_bytes.hpp"

/// The wire format of protocol buffers, as far as ONNX uses it.
namespace joulery::onnx {

enum class WireType : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

/// One field of a message.
struct WireField {
  std::uint32_t number = 0;
  WireType type = WireType::varint;
  /// The number of a varint, fixed64 or fixed32.
  std::uint64_t value = 0;
  /// The payload of a `bytes` field.
  std::span<const std::uint8_t> payload;
  /// Of the whole field, with its tag; for unknown fields that are kept.
  std::span<const std::uint8_t> whole;
};

/// Reads the fields of one message. Hostile input is safe: every length is checked against what is there.
/// Refused are a field that runs past the end, a varint of more than 64 bits, field number 0 or above 2^29 -
/// 1, groups, and wire types that do not exist.
class WireReader {
 public:
  explicit WireReader(std::span<const std::uint8_t> bytes) : rest_(bytes) {}
  /// False at the end and on an error: `error()` tells which.
  bool next(WireField& field);
  /// What is wrong, or null.
  const char* error() const { return error_; }
  /// Where the reader stands; after an error, where the field begins that is wrong.
  const std::uint8_t* position() const { return rest_.data(); }

 private:
  bool fail(const char* error) {
    error_ = error;
    return false;
  }
  std::span<const std::uint8_t> rest_;
  const char* error_ = nullptr;
};

/// Takes a varint off the front of `bytes`: its length, or 0 if it is cut off or has more than 64 bits.
std::size_t read_varint(std::span<const std::uint8_t> bytes, std::uint64_t& value);

/// True for well-formed UTF-8: no overlong form, no surrogate, nothing above U+10FFFF.
bool is_utf8(std::span<const std::uint8_t> bytes);

constexpr std::size_t varint_size(std::uint64_t value) {
  std::size_t size = 1;
  for (; value >= 0x80; value >>= 7) ++size;
  return size;
}

/// Counts the bytes that WireWriter would write.
class WireMeter {
 public:
  void varint(std::uint64_t value) { size_ += varint_size(value); }
  void fixed32(std::uint32_t) { size_ += 4; }
  void fixed64(std::uint64_t) { size_ += 8; }
  void text(std::string_view bytes) { size_ += bytes.size(); }
  void shared(const SharedBytes& bytes) { size_ += bytes.size(); }
  void unknown(std::string_view fields) {
    text(fields);
    unknown_ += fields.size();
  }
  void counted(const WireMeter& inner) {
    size_ += inner.size_;
    unknown_ += inner.unknown_;
  }
  std::uint64_t size() const { return size_; }
  /// Of these, bytes of fields that this version does not know.
  std::uint64_t unknown_size() const { return unknown_; }

 private:
  std::uint64_t size_ = 0;
  std::uint64_t unknown_ = 0;
};

/// Collects a message. Large payloads are not copied: the result is a list of pieces to be written one after
/// the other.
class WireWriter {
 public:
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) buffer_.push_back(static_cast<std::uint8_t>(value | 0x80));
    buffer_.push_back(static_cast<std::uint8_t>(value));
  }
  void fixed32(std::uint32_t value) { append(&value, sizeof value); }
  void fixed64(std::uint64_t value) { append(&value, sizeof value); }
  void text(std::string_view bytes) { append(bytes.data(), bytes.size()); }
  void unknown(std::string_view fields) { text(fields); }
  void shared(const SharedBytes& bytes);

  /// The pieces, in order. Ends the writing.
  std::vector<SharedBytes> take();

 private:
  void append(const void* data, std::size_t size) {
    const auto* first = static_cast<const std::uint8_t*>(data);
    buffer_.insert(buffer_.end(), first, first + size);
  }
  void flush();
  std::vector<SharedBytes> pieces_;
  std::vector<std::uint8_t> buffer_;
};

}  // namespace joulery::onnx
