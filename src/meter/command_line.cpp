#include "meter/command_line.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "meter/characters.hpp"

namespace joulery::meter {
namespace {

/// In single quotes or, with control characters in it, as $'…' with escapes: safe on a terminal, and a shell
/// reads the same argument back.
std::string shell_quoted(const std::string& argument) {
  const bool controls = printable(argument) != argument;
  std::string quoted = controls ? "$'" : "'";
  for (const char c : argument) {
    const auto byte = static_cast<unsigned char>(c);
    if (!controls) {
      quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    } else if (c == '\'' || c == '\\') {
      quoted += std::string("\\") + c;
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (c == '\t') {
      quoted += "\\t";
    } else if (byte < 0x20 || byte >= 0x7F) {
      quoted += fmt::format("\\x{:02x}", byte);
    } else {
      quoted += c;
    }
  }
  return quoted + '\'';
}

}  // namespace

std::string command_line(const std::vector<std::string>& arguments) {
  std::string line;
  for (const std::string& argument : arguments) {
    if (!line.empty()) line += ' ';
    const bool plain = !argument.empty() && std::all_of(argument.begin(), argument.end(), [](char c) {
      return is_token_character(c) || is_one_of(c, "/=:,+@%[]");
    });
    if (plain) {
      line += argument;
      continue;
    }
    line += shell_quoted(argument);
  }
  return line;
}

}  // namespace joulery::meter
