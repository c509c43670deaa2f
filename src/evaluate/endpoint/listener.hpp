#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.hpp"

namespace joulery::evaluate::endpoint {

/// Inodes of the sockets that listen on this port, out of the text of /proc/net/tcp or tcp6.
std::vector<std::uint64_t> listening_sockets(std::string_view text, std::uint16_t port);

/// The process that listens on a port.
struct Listener {
  /// 0: nobody's, or one of another user, whose open files can't be seen.
  int pid = 0;
  /// The name of its program; of no pid, empty. Its arguments may hold secrets.
  std::string command;
  /// Somebody listens on the port.
  bool listening = false;
  /// Several processes that none of the others started share the port: which of them answers is not known.
  bool several = false;
};
/// Of processes that share a listening socket it is the one that started the others.
Listener find_listener(const SystemRoot& root, std::uint16_t port);

/// "localhost", 127.x.x.x, ::1.
bool is_loopback(std::string_view host);

}  // namespace joulery::evaluate::endpoint
