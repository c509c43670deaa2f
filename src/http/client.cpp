#include "http/client.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <fmt/format.h>
#include <openssl/ssl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <deque>
#include <set>

#include "base/text.hpp"
#include "http/connection.hpp"

namespace joulery::http {
namespace {

namespace asio = boost::asio;
using Seconds = std::chrono::duration<double>;

constexpr std::size_t kReadBytes = 64 << 10;

/// Where distributions keep the certificates that they trust. OpenSSL's own default is that of the machine it
/// was built on.
constexpr std::array kCertificateFiles{"/etc/ssl/certs/ca-certificates.crt",
                                       "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
                                       "/etc/ssl/cert.pem"};

std::chrono::steady_clock::time_point from_now(double seconds) {
  return std::chrono::steady_clock::now() +
         std::chrono::duration_cast<std::chrono::steady_clock::duration>(Seconds(seconds));
}

std::string request_bytes(const Request& request, const Url& server) {
  std::string bytes =
      fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\n", request.method, request.target, server.authority());
  for (const auto& [name, value] : request.headers) bytes += fmt::format("{}: {}\r\n", name, value);
  if (!request.body.empty() || request.method == "POST") {
    bytes += fmt::format("Content-Length: {}\r\n", request.body.size());
  }
  bytes += "\r\n";
  return bytes += request.body;
}

/// Hands on what one read of the socket brought, with the time of that read.
class TimedSink final : public ResponseSink {
 public:
  explicit TimedSink(Exchange& exchange) : exchange_(exchange) {}
  void on_head(const ResponseHead& head) override { exchange_.on_head(head, now_ns); }
  void on_body(std::string_view bytes) override { exchange_.on_body(bytes, now_ns); }
  std::int64_t now_ns = 0;

 private:
  Exchange& exchange_;
};

Result<std::unique_ptr<asio::ssl::context>> make_tls(const std::string& certificate_file) {
  auto tls = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_client);
  SSL_CTX_set_min_proto_version(tls->native_handle(), TLS1_2_VERSION);
  ErrorCode error;
  if (!certificate_file.empty()) {
    static_cast<void>(tls->load_verify_file(certificate_file, error));
    if (!error) return tls;
    return user_error(fmt::format("no certificate can be read from '{}'", printable(certificate_file)),
                      "it must be a file of certificates in PEM form");
  }
  for (const char* file : kCertificateFiles) {
    if (::access(file, R_OK) != 0) continue;
    static_cast<void>(tls->load_verify_file(file, error));
    if (!error) return tls;
  }
  return environment_error("this machine has no list of certificates that it trusts",
                           "install ca-certificates, or name a file by SSL_CERT_FILE");
}

Failure failure_of(const Connection& connection, Failure::Kind kind, std::string text) {
  if (connection.cancelled()) return {Failure::Kind::cancelled, "it was cancelled"};
  if (connection.timed_out()) return {Failure::Kind::timeout, "no whole answer in time"};
  return {kind, std::move(text)};
}

}  // namespace

const char* failure_name(Failure::Kind kind) {
  switch (kind) {
    case Failure::Kind::connect:
      return "connect";
    case Failure::Kind::tls:
      return "tls";
    case Failure::Kind::timeout:
      return "timeout";
    case Failure::Kind::closed:
      return "closed";
    case Failure::Kind::protocol:
      return "protocol";
    case Failure::Kind::too_large:
      return "too_large";
    case Failure::Kind::cancelled:
      return "cancelled";
  }
  return "connect";
}

class EventLoop::Impl {
 public:
  explicit Impl(const Clock& injected) : clock(injected) {}
  const Clock& clock;
  asio::io_context context{1};
};

EventLoop::EventLoop(const Clock& clock) : impl_(std::make_unique<Impl>(clock)) {}
EventLoop::~EventLoop() = default;

const Clock& EventLoop::clock() const {
  return impl_->clock;
}

void EventLoop::at(std::int64_t monotonic_ns, std::function<void()> call) {
  const std::chrono::steady_clock::time_point time{std::chrono::nanoseconds(monotonic_ns)};
  auto timer = std::make_shared<asio::steady_timer>(impl_->context, time);
  timer->async_wait([timer, call = std::move(call)](ErrorCode error) {
    if (!error) call();
  });
}

void EventLoop::run() {
  impl_->context.restart();
  impl_->context.run();
}

void EventLoop::stop() {
  impl_->context.stop();
}

class Client::Impl : public std::enable_shared_from_this<Client::Impl> {
 public:
  Impl(EventLoop::Impl& loop, Url server, ClientOptions options)
      : loop_(loop), server_(std::move(server)), options_(std::move(options)) {}

  Status prepare() {
    if (server_.tls) {
      JOULERY_ASSIGN(tls_, make_tls(options_.certificate_file));
    }
    Tcp::resolver resolver(loop_.context);
    ErrorCode error;
    const auto found = resolver.resolve(server_.host, fmt::format("{}", server_.port), error);
    if (error) {
      return environment_error(
          fmt::format("the host '{}' has no address: {}", printable(server_.host), error.message()),
          "check the spelling of the host");
    }
    for (const auto& entry : found) addresses_.push_back(entry.endpoint());
    return {};
  }

  void send(const Request& request, std::shared_ptr<Exchange> exchange) {
    Job job{request_bytes(request, server_), request.method == "HEAD", std::move(exchange),
            from_now(options_.total_seconds)};
    if (running_ >= options_.most_connections) {
      waiting_.push_back(std::move(job));
    } else {
      start(std::move(job));
    }
  }

  void cancel_all() {
    ++cancellations_;
    const std::deque<Job> waiting = std::exchange(waiting_, {});
    for (const Job& job : waiting) {
      const Failure failure{Failure::Kind::cancelled, "it was cancelled"};
      job.exchange->on_end(&failure, loop_.clock.monotonic_ns());
    }
    const auto active = active_;
    for (const auto& connection : active) connection->cancel();
  }

  void close() {
    cancel_all();
    idle_.clear();
  }

  std::size_t connections_made() const { return connections_made_; }

 private:
  struct Job {
    std::string bytes;
    bool head_only = false;
    std::shared_ptr<Exchange> exchange;
    std::chrono::steady_clock::time_point deadline;
    /// A request that was sent before the last cancellation, but not begun, does not begin.
    std::uint64_t cancellations = 0;
  };
  /// What one try ended with.
  struct Attempt {
    std::optional<Failure> failure;
    /// Of a kept connection that the server had closed meanwhile.
    bool lost_before_answer = false;
    std::int64_t end_ns = 0;
  };

  void start(Job job) {
    ++running_;
    asio::co_spawn(loop_.context, perform(shared_from_this(), std::move(job)), asio::detached);
  }

  static asio::awaitable<void> perform(std::shared_ptr<Impl> self, Job job) {
    std::shared_ptr<Connection> connection;
    Attempt attempt;
    const bool cancelled = job.cancellations != self->cancellations_;
    if (cancelled) {
      attempt.failure = {Failure::Kind::cancelled, "it was cancelled"};
      attempt.end_ns = self->loop_.clock.monotonic_ns();
    } else {
      connection = self->take_idle();
    }
    if (connection) attempt = co_await self->exchange_on(connection, job);
    if (!cancelled && (!connection || attempt.lost_before_answer)) {
      connection = std::make_shared<Connection>(self->loop_.context, self->tls_.get());
      attempt.failure = co_await self->open(*connection, job);
      attempt.end_ns = self->loop_.clock.monotonic_ns();
      if (!attempt.failure) attempt = co_await self->exchange_on(connection, job);
    }
    if (connection) {
      self->active_.erase(connection);
      connection->stop_deadline();
    }
    job.exchange->on_end(attempt.failure ? &*attempt.failure : nullptr, attempt.end_ns);
    --self->running_;
    if (!self->waiting_.empty() && self->running_ < self->options_.most_connections) {
      Job next = std::move(self->waiting_.front());
      self->waiting_.pop_front();
      self->start(std::move(next));
    }
  }

  std::shared_ptr<Connection> take_idle() {
    while (!idle_.empty()) {
      std::shared_ptr<Connection> connection = std::move(idle_.back());
      idle_.pop_back();
      if (connection->is_quiet()) return connection;
    }
    return nullptr;
  }

  asio::awaitable<std::optional<Failure>> open(Connection& connection, const Job& job) {
    active_.insert(connection.shared_from_this());
    const std::int64_t begin = loop_.clock.monotonic_ns();
    connection.set_deadline(std::min(job.deadline, from_now(options_.connect_seconds)));
    ErrorCode error = co_await connection.connect(addresses_);
    const std::string place = printable(server_.authority());
    if (error) {
      if (connection.timed_out()) {
        co_return Failure{Failure::Kind::timeout, fmt::format("no connection to {} in time", place)};
      }
      co_return failure_of(connection, Failure::Kind::connect,
                           fmt::format("no connection to {}: {}", place, error.message()));
    }
    error = co_await connection.handshake(server_.host);
    if (error) {
      const std::string problem = connection.certificate_problem();
      co_return failure_of(connection, Failure::Kind::tls,
                           problem.empty()
                               ? fmt::format("no TLS with {}: {}", place, error.message())
                               : fmt::format("the certificate of {} is not trusted: {}", place, problem));
    }
    ++connections_made_;
    job.exchange->on_connected(begin, loop_.clock.monotonic_ns());
    co_return std::nullopt;
  }

  asio::awaitable<Attempt> exchange_on(std::shared_ptr<Connection> connection, const Job& job) {
    Attempt attempt;
    active_.insert(connection);
    connection->set_deadline(job.deadline);
    TimedSink sink(*job.exchange);
    ResponseReader reader(options_.limits, sink, job.head_only);
    job.exchange->on_send(loop_.clock.monotonic_ns());
    const auto [write_error, written] = co_await connection->write(job.bytes);
    bool any = false;
    std::vector<char>& buffer = read_buffer();
    // A server may answer, such as with 413, without having read all.
    while (!reader.done()) {
      const auto [error, count] = co_await connection->read_some(asio::buffer(buffer));
      attempt.end_ns = sink.now_ns = loop_.clock.monotonic_ns();
      if (error) {
        const Status ended = reader.finish();
        if (ended && reader.done() && !connection->timed_out() && !connection->cancelled()) break;
        attempt.failure = failure_of(
            *connection, Failure::Kind::closed,
            ended ? fmt::format("the connection was lost: {}", error.message()) : ended.error().message);
        attempt.lost_before_answer = !any && attempt.failure->kind == Failure::Kind::closed;
        break;
      }
      any = true;
      if (const Status read = reader.push({buffer.data(), count}); !read) {
        attempt.failure = {reader.too_large() ? Failure::Kind::too_large : Failure::Kind::protocol,
                           read.error().message};
        break;
      }
    }
    give_back(buffer);
    if (!attempt.failure && !write_error && reader.keep_alive()) {
      connection->stop_deadline();
      idle_.push_back(connection);
    }
    active_.erase(connection);
    co_return attempt;
  }

  /// Buffers are used again: thousands of waiting requests would hold one each otherwise anew.
  std::vector<char>& read_buffer() {
    if (free_buffers_.empty()) {
      buffers_.push_back(std::make_unique<std::vector<char>>(kReadBytes));
      free_buffers_.push_back(buffers_.back().get());
    }
    std::vector<char>* buffer = free_buffers_.back();
    free_buffers_.pop_back();
    return *buffer;
  }
  void give_back(std::vector<char>& buffer) { free_buffers_.push_back(&buffer); }

  EventLoop::Impl& loop_;
  Url server_;
  ClientOptions options_;
  std::unique_ptr<asio::ssl::context> tls_;
  std::vector<Tcp::endpoint> addresses_;
  std::vector<std::shared_ptr<Connection>> idle_;
  std::set<std::shared_ptr<Connection>> active_;
  std::deque<Job> waiting_;
  std::vector<std::unique_ptr<std::vector<char>>> buffers_;
  std::vector<std::vector<char>*> free_buffers_;
  std::size_t running_ = 0;
  std::uint64_t cancellations_ = 0;
  std::size_t connections_made_ = 0;
};

Client::Client() = default;
Client::~Client() {
  if (impl_) impl_->close();
}

Result<std::unique_ptr<Client>> Client::create(EventLoop& loop, const Url& server,
                                               const ClientOptions& options) {
  std::unique_ptr<Client> client(new Client);
  client->impl_ = std::make_shared<Impl>(*loop.impl_, server, options);
  JOULERY_CHECK_OK(client->impl_->prepare());
  return client;
}

void Client::send(const Request& request, std::shared_ptr<Exchange> exchange) {
  impl_->send(request, std::move(exchange));
}
void Client::cancel_all() {
  impl_->cancel_all();
}
std::size_t Client::connections_made() const {
  return impl_->connections_made();
}

namespace {

class WholeAnswer final : public Exchange {
 public:
  void on_head(const ResponseHead& head, std::int64_t /*now_ns*/) override { response.head = head; }
  void on_body(std::string_view bytes, std::int64_t /*now_ns*/) override { response.body += bytes; }
  void on_end(const Failure* end, std::int64_t /*now_ns*/) override {
    ended = true;
    if (end != nullptr) failure = *end;
  }
  Response response;
  bool ended = false;
  std::optional<Failure> failure;
};

}  // namespace

Result<Response> fetch(EventLoop& loop, Client& client, const Request& request) {
  const auto answer = std::make_shared<WholeAnswer>();
  client.send(request, answer);
  loop.run();
  if (!answer->ended) return internal_error("the loop ended before the answer came");
  if (answer->failure) {
    const bool tls = answer->failure->kind == Failure::Kind::tls;
    return environment_error(
        answer->failure->text,
        tls ? "name its certificate authority by SSL_CERT_FILE, or use http if it speaks no TLS"
            : "is the server running, and is this its address?");
  }
  return std::move(answer->response);
}

}  // namespace joulery::http
