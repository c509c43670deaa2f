#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/client.hpp"

/// Clients of inference servers: what is asked, and what an answer says. They open no connection themselves.
namespace joulery::engine::remote {

/// What one answer told. Times are those at which the bytes were read from the socket.
struct Answer {
  int status = 0;
  /// Of each piece with content that is not empty, reasoning included; empty if the answer came whole.
  std::vector<std::int64_t> content_ns;
  /// Of the first piece that is not reasoning.
  std::optional<std::int64_t> first_output_ns;
  /// The server's own counts.
  std::optional<std::uint64_t> prompt_tokens;
  std::optional<std::uint64_t> output_tokens;
  /// Empty if all went well; else "timeout", "http_503", "stream_error" … (endpoints.md has them all).
  std::string error_kind;
  /// The server's or the network's words, made printable, at most a few lines.
  std::string error;
  /// What the server wants to be spared for, with status 429 or 503.
  std::optional<double> retry_after_seconds;

  bool ok() const { return error_kind.empty(); }
};

/// Reads one answer as it comes.
class AnswerReader {
 public:
  virtual ~AnswerReader() = default;
  virtual void head(const http::ResponseHead& head) = 0;
  virtual void body(std::string_view bytes, std::int64_t now_ns) = 0;
  /// The end: null if the answer is whole.
  virtual void end(const http::Failure* failure) = 0;
  virtual const Answer& answer() const = 0;
};

/// One model behind one address. Requests are made beforehand, so that making them costs nothing under load.
class Protocol {
 public:
  virtual ~Protocol() = default;
  /// "openai_chat", "openai_completions", "oip_rest"
  virtual const char* name() const = 0;
  /// Do answers come in pieces?
  virtual bool streaming() const = 0;
  virtual const std::string& model() const = 0;
  /// The request at this place of an endless row.
  virtual http::Request request(std::uint64_t index) const = 0;
  virtual std::unique_ptr<AnswerReader> reader() const = 0;
};

/// Of an answer with an error: the message in its JSON body, as servers of either protocol write it, or the
/// start of the text.
std::string error_text(std::string_view body);
/// Seconds of a Retry-After header; nothing if there is none or it holds a date.
std::optional<double> retry_after(const http::ResponseHead& head);

/// What all readers do: status, body of errors, failures of the connection.
class AnswerReaderBase : public AnswerReader {
 public:
  void head(const http::ResponseHead& head) final;
  void body(std::string_view bytes, std::int64_t now_ns) final;
  void end(const http::Failure* failure) final;
  const Answer& answer() const final { return answer_; }

 protected:
  /// Of an answer with status 200.
  virtual void content(std::string_view bytes, std::int64_t now_ns) = 0;
  virtual void content_end() = 0;
  virtual void content_type(std::string_view type) { static_cast<void>(type); }
  void fail(std::string kind, std::string text);
  Answer answer_;

 private:
  std::string error_body_;
};

}  // namespace joulery::engine::remote
