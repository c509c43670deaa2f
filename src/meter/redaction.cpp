#include "meter/redaction.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "base/text.hpp"

namespace joulery::meter {
namespace {

constexpr std::string_view kRedacted = "[redacted]";

/// Words that make a flag's or variable's value a secret. Matched as whole words of the name, so that
/// `--tokenizer` and `--max-tokens` stay.
constexpr std::array<std::string_view, 13> kSecretWords = {
    "password",   "passwd",     "passphrase",  "secret", "token",         "apikey", "accesskey",
    "privatekey", "credential", "credentials", "auth",   "authorization", "bearer"};
constexpr std::array<std::string_view, 4> kSecretPairs = {"api-key", "access-key", "private-key",
                                                          "secret-key"};
constexpr std::array<std::string_view, 13> kTokenStarts = {"sk-",   "sk_",   "pk_live_",    "ghp_",   "gho_",
                                                           "ghs_",  "ghu_",  "github_pat_", "glpat-", "hf_",
                                                           "xoxb-", "xoxp-", "AIza"};
constexpr std::size_t kShortestToken = 16;

bool is_token_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
         c == '.';
}

bool names_a_secret(std::string_view name) {
  std::string words = to_lower(name);
  std::replace(words.begin(), words.end(), '_', '-');
  std::replace(words.begin(), words.end(), '.', '-');
  for (const std::string_view pair : kSecretPairs) {
    if (words.find(pair) != std::string::npos) return true;
  }
  const auto parts = split(words, '-');
  return std::any_of(parts.begin(), parts.end(), [](std::string_view part) {
    return std::find(kSecretWords.begin(), kSecretWords.end(), part) != kSecretWords.end();
  });
}

bool looks_like_a_token(std::string_view value) {
  if (value.size() < kShortestToken || !std::all_of(value.begin(), value.end(), is_token_character))
    return false;
  const bool known = std::any_of(kTokenStarts.begin(), kTokenStarts.end(),
                                 [&](std::string_view start) { return value.rfind(start, 0) == 0; });
  const bool aws = value.size() == 20 && (value.rfind("AKIA", 0) == 0 || value.rfind("ASIA", 0) == 0);
  const bool json_web_token = value.rfind("eyJ", 0) == 0 && std::count(value.begin(), value.end(), '.') == 2;
  return known || aws || json_web_token;
}

/// "scheme://user:password@host" without the password.
std::string without_url_password(const std::string& value) {
  const auto scheme = value.find("://");
  if (scheme == std::string::npos) return value;
  const auto end = value.find_first_of("/?#", scheme + 3);
  const auto at = value.substr(0, end).rfind('@');
  if (at == std::string::npos || at < scheme + 3) return value;
  const auto colon = value.find(':', scheme + 3);
  if (colon == std::string::npos || colon > at) return value;
  return value.substr(0, colon + 1) + std::string(kRedacted) + value.substr(at);
}

std::string redact_value(const std::string& value) {
  if (looks_like_a_token(value)) return std::string(kRedacted);
  return without_url_password(value);
}

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

std::vector<std::string> redact_arguments(const std::vector<std::string>& arguments) {
  std::vector<std::string> safe;
  bool value_is_secret = false;
  for (const std::string& argument : arguments) {
    const bool is_flag = argument.rfind("--", 0) == 0 || (argument.size() == 2 && argument.front() == '-');
    if (value_is_secret && !is_flag) {
      safe.emplace_back(kRedacted);
      value_is_secret = false;
      continue;
    }
    value_is_secret = false;
    const auto equals = argument.find('=');
    const std::string_view name = std::string_view(argument).substr(0, equals);
    const bool is_name =
        !name.empty() && name.size() <= 64 && name.find_first_of(" \t\n/:") == std::string_view::npos;
    if (equals != std::string::npos && is_name && names_a_secret(name)) {
      safe.push_back(std::string(name) + "=" + std::string(kRedacted));
    } else if (equals != std::string::npos && is_name) {
      safe.push_back(std::string(name) + "=" + redact_value(argument.substr(equals + 1)));
    } else {
      value_is_secret =
          equals == std::string::npos && argument.rfind('-', 0) == 0 && is_name && names_a_secret(name);
      // "Authorization: Bearer x" as curl and friends take it.
      const auto colon = argument.find(": ");
      if (colon != std::string::npos && names_a_secret(std::string_view(argument).substr(0, colon))) {
        safe.push_back(argument.substr(0, colon + 2) + std::string(kRedacted));
      } else {
        safe.push_back(redact_value(argument));
      }
    }
  }
  return safe;
}

std::string command_line(const std::vector<std::string>& arguments) {
  std::string line;
  for (const std::string& argument : arguments) {
    if (!line.empty()) line += ' ';
    const bool plain = !argument.empty() && std::all_of(argument.begin(), argument.end(), [](char c) {
      return is_token_character(c) || std::string_view("/=:,+@%[]").find(c) != std::string_view::npos;
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
