#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "http/response_reader.hpp"

namespace {

class Collected final : public joulery::http::ResponseSink {
 public:
  void on_head(const joulery::http::ResponseHead& head) override {
    text += std::to_string(head.status);
    for (const auto& [name, value] : head.headers) text += name + ":" + value;
  }
  void on_body(std::string_view bytes) override { text += bytes; }
  std::string text;
};

/// What was read if the answer is whole, else nothing.
std::string read(std::string_view text, std::size_t piece) {
  Collected collected;
  joulery::http::ResponseReader reader({.most_header_bytes = 4096, .most_body_bytes = 65536}, collected);
  for (std::size_t at = 0; at < text.size() && !reader.done(); at += piece) {
    if (!reader.push(text.substr(at, piece))) return {};
  }
  return reader.finish() && reader.done() ? collected.text : "";
}

}  // namespace

/// However an answer is cut, it holds the same, if it is taken. The parser's own checks of trailers go by how
/// much of them is there.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  if (size >= 4096) return 0;
  const std::string whole = read(text, size + 1);
  const std::string in_bytes = read(text, 1);
  if (!whole.empty() && !in_bytes.empty() && whole != in_bytes) std::abort();
  return 0;
}
