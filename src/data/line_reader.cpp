#include "data/line_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/text.hpp"

namespace joulery::data {
namespace {

constexpr std::size_t kFirstBuffer = 1U << 16U;

}  // namespace

LineReader::LineReader(std::unique_ptr<ByteSource> source, std::uint64_t limit)
    : source_(std::move(source)), limit_(limit), buffer_(kFirstBuffer) {}

std::string LineReader::place() const {
  return fmt::format("'{}', line {}", name(), line_number_);
}

Status LineReader::rewind() {
  begin_ = end_ = 0;
  is_at_end_ = false;
  line_number_ = 0;
  return source_->rewind();
}

/// Moves the rest to the front, and reads as much as there is room for.
Status LineReader::fill() {
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == buffer_.size()) {
    if (end_ > limit_) {
      return user_error(fmt::format("'{}', line {}: a line of more than {}", name(), line_number_ + 1,
                                    format_bytes(double(limit_))),
                        "is it a text file with one sample a line?");
    }
    buffer_.resize(buffer_.size() * 2);
  }
  JOULERY_ASSIGN(const std::size_t got,
                 source_->read(std::as_writable_bytes(std::span(buffer_).subspan(end_))));
  is_at_end_ = got < buffer_.size() - end_;
  end_ += got;
  return {};
}

Result<bool> LineReader::next(std::string_view& line) {
  std::size_t searched = 0;
  while (true) {
    const char* start = buffer_.data() + begin_;
    const void* found =
        end_ - begin_ > searched ? std::memchr(start + searched, '\n', end_ - begin_ - searched) : nullptr;
    if (found == nullptr && !is_at_end_) {
      searched = end_ - begin_;
      JOULERY_CHECK_OK(fill());
      continue;
    }
    const std::size_t length =
        found != nullptr ? static_cast<std::size_t>(static_cast<const char*>(found) - start) : end_ - begin_;
    if (found == nullptr && length == 0) return false;
    line = {start, length};
    begin_ += length + (found != nullptr ? 1 : 0);
    if (line.ends_with('\r')) line.remove_suffix(1);
    constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
    if (line_number_++ == 0 && line.starts_with(kByteOrderMark)) line.remove_prefix(kByteOrderMark.size());
    return true;
  }
}

}  // namespace joulery::data
