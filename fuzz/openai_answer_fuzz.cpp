#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "engine/remote/openai.hpp"

/// A stream and a whole answer, cut anywhere.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace joulery::engine::remote;
  if (size < 1) return 0;
  const std::string_view text(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  const std::size_t piece = 1 + bytes[0];
  static_cast<void>(parse_model_list(text));
  for (const bool stream : {true, false}) {
    OpenAiOptions options;
    options.stream = stream;
    const auto protocol = openai_protocol(options, {Prompt{"x", {}, {}}});
    if (!protocol) std::abort();
    const auto reader = (*protocol)->reader();
    reader->head({.status = size % 5 == 0 ? 500 : 200, .headers = {}});
    std::int64_t now = 0;
    for (std::size_t at = 0; at < text.size(); at += piece) reader->body(text.substr(at, piece), ++now);
    reader->end(nullptr);
    std::int64_t last = 0;
    for (const std::int64_t time : reader->answer().content_ns) {
      if (time < last || time > now) std::abort();
      last = time;
    }
  }
  return 0;
}
