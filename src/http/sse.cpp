#include "http/sse.hpp"

#include <fmt/format.h>

namespace joulery::http {

void SseParser::dispatch(const Receive& receive) {
  // The line break after the last data line is not part of it.
  if (!event_.data.empty()) event_.data.pop_back();
  if (event_.type.empty()) event_.type = "message";
  if (has_data_) receive(event_);
  event_ = {};
  has_data_ = false;
}

Status SseParser::end_line(const Receive& receive) {
  std::string_view line = line_;
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (at_start_ && line.starts_with(kByteOrderMark)) line.remove_prefix(kByteOrderMark.size());
  at_start_ = false;
  if (line.empty()) {
    dispatch(receive);
  } else {
    // A line that begins with a colon is a comment: its field has no name.
    const auto colon = line.find(':');
    const std::string_view field = line.substr(0, colon);
    std::string_view value = colon == std::string_view::npos ? "" : line.substr(colon + 1);
    if (value.starts_with(' ')) value.remove_prefix(1);
    if (field == "data") {
      if (event_.data.size() + value.size() >= most_bytes_) {
        failed_ = true;
        return environment_error(fmt::format("the server sent an event of more than {} bytes", most_bytes_));
      }
      event_.data += value;
      event_.data += '\n';
      has_data_ = true;
    } else if (field == "event") {
      event_.type = value;
    }
  }
  line_.clear();
  return {};
}

Status SseParser::push(std::string_view bytes, const Receive& receive) {
  while (!bytes.empty() && !failed_) {
    if (after_return_ && bytes.front() == '\n') bytes.remove_prefix(1);
    after_return_ = false;
    const auto end = bytes.find_first_of("\r\n");
    const std::string_view part = bytes.substr(0, end);
    if (line_.size() + part.size() > most_bytes_) {
      failed_ = true;
      return environment_error(fmt::format("the server sent a line of more than {} bytes", most_bytes_));
    }
    line_ += part;
    if (end == std::string_view::npos) return {};
    after_return_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    JOULERY_CHECK_OK(end_line(receive));
  }
  return {};
}

Status SseParser::finish(const Receive& receive) {
  if (failed_) return {};
  if (!line_.empty()) JOULERY_CHECK_OK(end_line(receive));
  dispatch(receive);
  return {};
}

}  // namespace joulery::http
