#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>

#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "http/url.hpp"

/// Inside of this room only: it brings the heavy headers.
namespace joulery::http {

using Tcp = boost::asio::ip::tcp;
using ErrorCode = boost::system::error_code;
using IoResult = std::tuple<ErrorCode, std::size_t>;

/// One connection to a server, with TLS or without, and the timer that ends what takes too long.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  /// `tls` is null without TLS and must outlive the connection.
  Connection(boost::asio::io_context& context, boost::asio::ssl::context* tls);

  /// Tries the addresses one after the other.
  boost::asio::awaitable<ErrorCode> connect(const std::vector<Tcp::endpoint>& addresses);
  /// Checks the certificate and that it is for `host`. No error without TLS.
  boost::asio::awaitable<ErrorCode> handshake(std::string host);
  boost::asio::awaitable<IoResult> read_some(boost::asio::mutable_buffer buffer);
  boost::asio::awaitable<IoResult> write(std::string_view bytes);

  /// Closes the connection at that time, unless it is set again or stopped before.
  void set_deadline(std::chrono::steady_clock::time_point time);
  void stop_deadline();
  bool timed_out() const { return timed_out_; }

  void cancel();
  bool cancelled() const { return cancelled_; }
  /// Nothing has come on it and the server has not closed it: good for another request.
  bool is_quiet();
  /// The certificate's fault, in words, after a handshake that failed.
  std::string certificate_problem() const;

 private:
  void close();
  Tcp::socket socket_;
  std::optional<boost::asio::ssl::stream<Tcp::socket&>> tls_;
  boost::asio::steady_timer timer_;
  bool timed_out_ = false;
  bool cancelled_ = false;
};

}  // namespace joulery::http
