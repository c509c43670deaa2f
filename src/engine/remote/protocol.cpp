#include "engine/remote/protocol.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.hpp"

namespace joulery::engine::remote {
namespace {

constexpr std::size_t kMostErrorBytes = 16 << 10;
constexpr std::size_t kMostErrorText = 400;
constexpr int kOk = 200;

}  // namespace

std::string error_text(std::string_view body) {
  const auto json = nlohmann::json::parse(body, nullptr, false);
  std::string text;
  if (json.is_object()) {
    // {"error": "…"} of the Open Inference Protocol, {"error": {"message": "…"}} of OpenAI, {"detail": "…"}
    // and
    // {"message": "…"} of web frameworks.
    for (const char* key : {"error", "detail", "message"}) {
      const auto found = json.find(key);
      if (found == json.end() || found->is_null()) continue;
      const auto message = found->is_object() ? found->value("message", nlohmann::json()) : *found;
      text = message.is_string() ? message.get<std::string>()
                                 : found->dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
      break;
    }
  }
  if (text.empty()) text = trim(body);
  return printable(text.substr(0, kMostErrorText));
}

std::optional<double> retry_after(const http::ResponseHead& head) {
  const auto value = head.find("Retry-After");
  const auto seconds = value ? parse_double(trim(*value)) : std::nullopt;
  return seconds && *seconds >= 0 ? seconds : std::nullopt;
}

void AnswerReaderBase::fail(std::string kind, std::string text) {
  if (!answer_.ok()) return;
  answer_.error_kind = std::move(kind);
  answer_.error = std::move(text);
}

void AnswerReaderBase::head(const http::ResponseHead& head) {
  answer_.status = head.status;
  if (head.status == kOk) {
    content_type(head.find("Content-Type").value_or(""));
  } else {
    answer_.retry_after_seconds = retry_after(head);
  }
}

void AnswerReaderBase::body(std::string_view bytes, std::int64_t now_ns) {
  if (answer_.status == kOk) {
    if (answer_.ok()) content(bytes, now_ns);
  } else if (error_body_.size() < kMostErrorBytes) {
    error_body_.append(bytes.substr(0, kMostErrorBytes - error_body_.size()));
  }
}

void AnswerReaderBase::end(const http::Failure* failure) {
  if (failure != nullptr) {
    fail(http::failure_name(failure->kind), failure->text);
  } else if (answer_.status != kOk) {
    const std::string text = error_text(error_body_);
    fail(fmt::format("http_{}", answer_.status),
         fmt::format("status {}{}{}", answer_.status, text.empty() ? "" : ": ", text));
  } else if (answer_.ok()) {
    content_end();
  }
}

}  // namespace joulery::engine::remote
