#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

/// For tests only: a server on a free port of 127.0.0.1 that answers as it is told.
namespace joulery::http {

/// A piece of an answer and how long the server waits before it. `close` ends the connection after it.
struct Piece {
  std::string bytes;
  int wait_ms = 0;
  bool close = false;
};

/// Connections are served one after the other: each gets the next answer of the script for each request it
/// makes; the last is repeated.
class ScriptedServer {
 public:
  explicit ScriptedServer(std::vector<std::vector<Piece>> script) : script_(std::move(script)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    static_cast<void>(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address)));
    ::listen(listener_, 64);
    socklen_t size = sizeof(address);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~ScriptedServer() {
    stop_ = true;
    thread_.join();
    ::close(listener_);
  }
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  std::vector<std::string> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  int connections() const { return connections_; }
  std::uint16_t port = 0;

 private:
  bool wait_for(int descriptor) const {
    while (!stop_) {
      pollfd poll{descriptor, POLLIN, 0};
      if (::poll(&poll, 1, 20) > 0) return true;
    }
    return false;
  }
  void serve() {
    while (wait_for(listener_)) {
      const int connection = ::accept(listener_, nullptr, nullptr);
      ++connections_;
      while (wait_for(connection) && answer(connection)) {
      }
      ::close(connection);
    }
  }
  bool answer(int connection) {
    std::string request;
    char buffer[4096];
    std::size_t body = std::string::npos;
    while (body == std::string::npos || request.size() < body) {
      if (!wait_for(connection)) return false;
      const auto got = ::recv(connection, buffer, sizeof(buffer), 0);
      if (got <= 0) return false;
      request.append(buffer, static_cast<std::size_t>(got));
      const auto end = request.find("\r\n\r\n");
      if (end == std::string::npos) continue;
      const auto length = request.find("Content-Length: ");
      body = end + 4 + (length == std::string::npos ? 0 : std::stoul(request.substr(length + 16)));
    }
    std::size_t turn = 0;
    {
      const std::lock_guard lock(mutex_);
      turn = std::min(requests_.size(), script_.size() - 1);
      requests_.push_back(request);
    }
    for (const Piece& piece : script_[turn]) {
      std::this_thread::sleep_for(std::chrono::milliseconds(piece.wait_ms));
      if (::send(connection, piece.bytes.data(), piece.bytes.size(), MSG_NOSIGNAL) < 0) return false;
      if (piece.close) return false;
    }
    return true;
  }

  std::vector<std::vector<Piece>> script_;
  int listener_ = -1;
  std::thread thread_;
  std::atomic<bool> stop_ = false;
  std::atomic<int> connections_ = 0;
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
};

}  // namespace joulery::http
