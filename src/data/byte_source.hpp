#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/result.hpp"

namespace joulery::data {

/// Bytes that can be read from anywhere: a file, or memory.
class RandomAccess {
 public:
  RandomAccess() = default;
  RandomAccess(const RandomAccess&) = delete;
  RandomAccess& operator=(const RandomAccess&) = delete;
  virtual ~RandomAccess() = default;
  /// For messages: the path, safe to print.
  virtual const std::string& name() const = 0;
  virtual std::uint64_t size() const = 0;
  /// Fills all of `target`. User error if the bytes end before.
  virtual Status read_at(std::uint64_t offset, std::span<std::byte> target) const = 0;
};

/// User error if it can't be opened or is no regular file. Its size is what it is now.
Result<std::shared_ptr<const RandomAccess>> open_random_access(const std::string& path);
std::shared_ptr<const RandomAccess> random_access_of(std::string bytes, std::string name);

/// Bytes one after another.
class ByteSource {
 public:
  ByteSource() = default;
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;
  virtual ~ByteSource() = default;
  /// Fills `target` as far as there are bytes; fewer only at the end.
  virtual Result<std::size_t> read(std::span<std::byte> target) = 0;
  virtual Status rewind() = 0;
  virtual const std::string& name() const = 0;
  /// Of all its bytes; nothing if only reading to the end tells it.
  virtual std::optional<std::uint64_t> size() const = 0;
  /// It can't have more bytes than this.
  virtual std::uint64_t most_bytes() const = 0;
};

std::unique_ptr<ByteSource> range_source(std::shared_ptr<const RandomAccess> file, std::uint64_t offset,
                                         std::uint64_t size, std::string name);

/// How deflated bytes are wrapped.
enum class Wrapping : std::uint8_t { gzip, none };
/// What deflated bytes must be, where it is known beforehand.
struct InflatedContent {
  std::uint64_t size = 0;
  std::uint32_t crc = 0;
};
/// Inflates while it reads. User error on reading if the bytes are damaged or not what `content` says.
std::unique_ptr<ByteSource> inflating_source(std::shared_ptr<const RandomAccess> file, std::uint64_t offset,
                                             std::uint64_t size, std::string name, Wrapping wrapping,
                                             std::optional<InflatedContent> content);
/// All of a file, inflated if it is gzip by its first bytes.
Result<std::unique_ptr<ByteSource>> whole_source(std::shared_ptr<const RandomAccess> file);

/// Fills all of `target`; user error if the bytes end before, naming `what`.
Status read_exactly(ByteSource& source, std::span<std::byte> target, const char* what);
/// Rewinds, then passes over `count` bytes.
Status rewind_to(ByteSource& source, std::uint64_t count);

}  // namespace joulery::data
