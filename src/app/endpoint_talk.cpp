#include "app/endpoint_talk.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/text.hpp"
#include "evaluate/endpoint/load_generator.hpp"

namespace joulery::app {
namespace {

namespace remote = engine::remote;

/// "Text/HTML; charset=utf-8" → "text/html"
std::string type_of(const http::ResponseHead& head) {
  const std::string value = head.find("Content-Type").value_or("");
  return to_lower(trim(std::string_view(value).substr(0, value.find(';'))));
}

class TypedReader final : public remote::AnswerReader {
 public:
  TypedReader(std::unique_ptr<remote::AnswerReader> reader, std::string& type)
      : reader_(std::move(reader)), type_(type) {}
  void head(const http::ResponseHead& head) override {
    type_ = type_of(head);
    reader_->head(head);
  }
  void body(std::string_view bytes, std::int64_t now_ns) override { reader_->body(bytes, now_ns); }
  void end(const http::Failure* failure) override { reader_->end(failure); }
  const remote::Answer& answer() const override { return reader_->answer(); }

 private:
  std::unique_ptr<remote::AnswerReader> reader_;
  std::string& type_;
};

/// A protocol that also tells of which type an answer is.
class TypedProtocol final : public remote::Protocol {
 public:
  TypedProtocol(const remote::Protocol& protocol, std::string& type) : protocol_(protocol), type_(type) {}
  const char* name() const override { return protocol_.name(); }
  bool streaming() const override { return protocol_.streaming(); }
  const std::string& model() const override { return protocol_.model(); }
  http::Request request(std::uint64_t index) const override { return protocol_.request(index); }
  std::unique_ptr<remote::AnswerReader> reader() const override {
    return std::make_unique<TypedReader>(protocol_.reader(), type_);
  }

 private:
  const remote::Protocol& protocol_;
  std::string& type_;
};

}  // namespace

void EndpointTalk::note(const char* method, std::string_view path) {
  content_type_.clear();
  // A query may hold a key.
  std::string question =
      fmt::format("{} {}{}", method, target_.url.origin(), printable(path.substr(0, path.find('?'))));
  if (asked_.empty() || asked_.back() != question) asked_.push_back(std::move(question));
}

Result<http::Response> EndpointTalk::get(const std::string& path) {
  note("GET", path);
  auto response = http::fetch(loop_, client_, {.method = "GET", .target = path, .headers = target_.headers});
  if (!response) {
    Error error = response.error();
    error.hint += (error.hint.ends_with('?') ? " " : "; ") + hint();
    return std::unexpected(std::move(error));
  }
  content_type_ = type_of(response->head);
  return response;
}

remote::Answer EndpointTalk::try_request(const remote::Protocol& protocol) {
  note("POST", protocol.request(0).target);
  evaluate::endpoint::LoadObserver nobody;
  auto result = evaluate::endpoint::run_load(loop_, client_, TypedProtocol(protocol, content_type_),
                                             {.concurrency = 1, .length = {.requests = 1}}, nobody);
  return result.records.empty() ? remote::Answer() : std::move(result.records.front().answer);
}

std::string EndpointTalk::hint() const {
  return fmt::format("asked {}; {}", fmt::join(asked_, ", "), kEndpointAddresses);
}

Error EndpointTalk::no_such_server(std::string_view kind, const std::string& why) const {
  constexpr std::size_t kMostOfType = 60;
  const std::string type =
      content_type_.empty() ? "something of no type" : printable(content_type_.substr(0, kMostOfType));
  return {.kind = Error::Kind::environment,
          .message = fmt::format("{} is no {}: {} was answered with {}{}{}", target_.url.origin(), kind,
                                 asked_.back(), type, why.empty() ? "" : ": ", why),
          .hint = hint()};
}

}  // namespace joulery::app
