#include "meter/token_shapes.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "meter/characters.hpp"

namespace joulery::meter {
namespace {

constexpr std::array kTokenStarts =
    std::to_array<std::string_view>({"pk_live_", "sk_live_", "rk_live_", "ghp_", "gho_", "ghs_", "ghu_",
                                     "ghr_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "AIza"});
/// Tokens of a known least length, which tells them from names that start alike.
struct Shape {
  std::string_view start;
  std::size_t least;
};
constexpr std::array kShapes = std::to_array<Shape>({{"npm_", 30},
                                                     {"pypi-", 40},
                                                     {"nvapi-", 30},
                                                     {"gsk_", 30},
                                                     {"r8_", 30},
                                                     {"xapp-", 30},
                                                     {"SG.", 40},
                                                     {"dop_v1_", 40},
                                                     {"doo_v1_", 40},
                                                     {"dor_v1_", 40}});
/// Starts of ordinary names too: sk-learn-bench, hf_llama_finetune.py.
constexpr std::array kShortStarts = std::to_array<std::string_view>({"sk-", "sk_", "hf_"});
constexpr std::size_t kShortestToken = 16;
/// No name is so long, and few of its words are: behind a short start either of them makes a token.
constexpr std::size_t kLongestName = 40;
constexpr std::size_t kLongestWord = 11;

template <typename List>
bool starts_with_any(std::string_view value, const List& starts) {
  return std::any_of(starts.begin(), starts.end(),
                     [&](std::string_view start) { return value.starts_with(start); });
}

std::size_t longest_word(std::string_view value) {
  std::size_t longest = 0;
  std::size_t size = 0;
  for (const char c : value) {
    size = is_letter_or_digit(c) ? size + 1 : 0;
    longest = std::max(longest, size);
  }
  return longest;
}

bool has_known_shape(std::string_view value) {
  return std::any_of(kShapes.begin(), kShapes.end(), [&](const Shape& shape) {
    return value.starts_with(shape.start) && value.size() >= shape.least &&
           longest_word(value) > kLongestWord;
  });
}

bool is_id(std::string_view word) {
  constexpr std::size_t kMostDigits = 10;
  if (!word.empty() && word.size() <= kMostDigits && std::all_of(word.begin(), word.end(), is_digit))
    return true;
  static constexpr std::array kAskedFor = std::to_array<std::string_view>(
      {"$(id -u)", "$(id -g)", "`id -u`", "`id -g`", "$UID", "$GID", "${UID}", "${GID}"});
  return is_one_of(kAskedFor, word);
}

}  // namespace

bool looks_like_a_token(std::string_view value, bool in_path) {
  if (value.size() < kShortestToken || !std::all_of(value.begin(), value.end(), is_token_character))
    return false;
  if (!in_path && starts_with_any(value, kShortStarts)) {
    return value.size() >= kLongestName || longest_word(value) > kLongestWord;
  }
  const bool aws = value.size() == 20 && (value.starts_with("AKIA") || value.starts_with("ASIA"));
  const bool json_web_token = value.starts_with("eyJ") && std::count(value.begin(), value.end(), '.') == 2;
  return starts_with_any(value, kTokenStarts) || aws || json_web_token || has_known_shape(value);
}

bool looks_like_a_key(std::string_view value, std::size_t least) {
  return value.size() >= least && std::all_of(value.begin(), value.end(), is_token_character) &&
         std::any_of(value.begin(), value.end(), is_digit) && longest_word(value) >= least / 2;
}

bool is_user_and_group(std::string_view value) {
  constexpr std::size_t kLongest = 40;
  if (value.size() > kLongest) return false;
  std::string plain;
  std::copy_if(value.begin(), value.end(), std::back_inserter(plain),
               [](char c) { return c != '"' && c != '\'' && c != '\\'; });
  const auto colon = plain.find(':');
  if (colon == std::string::npos) return false;
  const std::string_view words = plain;
  const std::string_view group = words.substr(colon + 1);
  return is_id(words.substr(0, colon)) && (group.empty() || is_id(group));
}

}  // namespace joulery::meter
