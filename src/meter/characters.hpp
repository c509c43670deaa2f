#pragma once

#include <algorithm>
#include <string_view>

namespace joulery::meter {

/// The kinds of characters that a command line is made of.

template <typename List>
bool is_one_of(const List& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}
inline bool is_one_of(char c, std::string_view set) {
  return set.find(c) != std::string_view::npos;
}
inline bool is_blank(char c) {
  return is_one_of(c, " \t\r\n\v\f");
}
inline bool is_quote(char c) {
  return c == '"' || c == '\'' || c == '`';
}
inline bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
inline bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c);
}
/// Of names, of flags and of tokens.
inline bool is_token_character(char c) {
  return is_letter_or_digit(c) || c == '-' || c == '_' || c == '.';
}

}  // namespace joulery::meter
