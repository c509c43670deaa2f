#include "meter/secret_names.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "base/text.hpp"
#include "meter/characters.hpp"

namespace joulery::meter {
namespace {

/// Words that make a flag's or variable's value a secret. Matched as whole words of the name, so that
/// `--tokenizer` and `--max-tokens` stay.
constexpr std::array kSecretWords = std::to_array<std::string_view>(
    {"password", "passwd",    "passphrase", "passcode",    "pwd",         "secret", "token",
     "apikey",   "accesskey", "privatekey", "credential",  "credentials", "auth",   "authorization",
     "bearer",   "secrets",   "passwords",  "passphrases", "passcodes",   "tokens", "apikeys"});
constexpr std::array kSecretPairs = std::to_array<std::string_view>(
    {"api-key", "access-key", "private-key", "secret-key", "encryption-key", "hmac-key", "signing-key",
     "session-key", "license-key", "account-key", "master-key"});
/// PGPASSWORD, accessToken: a word of the name may end in these.
constexpr std::array kSecretEndings = std::to_array<std::string_view>(
    {"password", "passwd", "passphrase", "token", "secret", "apikey", "accountkey", "accesskey", "secretkey",
     "privatekey", "signingkey", "sessionkey", "encryptionkey", "hmackey", "licensekey"});
/// "token" and "auth" are also words of language models and of protocols: `--token-classification`.
constexpr std::array kHarmlessTails = std::to_array<std::string_view>(
    {"classification", "classifier",  "type",       "types",   "dim",        "length",   "limit",
     "count",          "counts",      "size",       "ids",     "level",      "budget",   "dropout",
     "embedding",      "embeddings",  "ratio",      "rate",    "mixing",     "merging",  "pruning",
     "method",         "mode",        "url",        "host",    "port",       "timeout",  "backend",
     "plugin",         "probability", "weight",     "weights", "loss",       "position", "shuffle",
     "sampling",       "padding",     "throughput", "latency", "importance", "bits"});
/// Where a secret is, or what it is called, is none.
constexpr std::array kPlaceTails =
    std::to_array<std::string_view>({"file", "filename", "path", "dir", "folder", "stdin", "name", "jar"});
/// The tokens that a model reads and writes: `--pad-token`, `eos_token_id`, `--cost-per-token`.
constexpr std::array kModelTokens = std::to_array<std::string_view>(
    {"pad", "eos", "bos",   "unk",   "sep", "cls", "mask", "special", "stop", "eot",
     "sot", "per", "start", "begin", "end", "num", "n",    "max",     "min",  "total"});
/// What tokens are counted of: `--prompt-tokens`.
constexpr std::array kCountedTokens = std::to_array<std::string_view>(
    {"new", "prompt", "completion", "input", "output", "cached", "context", "generated", "added"});
/// Of variables that end in KEY: where rows go, and what may be read by all.
constexpr std::array kHarmlessKeys =
    std::to_array<std::string_view>({"PUBLIC", "FOREIGN", "SORT", "PARTITION", "SHARD", "CACHE"});
constexpr std::array kHarmlessPasses =
    std::to_array<std::string_view>({"BYPASS", "COMPASS", "LOWPASS", "HIGHPASS", "BANDPASS", "ALLPASS",
                                     "ONEPASS", "TWOPASS", "SINGLEPASS", "MULTIPASS"});
constexpr std::array kWordsForNothing =
    std::to_array<std::string_view>({"true", "false", "yes", "no", "on", "off", "none", "null", "nil"});

std::string_view without_digits_behind(std::string_view word) {
  while (word.size() > 1 && is_digit(word.back())) word.remove_suffix(1);
  return word;
}

/// The cookie files of curl and wget: "cookies.txt", "/tmp/jar", "-".
bool names_a_file(std::string_view value) {
  if (value == "-") return true;
  if (value.empty() || value.find_first_of("=;:% ") != std::string_view::npos) return false;
  constexpr std::size_t kLongestEnding = 6;
  const auto dot = value.rfind('.');
  if (is_one_of(value.front(), "/.~")) return true;
  if (dot == std::string_view::npos || dot == 0) return false;
  const std::string_view ending = value.substr(dot + 1);
  return ending.size() <= kLongestEnding && std::none_of(ending.begin(), ending.end(), is_digit);
}

/// `before`: the word of the name in front of it.
bool is_secret_word(std::string_view word, std::string_view before, bool harmless_tail) {
  word = without_digits_behind(word);
  if (harmless_tail && (word == "auth" || word.ends_with("token"))) return false;
  if ((word == "token" || word == "tokens") && is_one_of(kModelTokens, before)) return false;
  if (word == "tokens" && (harmless_tail || is_one_of(kCountedTokens, before))) return false;
  return is_one_of(kSecretWords, word) ||
         std::any_of(kSecretEndings.begin(), kSecretEndings.end(),
                     [&](std::string_view ending) { return word.ends_with(ending); });
}

std::string_view without_quotes(std::string_view value) {
  const bool quoted = value.size() >= 2 && is_quote(value.front()) && value.back() == value.front();
  return quoted ? value.substr(1, value.size() - 2) : value;
}

std::size_t longest_run_of_letters(std::string_view value) {
  std::size_t longest = 0;
  std::size_t size = 0;
  for (const char c : value) {
    size = is_letter_or_digit(c) && !is_digit(c) ? size + 1 : 0;
    longest = std::max(longest, size);
  }
  return longest;
}

/// "100", "1.5e9", "300B", "[1, 2]": how many tokens, or which of a vocabulary.
bool is_a_count(std::string_view value) {
  constexpr std::size_t kMostDigits = 15;
  if (value.empty() || !is_one_of(value.front(), "0123456789[({\"'")) return false;
  std::size_t digits = 0;
  for (const char c : value) {
    if (!is_one_of(c, "0123456789.,_+-eEkKmMbBgGtT[](){} \"'")) return false;
    digits = is_digit(c) ? digits + 1 : 0;
    if (digits > kMostDigits) return false;
  }
  return value.find_first_of("0123456789") != std::string_view::npos && longest_run_of_letters(value) <= 1;
}

bool ends_in_harmless_key(std::string_view name) {
  return std::any_of(kHarmlessKeys.begin(), kHarmlessKeys.end(), [&](std::string_view kind) {
    return name.ends_with("_KEY") && name.substr(0, name.size() - 4).ends_with(kind);
  });
}

}  // namespace

std::string_view last_word(std::string_view name) {
  const auto cut = name.find_last_of("-_.");
  return without_digits_behind(cut == std::string_view::npos ? name : name.substr(cut + 1));
}

bool names_a_secret(std::string_view name) {
  std::string words = to_lower(name);
  std::replace(words.begin(), words.end(), '_', '-');
  std::replace(words.begin(), words.end(), '.', '-');
  const std::string_view last = last_word(words);
  if (is_one_of(kPlaceTails, last)) return false;
  const bool harmless_tail = is_one_of(kHarmlessTails, last);
  for (const std::string_view pair : kSecretPairs) {
    if (!harmless_tail && words.find(pair) != std::string::npos) return true;
  }
  // Only as the last word: --pass-through and a pass rate are none.
  if (last == "pass" || last == "cookie" || last == "cookies") return true;
  std::string_view before;
  for (const std::string_view word : split(words, '-')) {
    if (is_secret_word(word, before, harmless_tail)) return true;
    before = word;
  }
  return false;
}

bool assigns_a_secret(std::string_view name) {
  const std::string_view last = last_word(name);
  if (last == "KEY" && !ends_in_harmless_key(name)) return true;
  return (last.ends_with("PASS") && !is_one_of(kHarmlessPasses, last)) || names_a_secret(name);
}

bool ends_in_a_secret(std::string_view name) {
  std::string words = to_lower(name);
  std::replace(words.begin(), words.end(), '_', '-');
  return assigns_a_secret(last_word(name)) ||
         std::any_of(kSecretPairs.begin(), kSecretPairs.end(),
                     [&](std::string_view pair) { return words.ends_with(pair); });
}

bool signs_an_address(std::string_view name) {
  const std::string last = to_lower(last_word(name));
  return last == "sig" || last == "signature";
}

bool is_scheme(std::string_view word) {
  return word == "Basic" || word == "Token" || word == "Bearer" || word == "bearer" || word == "BEARER";
}

bool is_harmless_value(std::string_view name, std::string_view value) {
  const std::string last = to_lower(last_word(name));
  // The pads and stops of one letter are no list of secrets either.
  if (last == "tokens" && (is_a_count(value) || without_quotes(value).size() <= 1)) return true;
  const bool cookie_flag = name.starts_with("--") && (last == "cookie" || last == "cookies");
  if (cookie_flag && names_a_file(without_quotes(value))) return true;
  constexpr std::size_t kLongest = 9;  // "'false'", and what closes f(token=None)
  if (value.size() > kLongest) return false;
  while (!value.empty() && is_one_of(value.back(), ",)]}")) value.remove_suffix(1);
  value = without_quotes(value);
  // The second pass of something; nobody keeps a secret in two digits.
  if (last == "pass" && !value.empty() && value.size() <= 2) {
    return std::all_of(value.begin(), value.end(), is_digit);
  }
  return is_one_of(kWordsForNothing, to_lower(value));
}

}  // namespace joulery::meter
