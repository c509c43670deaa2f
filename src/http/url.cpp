#include "http/url.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"

namespace joulery::http {
namespace {

constexpr std::string_view kPlain = "http://";
constexpr std::string_view kTls = "https://";
constexpr std::uint16_t kPlainPort = 80;
constexpr std::uint16_t kTlsPort = 443;
constexpr std::size_t kLongestUrl = 8192;
constexpr const char* kExample = "write it like http://localhost:8000/v1/chat/completions";

bool starts_with_scheme(std::string_view text, std::string_view scheme) {
  return text.size() >= scheme.size() && to_lower(text.substr(0, scheme.size())) == scheme;
}

bool is_host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_';
}

bool is_address_character(char c) {
  return (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || (c >= '0' && c <= '9') || c == ':' || c == '.';
}

/// Splits "host:port" or "[address]:port" and checks both.
Status read_authority(std::string_view authority, Url& url) {
  std::string_view host = authority;
  std::string_view port;
  bool has_port = false;
  bool valid = false;
  if (authority.starts_with('[')) {
    const auto end = authority.find(']');
    if (end == std::string_view::npos) {
      return user_error(fmt::format("'{}' has no closing bracket", printable(authority)), kExample);
    }
    host = authority.substr(1, end - 1);
    valid = host.find(':') != std::string_view::npos && std::ranges::all_of(host, is_address_character);
    const std::string_view rest = authority.substr(end + 1);
    has_port = rest.starts_with(':');
    if (!has_port && !rest.empty()) valid = false;
    port = has_port ? rest.substr(1) : "";
  } else {
    const auto colon = authority.find(':');
    has_port = colon != std::string_view::npos;
    host = authority.substr(0, colon);
    port = has_port ? authority.substr(colon + 1) : "";
    valid = !host.empty() && std::ranges::all_of(host, is_host_character);
  }
  if (!valid) return user_error(fmt::format("'{}' names no host", printable(authority)), kExample);
  url.host = to_lower(host);
  if (!has_port) return {};
  const auto number = parse_uint64(port);
  if (!number || *number == 0 || *number > 65535) {
    return user_error(fmt::format("'{}' is no port number", printable(port)), "a port is from 1 to 65535");
  }
  url.port = static_cast<std::uint16_t>(*number);
  return {};
}

}  // namespace

std::string Url::authority() const {
  const std::string name = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return port == (tls ? kTlsPort : kPlainPort) ? name : fmt::format("{}:{}", name, port);
}

std::string Url::origin() const {
  return std::string(tls ? kTls : kPlain) + authority();
}

std::string Url::path() const {
  return target.substr(0, target.find('?'));
}

Url Url::with_target(std::string new_target) const {
  Url other = *this;
  other.target = std::move(new_target);
  return other;
}

bool looks_like_url(std::string_view text) {
  return starts_with_scheme(text, kPlain) || starts_with_scheme(text, kTls);
}

Result<Url> parse_url(std::string_view text) {
  if (!looks_like_url(text)) {
    return user_error(fmt::format("'{}' is no http or https address", printable(text.substr(0, 100))),
                      kExample);
  }
  if (text.size() > kLongestUrl) {
    return user_error(fmt::format("an address of {} bytes is too long", text.size()),
                      fmt::format("at most {} bytes are read", kLongestUrl));
  }
  Url url;
  url.tls = starts_with_scheme(text, kTls);
  url.port = url.tls ? kTlsPort : kPlainPort;
  std::string_view rest = text.substr(url.tls ? kTls.size() : kPlain.size());
  rest = rest.substr(0, rest.find('#'));
  const auto slash = rest.find_first_of("/?");
  const std::string_view authority = rest.substr(0, slash);
  if (authority.find('@') != std::string_view::npos) {
    return user_error("an address with a user name or password is not taken: it would end up in logs",
                      "put the key into a file and name it with --api-key-file");
  }
  JOULERY_CHECK_OK(read_authority(authority, url));
  if (slash == std::string_view::npos) return url;
  url.target = rest.substr(slash);
  if (url.target.front() == '?') url.target.insert(url.target.begin(), '/');
  // Anything else must come percent-encoded; a line break would be a header of its own.
  const bool clean = std::ranges::all_of(url.target, [](char c) { return c > 0x20 && c < 0x7f; });
  if (!clean) {
    return user_error("the address has a blank, a control character or a letter that must be percent-encoded",
                      "write %20 for a blank");
  }
  return url;
}

}  // namespace joulery::http
