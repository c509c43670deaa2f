#include "evaluate/endpoint/listener.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <map>
#include <optional>

#include "base/text.hpp"

namespace joulery::evaluate::endpoint {
namespace {

constexpr std::size_t kLargestTable = 64 << 20;

std::optional<std::uint64_t> parse_hexadecimal(std::string_view text) {
  std::uint64_t value = 0;
  if (text.empty() || text.size() > 8) return std::nullopt;
  for (const char c : text) {
    const auto digit = std::string_view("0123456789ABCDEF").find(c >= 'a' ? static_cast<char>(c - 32) : c);
    if (digit == std::string_view::npos) return std::nullopt;
    value = value * 16 + digit;
  }
  return value;
}

bool has_socket(const SystemRoot& root, const std::string& process,
                const std::vector<std::uint64_t>& inodes) {
  const std::string folder = "/proc/" + process + "/fd";
  for (const std::string& name : root.list(folder)) {
    std::array<char, 64> target{};
    const auto size = ::readlink(root.resolve(folder + "/" + name).c_str(), target.data(), target.size());
    if (size <= 0) continue;
    const std::string_view link(target.data(), static_cast<std::size_t>(size));
    constexpr std::string_view kSocket = "socket:[";
    if (!link.starts_with(kSocket) || !link.ends_with(']')) continue;
    const auto inode = parse_uint64(link.substr(kSocket.size(), link.size() - kSocket.size() - 1));
    if (inode && std::ranges::find(inodes, *inode) != inodes.end()) return true;
  }
  return false;
}

/// The parent's id, from /proc/PID/stat: the command in it may hold blanks and brackets.
int parent_of(const SystemRoot& root, int pid) {
  const auto stat = root.read_text(fmt::format("/proc/{}/stat", pid));
  if (!stat) return 0;
  const auto end = stat->rfind(')');
  if (end == std::string::npos) return 0;
  const auto fields = split_blanks(std::string_view(*stat).substr(end + 1));
  return fields.size() > 1 ? static_cast<int>(parse_int64(fields[1]).value_or(0)) : 0;
}

bool descends_from(const SystemRoot& root, int pid, int ancestor) {
  for (int steps = 0; pid > 1 && steps < 1000; ++steps) {
    pid = parent_of(root, pid);
    if (pid == ancestor) return true;
  }
  return false;
}

}  // namespace

std::vector<std::uint64_t> listening_sockets(std::string_view text, std::uint16_t port) {
  // sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode …
  constexpr std::size_t kAddress = 1;
  constexpr std::size_t kState = 3;
  constexpr std::size_t kInode = 9;
  std::vector<std::uint64_t> inodes;
  for (const std::string_view line : split(text, '\n')) {
    const auto fields = split_blanks(line);
    if (fields.size() <= kInode || fields[kState] != "0A") continue;
    const auto colon = fields[kAddress].rfind(':');
    if (colon == std::string_view::npos) continue;
    if (parse_hexadecimal(fields[kAddress].substr(colon + 1)) != port) continue;
    if (const auto inode = parse_uint64(fields[kInode]); inode && *inode != 0) inodes.push_back(*inode);
  }
  return inodes;
}

Listener find_listener(const SystemRoot& root, std::uint16_t port) {
  std::vector<std::uint64_t> inodes;
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    const auto text = root.read_text(table, kLargestTable);
    if (!text) continue;
    for (const std::uint64_t inode : listening_sockets(*text, port)) inodes.push_back(inode);
  }
  Listener listener;
  listener.listening = !inodes.empty();
  if (inodes.empty()) return listener;
  std::vector<int> owners;
  for (const std::string& name : root.list("/proc")) {
    const auto pid = parse_int64(name);
    if (pid && *pid > 0 && *pid <= INT_MAX && has_socket(root, name, inodes)) {
      owners.push_back(static_cast<int>(*pid));
    }
  }
  // Workers inherit the socket of the process that started them.
  const std::vector<int> all = owners;
  std::erase_if(owners, [&](int pid) {
    return std::ranges::any_of(all,
                               [&](int other) { return other != pid && descends_from(root, pid, other); });
  });
  listener.several = owners.size() > 1;
  if (owners.size() != 1) return listener;
  listener.pid = owners.front();
  listener.command = printable(root.read_line(fmt::format("/proc/{}/comm", listener.pid)).value_or(""));
  return listener;
}

bool is_loopback(std::string_view host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

}  // namespace joulery::evaluate::endpoint
