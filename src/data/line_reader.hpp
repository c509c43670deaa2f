#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/byte_source.hpp"

namespace joulery::data {

/// Lines of a text, one after another, with memory for the longest of them only.
class LineReader {
 public:
  /// A line longer than `limit` bytes is a user error.
  LineReader(std::unique_ptr<ByteSource> source, std::uint64_t limit);

  /// The next line without its end (LF or CRLF), valid until the next call; false at the end.
  Result<bool> next(std::string_view& line);
  Status rewind();
  /// Of the last line, counted from 1.
  std::uint64_t line_number() const { return line_number_; }
  /// "'data.csv', line 12"
  std::string place() const;
  const std::string& name() const { return source_->name(); }

 private:
  Status fill();
  std::unique_ptr<ByteSource> source_;
  std::uint64_t limit_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool is_at_end_ = false;
  std::uint64_t line_number_ = 0;
};

}  // namespace joulery::data
