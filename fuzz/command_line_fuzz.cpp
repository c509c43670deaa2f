// Command lines as `run --versus` takes them.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "app/command_line.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto words = joulery::app::split_command_line(text);
  if (!words) {
    if (words.error().message.empty()) std::abort();
    return 0;
  }
  if (words->empty()) std::abort();
  // Words in single quotes come back as they were.
  std::string quoted;
  for (const std::string& word : *words) {
    quoted += '\'';
    for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    quoted += "' ";
  }
  const auto again = joulery::app::split_command_line(quoted);
  if (!again || *again != *words) std::abort();
  return 0;
}
