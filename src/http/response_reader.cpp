#include "http/response_reader.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <fmt/format.h>

#include "base/text.hpp"

namespace joulery::http {
namespace {

namespace beast_http = boost::beast::http;
using boost::beast::string_view;
using boost::system::error_code;

std::string_view as_text(string_view text) {
  return {text.data(), text.size()};
}

/// Hands head and body on as they are parsed; keeps nothing of the body.
class Parser final : public beast_http::basic_parser<false> {
 public:
  explicit Parser(ResponseSink& sink) : sink_(sink) {}
  bool interim() const { return head_.status >= 100 && head_.status < 200; }

 private:
  void on_request_impl(beast_http::verb /*method*/, string_view /*name*/, string_view /*target*/,
                       int /*version*/, error_code& /*error*/) override {}
  void on_response_impl(int code, string_view /*reason*/, int /*version*/, error_code& /*error*/) override {
    head_.status = code;
  }
  void on_field_impl(beast_http::field /*field*/, string_view name, string_view value,
                     error_code& /*error*/) override {
    head_.headers.emplace_back(as_text(name), as_text(value));
  }
  void on_header_impl(error_code& /*error*/) override {
    if (!interim()) sink_.on_head(head_);
  }
  void on_body_init_impl(const boost::optional<std::uint64_t>& /*length*/, error_code& /*error*/) override {}
  std::size_t on_body_impl(string_view body, error_code& /*error*/) override {
    sink_.on_body(as_text(body));
    return body.size();
  }
  void on_chunk_header_impl(std::uint64_t /*size*/, string_view /*extensions*/,
                            error_code& /*error*/) override {}
  std::size_t on_chunk_body_impl(std::uint64_t /*remain*/, string_view body, error_code& /*error*/) override {
    sink_.on_body(as_text(body));
    return body.size();
  }
  void on_finish_impl(error_code& /*error*/) override {}

  ResponseSink& sink_;
  ResponseHead head_;
};

}  // namespace

std::optional<std::string> ResponseHead::find(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key.size() == name.size() && to_lower(key) == to_lower(name)) return value;
  }
  return std::nullopt;
}

class ResponseReader::Impl {
 public:
  Impl(const ResponseLimits& limits, ResponseSink& sink, bool head_only)
      : limits_(limits), sink_(sink), head_only_(head_only) {
    restart();
  }

  Status push(std::string_view bytes) {
    pending_.append(bytes);
    // Beast 1.81 asserts that the end of a chunked body that it was shown in part comes back whole: at least
    // "0\r\n\r\n". Fewer bytes are the end of none.
    constexpr std::size_t kShortestEnd = 5;
    if (parser_->is_header_done() && parser_->chunked() && unfinished_ && pending_.size() < kShortestEnd)
      return {};
    for (int interim = 0; !failed_;) {
      error_code error;
      const std::size_t used = parser_->put(boost::asio::buffer(pending_), error);
      pending_.erase(0, used);
      unfinished_ = error == beast_http::error::need_more;
      if (unfinished_) return {};
      if (error) return fail(error);
      if (parser_->is_done() && parser_->interim()) {
        constexpr int kMostInterim = 16;
        if (++interim > kMostInterim) return fail(beast_http::error::bad_status);
        restart();
        continue;
      }
      if (parser_->is_done() || pending_.empty()) return {};
      if (used == 0) return fail(beast_http::error::bad_value);
    }
    return {};
  }

  Status finish() {
    if (failed_ || parser_->is_done()) return {};
    if (!parser_->got_some()) return environment_error("the server closed the connection without an answer");
    error_code error;
    parser_->put_eof(error);
    if (error) {
      failed_ = true;
      return environment_error("the server closed the connection in the middle of its answer");
    }
    return {};
  }

  bool done() const { return !failed_ && parser_->is_done() && !parser_->interim(); }
  bool too_large() const { return too_large_; }
  // Bytes after the end belong to no request of ours: nothing more is read from such a connection.
  bool keep_alive() const { return done() && parser_->keep_alive() && pending_.empty(); }

 private:
  void restart() {
    parser_.emplace(sink_);
    parser_->eager(true);
    parser_->skip(head_only_);
    parser_->header_limit(static_cast<std::uint32_t>(limits_.most_header_bytes));
    parser_->body_limit(limits_.most_body_bytes);
  }
  Status fail(error_code error) {
    failed_ = true;
    if (error == beast_http::error::header_limit) {
      too_large_ = true;
      return environment_error(fmt::format("the server's answer has headers of more than {}",
                                           format_bytes(double(limits_.most_header_bytes))));
    }
    if (error == beast_http::error::body_limit || error == beast_http::error::buffer_overflow) {
      too_large_ = true;
      return environment_error(fmt::format("the server's answer is larger than {}",
                                           format_bytes(double(limits_.most_body_bytes))));
    }
    return environment_error(fmt::format("the server's answer is no HTTP/1.1: {}", error.message()),
                             "check host, port and whether it is http or https");
  }

  ResponseLimits limits_;
  ResponseSink& sink_;
  bool head_only_;
  std::optional<Parser> parser_;
  std::string pending_;
  /// The parser has seen the start of what is pending, and wants more of it.
  bool unfinished_ = false;
  bool failed_ = false;
  bool too_large_ = false;
};

ResponseReader::ResponseReader(const ResponseLimits& limits, ResponseSink& sink, bool head_only)
    : impl_(std::make_unique<Impl>(limits, sink, head_only)) {}
ResponseReader::~ResponseReader() = default;
Status ResponseReader::push(std::string_view bytes) {
  return impl_->push(bytes);
}
Status ResponseReader::finish() {
  return impl_->finish();
}
bool ResponseReader::done() const {
  return impl_->done();
}
bool ResponseReader::too_large() const {
  return impl_->too_large();
}
bool ResponseReader::keep_alive() const {
  return impl_->keep_alive();
}

}  // namespace joulery::http
