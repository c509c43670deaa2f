#include "cli/wrapping.hpp"

#include "base/text.hpp"

namespace joulery::cli {
namespace {

/// Columns of a text in UTF-8, none of whose characters is wide.
std::size_t columns(std::string_view text) {
  std::size_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80 ? 1 : 0;
  return count;
}

/// The next word, or a command between backquotes, from the start of `rest`.
std::string_view take_word(std::string_view& rest) {
  std::size_t end = 0;
  bool quoted = false;
  for (; end < rest.size() && (quoted || rest[end] != ' '); ++end) {
    if (rest[end] == '`') quoted = !quoted && rest.find('`', end + 1) != std::string_view::npos;
  }
  const std::string_view word = rest.substr(0, end);
  rest.remove_prefix(end);
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  return word;
}

}  // namespace

std::string wrapped(std::string_view text, std::size_t indent, std::size_t width) {
  std::string lines;
  for (const std::string_view line : split(text, '\n')) {
    std::string_view rest = trim(line);
    std::size_t column = 0;
    while (!rest.empty()) {
      const std::string_view word = take_word(rest);
      const std::size_t length = columns(word);
      if (column > indent && column + 1 + length > width) {
        lines += '\n';
        column = 0;
      }
      if (column == 0) {
        lines += std::string(indent, ' ');
        column = indent;
      } else {
        lines += ' ';
        ++column;
      }
      lines += word;
      column += length;
    }
    if (column > 0) lines += '\n';
  }
  return lines;
}

}  // namespace joulery::cli
