#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "http/sse.hpp"

namespace {

std::vector<std::string> events_of(std::string_view text, std::size_t piece) {
  joulery::http::SseParser parser(4096);
  std::vector<std::string> events;
  const auto receive = [&](const joulery::http::SseParser::Event& event) {
    events.push_back(event.type + "|" + event.data);
  };
  for (std::size_t at = 0; at < text.size(); at += piece) {
    if (!parser.push(text.substr(at, piece), receive)) return {};
  }
  static_cast<void>(parser.finish(receive));
  return events;
}

}  // namespace

/// However a stream is cut, its events are the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  // What passes the limits may do so sooner or later, by how it is cut.
  if (size >= 4096) return 0;
  const auto whole = events_of(text, size + 1);
  if (events_of(text, 1) != whole || events_of(text, 3) != whole) std::abort();
  return 0;
}
