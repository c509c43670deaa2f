#include "app/endpoint_server.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "app/endpoint_talk.hpp"
#include "base/text.hpp"

namespace joulery::app {
namespace {

namespace remote = engine::remote;

constexpr int kOk = 200;
constexpr int kUnauthorized = 401;
constexpr int kForbidden = 403;
constexpr int kNotFound = 404;
constexpr int kRedirects = 300;
constexpr int kClientErrors = 400;
constexpr int kMethodNotAllowed = 405;
constexpr int kNotImplemented = 501;
constexpr const char* kJsonType = "application/json";
constexpr const char* kStreamType = "text/event-stream";
constexpr const char* kPageType = "text/html";
constexpr const char* kOpenAi = "OpenAI-compatible server";
constexpr const char* kOip = "server of the Open Inference Protocol";

/// What a status that is no answer says, and what to do about it.
Error refused(const EndpointTalk& talk, int status, std::string_view body, const std::string& what) {
  const std::string text = talk.was(kPageType) ? "a web page" : remote::error_text(body);
  Error error{.kind = Error::Kind::environment,
              .message = fmt::format("{}: status {}{}{}", what, status, text.empty() ? "" : ": ", text),
              .hint = {}};
  if (status == kUnauthorized || status == kForbidden) {
    error.hint = "the server wants a key: --api-key-file FILE";
  } else if (status == kNotFound || status == kMethodNotAllowed || status == kNotImplemented) {
    error.hint = "check the path and --model; " + talk.hint();
  } else if (status >= kRedirects && status < kClientErrors) {
    error.hint = "redirects are not followed: use the address that it names";
  }
  return error;
}

/// `kind`: the server that would have answered well.
Status check(const EndpointTalk& talk, const remote::Answer& answer, const char* kind) {
  if (answer.ok()) return {};
  if (answer.status != kOk && answer.status != 0) {
    constexpr const char* kRefused = "the server refused a first request";
    Error error = refused(talk, answer.status, "", kRefused);
    if (!talk.was(kPageType)) error.message = fmt::format("{}: {}", kRefused, answer.error);
    return std::unexpected(std::move(error));
  }
  // A page of a web site read as a stream is cut, too.
  if (answer.error_kind == "stream_cut" && !talk.was(kStreamType))
    return std::unexpected(talk.no_such_server(kind, ""));
  if (answer.error_kind == "bad_answer")
    return std::unexpected(talk.no_such_server(kind, talk.was(kPageType) ? "" : answer.error));
  std::string hint;
  if (answer.error_kind == "timeout") hint = "--timeout says how long to wait";
  if (answer.error_kind == "connect" || answer.error_kind == "closed" || answer.error_kind == "protocol")
    hint = "is the server running, and is this its address? " + talk.hint();
  return environment_error(fmt::format("a first request failed ({}): {}", answer.error_kind, answer.error),
                           std::move(hint));
}

Result<std::string> choose_model(EndpointTalk& talk, const std::string& base,
                                 std::vector<meter::Warning>& warnings) {
  if (!talk.target().model.empty()) return talk.target().model;
  JOULERY_ASSIGN(const http::Response response, talk.get(base + "/models"));
  if (response.head.status != kOk) {
    Error error = refused(talk, response.head.status, response.body,
                          fmt::format("the server does not list its models at {}/models", printable(base)));
    if (response.head.status == kNotFound) error.hint = "name the model by --model; " + talk.hint();
    return std::unexpected(std::move(error));
  }
  const auto names = remote::parse_model_list(response.body);
  if (!names) {
    Error error = talk.no_such_server(kOpenAi, talk.was(kJsonType) ? names.error().message : "");
    error.hint += "; if it is one that does not list its models, name one by --model";
    return std::unexpected(std::move(error));
  }
  if (names->empty()) return environment_error("the server has no model", "name one by --model");
  if (names->size() > 1) {
    warnings.push_back({fmt::format("the server has {} models; the first is taken", names->size()),
                        printable(fmt::format("--model chooses: {}", fmt::join(*names, ", ")))});
  }
  return names->front();
}

Result<ConnectedEndpoint> connect_openai(EndpointTalk& talk, remote::OpenAiOptions options,
                                         const std::string& base) {
  const EndpointTarget& target = talk.target();
  ConnectedEndpoint endpoint;
  JOULERY_ASSIGN(options.model, choose_model(talk, base, endpoint.warnings));
  options.stream = target.stream;
  options.ignore_eos = target.ignore_eos;
  options.max_tokens = target.max_tokens;
  options.headers = target.headers;
  constexpr std::size_t kDifferentPrompts = 1000;
  const std::vector<remote::Prompt> prompts =
      target.prompts.empty() ? remote::synthetic_prompts(kDifferentPrompts, target.prompt_tokens, target.seed)
                             : target.prompts;
  endpoint.different_requests = prompts.size();
  JOULERY_ASSIGN(endpoint.protocol, remote::openai_protocol(options, prompts));
  remote::Answer answer = talk.try_request(*endpoint.protocol);
  // Older servers refuse an option that they don't know.
  if (answer.error_kind == "http_400" || answer.error_kind == "http_422") {
    options.include_usage = false;
    JOULERY_ASSIGN(auto without, remote::openai_protocol(options, prompts));
    const remote::Answer second = talk.try_request(*without);
    if (second.ok()) {
      endpoint.protocol = std::move(without);
      endpoint.warnings.push_back({"the server does not know stream_options.include_usage", ""});
      answer = second;
    }
  }
  JOULERY_CHECK_OK(check(talk, answer, kOpenAi));
  if (target.stream && answer.content_ns.empty() && answer.output_tokens.value_or(1) > 0) {
    endpoint.warnings.push_back(
        {"the server does not stream: there is no time to first token and none between tokens", ""});
  }
  if (!answer.output_tokens) {
    endpoint.warnings.push_back({"the server does not count tokens: pieces of the stream are counted instead",
                                 "a piece may hold several tokens"});
  }
  return endpoint;
}

Result<ConnectedEndpoint> connect_oip(EndpointTalk& talk, const std::string& model_path,
                                      const std::string& base) {
  const EndpointTarget& target = talk.target();
  const std::string what = fmt::format("{}{}", target.url.origin(), printable(base));
  JOULERY_ASSIGN(const http::Response health, talk.get(base + "/v2/health/ready"));
  if (health.head.status != kOk && health.head.status != kNotFound) {
    return std::unexpected(
        refused(talk, health.head.status, health.body, fmt::format("the server {} is not ready", what)));
  }
  JOULERY_ASSIGN(const http::Response metadata, talk.get(model_path));
  if (metadata.head.status != kOk) {
    return std::unexpected(refused(talk, metadata.head.status, metadata.body,
                                   fmt::format("the server has no metadata of {}", printable(model_path))));
  }
  const auto model = remote::parse_oip_model(metadata.body);
  if (!model)
    return std::unexpected(talk.no_such_server(kOip, talk.was(kJsonType) ? model.error().message : ""));
  JOULERY_ASSIGN(const http::Response ready, talk.get(model_path + "/ready"));
  if (ready.head.status != kOk && ready.head.status != kNotFound) {
    return std::unexpected(refused(talk, ready.head.status, ready.body,
                                   fmt::format("the model {} is not ready", printable(model->name))));
  }
  if (target.binary) {
    JOULERY_ASSIGN(const http::Response server, talk.get(base + "/v2"));
    if (remote::lists_oip_extension(server.body, "binary_tensor_data") == false) {
      return user_error(fmt::format("the server {} has no extension binary_tensor_data", what),
                        "leave --binary out");
    }
  }
  JOULERY_ASSIGN(const auto inputs, remote::complete_shapes(*model, target.shapes));
  ConnectedEndpoint endpoint;
  JOULERY_ASSIGN(endpoint.protocol, remote::oip_protocol({.model_path = model_path,
                                                          .model = model->name,
                                                          .binary = target.binary,
                                                          .headers = target.headers,
                                                          .seed = target.seed},
                                                         inputs));
  endpoint.different_requests = 8;
  JOULERY_CHECK_OK(check(talk, talk.try_request(*endpoint.protocol), kOip));
  return endpoint;
}

}  // namespace

Result<ConnectedEndpoint> connect_endpoint(http::EventLoop& loop, http::Client& client,
                                           const EndpointTarget& target) {
  std::string path = target.url.path();
  while (path.ends_with('/')) path.pop_back();
  const std::string query = target.url.target.substr(target.url.path().size());
  constexpr std::string_view kInfer = "/infer";
  constexpr std::string_view kModels = "/v2/models/";
  EndpointTalk talk(loop, client, target);
  Result<ConnectedEndpoint> endpoint = ConnectedEndpoint();
  if (const auto models = path.find(kModels); models != std::string::npos) {
    if (path.ends_with(kInfer)) path.resize(path.size() - kInfer.size());
    endpoint = connect_oip(talk, path, path.substr(0, models));
  } else {
    constexpr std::string_view kChat = "/chat/completions";
    constexpr std::string_view kCompletions = "/completions";
    remote::OpenAiOptions options;
    std::string base = path;
    if (path.ends_with(kChat)) {
      base.resize(base.size() - kChat.size());
    } else if (path.ends_with(kCompletions)) {
      base.resize(base.size() - kCompletions.size());
      options.endpoint = remote::OpenAiOptions::Endpoint::completions;
    } else if (path.empty() || path.ends_with("/v1")) {
      base = path.empty() ? "/v1" : path;
      path = base + std::string(kChat);
    } else {
      return user_error(fmt::format("'{}' is no address of a model", printable(target.url.origin() + path)),
                        kEndpointAddresses);
    }
    options.target = path + query;
    endpoint = connect_openai(talk, std::move(options), base);
  }
  if (endpoint) endpoint->address = target.url.origin() + path;
  return endpoint;
}

}  // namespace joulery::app
