#include <algorithm>
#include <cstdint>
#include <string_view>

#include "config/config.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
  if (const auto entries = joulery::config::parse_toml(text, "fuzz.toml")) {
    for (const auto& entry : *entries) {
      if (entry.line < 1 || entry.line > lines) __builtin_trap();
    }
  }
  return 0;
}
