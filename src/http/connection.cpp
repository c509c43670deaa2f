#include "http/connection.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <sys/socket.h>

#include <cerrno>

namespace joulery::http {
namespace {

namespace asio = boost::asio;
constexpr auto kWait = asio::as_tuple(asio::use_awaitable);

}  // namespace

Connection::Connection(asio::io_context& context, asio::ssl::context* tls)
    : socket_(context), timer_(context) {
  if (tls != nullptr) tls_.emplace(socket_, *tls);
}

asio::awaitable<ErrorCode> Connection::connect(const std::vector<Tcp::endpoint>& addresses) {
  ErrorCode error = asio::error::host_not_found;
  for (const Tcp::endpoint& address : addresses) {
    ErrorCode ignored;
    static_cast<void>(socket_.close(ignored));
    std::tie(error) = co_await socket_.async_connect(address, kWait);
    if (!error || timed_out_ || cancelled_) break;
  }
  // Without it, a small request may wait for the acknowledgement of the one before.
  ErrorCode ignored;
  if (!error) static_cast<void>(socket_.set_option(Tcp::no_delay(true), ignored));
  co_return error;
}

asio::awaitable<ErrorCode> Connection::handshake(std::string host) {
  if (!tls_) co_return ErrorCode();
  ErrorCode error;
  static_cast<void>(tls_->set_verify_mode(asio::ssl::verify_peer, error));
  static_cast<void>(tls_->set_verify_callback(asio::ssl::host_name_verification(host), error));
  // Of an address there is no name to ask for.
  asio::ip::make_address(host, error);
  if (error) SSL_set_tlsext_host_name(tls_->native_handle(), host.c_str());
  std::tie(error) = co_await tls_->async_handshake(asio::ssl::stream_base::client, kWait);
  co_return error;
}

asio::awaitable<IoResult> Connection::read_some(asio::mutable_buffer buffer) {
  if (tls_) co_return co_await tls_->async_read_some(buffer, kWait);
  co_return co_await socket_.async_read_some(buffer, kWait);
}

asio::awaitable<IoResult> Connection::write(std::string_view bytes) {
  const auto buffer = asio::buffer(bytes.data(), bytes.size());
  if (tls_) co_return co_await asio::async_write(*tls_, buffer, kWait);
  co_return co_await asio::async_write(socket_, buffer, kWait);
}

void Connection::set_deadline(std::chrono::steady_clock::time_point time) {
  timer_.expires_at(time);
  timer_.async_wait([self = weak_from_this()](ErrorCode error) {
    const auto connection = self.lock();
    // A timer that was set anew may have been due already: then the handler has no error to tell it by.
    if (error || !connection || connection->timer_.expiry() > std::chrono::steady_clock::now()) return;
    connection->timed_out_ = true;
    connection->close();
  });
}

void Connection::stop_deadline() {
  timer_.expires_at(asio::steady_timer::time_point::max());
}

void Connection::cancel() {
  cancelled_ = true;
  close();
}

void Connection::close() {
  ErrorCode ignored;
  static_cast<void>(socket_.close(ignored));
}

bool Connection::is_quiet() {
  if (!socket_.is_open()) return false;
  char byte = 0;
  const auto got = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

std::string Connection::certificate_problem() const {
  if (!tls_) return {};
  const long result = SSL_get_verify_result(const_cast<Connection*>(this)->tls_->native_handle());
  return result == X509_V_OK ? "" : X509_verify_cert_error_string(result);
}

}  // namespace joulery::http
