#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace joulery::http {

/// An http:// or https:// address. It never holds a user name or password: those are refused.
struct Url {
  bool tls = false;
  /// A name or an address; of IPv6 without brackets.
  std::string host;
  std::uint16_t port = 80;
  /// Path and query, starting with '/'.
  std::string target = "/";

  /// "host", "host:8000", "[::1]:8000": as the Host header has it.
  std::string authority() const;
  /// "http://host:8000"
  std::string origin() const;
  std::string text() const { return origin() + target; }
  /// The target without its query.
  std::string path() const;
  /// The same place with another target.
  Url with_target(std::string new_target) const;
};

/// A fragment ("#…") is dropped. User error for anything else than an http or https address; the message
/// never repeats a password.
Result<Url> parse_url(std::string_view text);

/// Does the text begin like an address that parse_url reads?
bool looks_like_url(std::string_view text);

}  // namespace joulery::http
