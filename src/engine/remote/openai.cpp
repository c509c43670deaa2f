#include "engine/remote/openai.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "http/sse.hpp"

namespace joulery::engine::remote {
namespace {

using Json = nlohmann::json;

const Json* child(const Json& json, const char* key) {
  if (!json.is_object()) return nullptr;
  const auto found = json.find(key);
  return found == json.end() || found->is_null() ? nullptr : &*found;
}

bool has_text(const Json& json, const char* key) {
  const Json* value = child(json, key);
  return value != nullptr && value->is_string() && !value->get_ref<const std::string&>().empty();
}

std::optional<std::uint64_t> count_of(const Json& usage, const char* key) {
  const Json* value = child(usage, key);
  if (value == nullptr || !value->is_number_unsigned()) return std::nullopt;
  return value->get<std::uint64_t>();
}

/// Content and counts of one object: an event of a stream, or a whole answer.
class OpenAiReader final : public AnswerReaderBase {
 public:
  explicit OpenAiReader(bool stream) : stream_(stream) {}

 private:
  void content_type(std::string_view type) override {
    // Some servers answer at once although a stream was asked for.
    if (stream_ && type.starts_with("application/json")) stream_ = false;
  }

  void content(std::string_view bytes, std::int64_t now_ns) override {
    if (!stream_) {
      whole_.append(bytes);
      return;
    }
    const Status read =
        parser_.push(bytes, [&](const http::SseParser::Event& event) { on_event(event, now_ns); });
    if (!read) fail("bad_answer", read.error().message);
    last_ns_ = now_ns;
  }

  void content_end() override {
    if (stream_) {
      static_cast<void>(
          parser_.finish([&](const http::SseParser::Event& event) { on_event(event, last_ns_); }));
      if (!answer_.ok()) return;
      if (!ended_) fail("stream_cut", "the stream ended without a finish_reason or [DONE]");
    } else {
      const Json json = Json::parse(whole_, nullptr, false);
      if (!json.is_object()) return fail("bad_answer", "the answer is no JSON object: " + error_text(whole_));
      read(json, nullptr);
      if (!answer_.ok()) return;
      if (!has_choices_) fail("bad_answer", "the answer has no choices");
    }
    if (answer_.ok() && stream_ && answer_.content_ns.empty()) {
      // A model that ends at once has answered; without a count nobody knows that it did.
      if (!answer_.output_tokens) fail("empty", "the stream had no content");
    }
  }

  void on_event(const http::SseParser::Event& event, std::int64_t now_ns) {
    if (!answer_.ok()) return;
    if (trim(event.data) == "[DONE]") {
      ended_ = true;
      return;
    }
    const Json json = Json::parse(event.data, nullptr, false);
    if (event.type == "error")
      return fail("stream_error", "the server ended the stream: " + error_text(event.data));
    if (!json.is_object()) return fail("bad_answer", "an event is no JSON object: " + error_text(event.data));
    read(json, &now_ns);
  }

  /// `now_ns` is null for a whole answer.
  void read(const Json& json, const std::int64_t* now_ns) {
    if (child(json, "error") != nullptr) {
      return fail("stream_error", "the server answered with an error: " +
                                      error_text(json.dump(-1, ' ', false, Json::error_handler_t::replace)));
    }
    if (const Json* usage = child(json, "usage")) {
      if (const auto count = count_of(*usage, "prompt_tokens")) answer_.prompt_tokens = count;
      if (const auto count = count_of(*usage, "completion_tokens")) answer_.output_tokens = count;
    }
    const Json* choices = child(json, "choices");
    if (choices == nullptr || !choices->is_array()) return;
    has_choices_ = has_choices_ || !choices->empty();
    bool output = false;
    bool reasoning = false;
    for (const Json& choice : *choices) {
      const Json* delta = child(choice, "delta");
      if (delta == nullptr) delta = child(choice, "message");
      const Json& part = delta != nullptr ? *delta : choice;
      output = output || has_text(part, "content") || has_text(part, "text") || has_text(part, "refusal") ||
               child(part, "tool_calls") != nullptr;
      reasoning = reasoning || has_text(part, "reasoning_content") || has_text(part, "reasoning");
      if (child(choice, "finish_reason") != nullptr) ended_ = true;
    }
    if (now_ns == nullptr) return;
    if (output || reasoning) answer_.content_ns.push_back(*now_ns);
    if (output && !answer_.first_output_ns) answer_.first_output_ns = *now_ns;
  }

  bool stream_;
  http::SseParser parser_;
  std::string whole_;
  std::int64_t last_ns_ = 0;
  bool ended_ = false;
  bool has_choices_ = false;
};

class OpenAiProtocol final : public Protocol {
 public:
  OpenAiProtocol(OpenAiOptions options, std::vector<std::string> bodies)
      : options_(std::move(options)), bodies_(std::move(bodies)) {
    options_.headers.emplace_back("Content-Type", "application/json");
    options_.headers.emplace_back("Accept", options_.stream ? "text/event-stream" : "application/json");
  }
  const char* name() const override {
    return options_.endpoint == OpenAiOptions::Endpoint::chat ? "openai_chat" : "openai_completions";
  }
  bool streaming() const override { return options_.stream; }
  const std::string& model() const override { return options_.model; }
  http::Request request(std::uint64_t index) const override {
    return {.method = "POST",
            .target = options_.target,
            .headers = options_.headers,
            .body = bodies_[index % bodies_.size()]};
  }
  std::unique_ptr<AnswerReader> reader() const override {
    return std::make_unique<OpenAiReader>(options_.stream);
  }

 private:
  OpenAiOptions options_;
  std::vector<std::string> bodies_;
};

Result<std::string> body_of(const OpenAiOptions& options, const Prompt& prompt) {
  Json body{{"model", options.model}, {"stream", options.stream}};
  body["max_tokens"] = prompt.max_tokens.value_or(options.max_tokens);
  if (options.stream && options.include_usage) body["stream_options"] = {{"include_usage", true}};
  if (options.ignore_eos) body["ignore_eos"] = true;
  if (options.endpoint == OpenAiOptions::Endpoint::completions) {
    if (!prompt.messages_json.empty()) {
      return user_error("/v1/completions takes a text, and the prompts have \"messages\"",
                        "give \"prompt\" instead, or the address of /v1/chat/completions");
    }
    body["prompt"] = prompt.text;
  } else if (!prompt.messages_json.empty()) {
    body["messages"] = Json::parse(prompt.messages_json, nullptr, false);
  } else {
    body["messages"] = Json::array({{{"role", "user"}, {"content", prompt.text}}});
  }
  return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

Result<std::unique_ptr<Protocol>> openai_protocol(const OpenAiOptions& options,
                                                  const std::vector<Prompt>& prompts) {
  std::vector<std::string> bodies;
  bodies.reserve(prompts.size());
  for (const Prompt& prompt : prompts) {
    JOULERY_ASSIGN(std::string body, body_of(options, prompt));
    bodies.push_back(std::move(body));
  }
  if (bodies.empty()) return user_error("there is no prompt");
  return std::make_unique<OpenAiProtocol>(options, std::move(bodies));
}

Result<std::vector<std::string>> parse_model_list(std::string_view body) {
  const Json json = Json::parse(body, nullptr, false);
  const Json* data = child(json, "data");
  if (data == nullptr || !data->is_array()) {
    return environment_error("the server's list of models can't be read: " + error_text(body),
                             "name the model by --model");
  }
  std::vector<std::string> names;
  for (const Json& model : *data) {
    if (has_text(model, "id")) names.push_back(model["id"].get<std::string>());
  }
  return names;
}

}  // namespace joulery::engine::remote
