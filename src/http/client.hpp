#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "http/response_reader.hpp"
#include "http/url.hpp"

namespace joulery::http {

struct Request {
  std::string method = "GET";
  /// Starts with '/'.
  std::string target = "/";
  /// Host, Content-Length and Connection are added.
  Headers headers = {};
  std::string body = {};
};

/// Why a request got no whole answer. An answer that tells of an error (status 404 …) is none of these.
struct Failure {
  enum class Kind { connect, tls, timeout, closed, protocol, too_large, cancelled };
  Kind kind = Kind::connect;
  /// For a person; never holds headers or bodies of the request.
  std::string text;
};
const char* failure_name(Failure::Kind kind);

/// Told what becomes of one request. Times are the clock's monotonic_ns: those of bytes are taken right after
/// the read from the socket, before anything is parsed. Calls come from EventLoop::run.
class Exchange {
 public:
  virtual ~Exchange() = default;
  /// A new connection was made for it, which took from `begin_ns` to now.
  virtual void on_connected(std::int64_t begin_ns, std::int64_t now_ns) {
    static_cast<void>(begin_ns);
    static_cast<void>(now_ns);
  }
  /// Its first byte is about to be written.
  virtual void on_send(std::int64_t now_ns) { static_cast<void>(now_ns); }
  virtual void on_head(const ResponseHead& head, std::int64_t now_ns) = 0;
  virtual void on_body(std::string_view bytes, std::int64_t now_ns) = 0;
  /// The end, once: null if the answer is whole.
  virtual void on_end(const Failure* failure, std::int64_t now_ns) = 0;
};

/// One thread's work: timers and connections. Not thread-safe.
class EventLoop {
 public:
  /// `clock` must outlive the loop; its monotonic_ns must be the kernel's, which timers go by.
  explicit EventLoop(const Clock& clock);
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  const Clock& clock() const;
  /// Calls at this time of the clock, or soon if it is past.
  void at(std::int64_t monotonic_ns, std::function<void()> call);
  /// Until nothing is left to do, or stop() is called.
  void run();
  void stop();

 private:
  friend class Client;
  class Impl;
  std::unique_ptr<Impl> impl_;
};

struct ClientOptions {
  double connect_seconds = 10;
  /// From send() to the end of the answer, waiting for a connection included.
  double total_seconds = 600;
  ResponseLimits limits = {};
  /// Further requests wait for a connection to become free.
  std::size_t most_connections = 512;
  /// Certificates to trust, as a PEM file, instead of the system's.
  std::string certificate_file = {};
};

/// HTTP/1.1 to one server, on kept connections. Follows no redirect, uses no proxy, and checks the server's
/// certificate and name. Not thread-safe.
class Client {
 public:
  /// Looks up the host's name, which may take a while. Environment error if it has no address or certificates
  /// can't be read.
  static Result<std::unique_ptr<Client>> create(EventLoop& loop, const Url& server,
                                                const ClientOptions& options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// What becomes of it is told to `exchange`. A request that a kept connection lost before a byte of the
  /// answer came is sent once more, on a new connection.
  void send(const Request& request, std::shared_ptr<Exchange> exchange);
  /// Ends all requests with Failure::Kind::cancelled.
  void cancel_all();
  std::size_t connections_made() const;

 private:
  Client();
  class Impl;
  std::shared_ptr<Impl> impl_;
};

/// An answer read whole.
struct Response {
  ResponseHead head;
  std::string body;
};
/// Sends one request and runs the loop until its answer is there. Environment error if there is none; any
/// status is an answer.
Result<Response> fetch(EventLoop& loop, Client& client, const Request& request);

}  // namespace joulery::http
