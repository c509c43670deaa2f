#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "app/endpoint_server.hpp"

namespace joulery::app {

/// What an address of a model looks like, for hints.
constexpr const char* kEndpointAddresses =
    "the address of a model is http://HOST:PORT/v1/chat/completions, …/v1/completions or "
    "…/v2/models/NAME[/versions/VERSION]";

/// The first questions to a server. Remembers what was asked, so that an error can say it.
class EndpointTalk {
 public:
  EndpointTalk(http::EventLoop& loop, http::Client& client, const EndpointTarget& target)
      : loop_(loop), client_(client), target_(target) {}

  const EndpointTarget& target() const { return target_; }

  /// Any status is an answer.
  Result<http::Response> get(const std::string& path);
  /// Sends one request, as the load will.
  engine::remote::Answer try_request(const engine::remote::Protocol& protocol);

  /// Is the last answer of this type, whatever its parameters are?
  bool was(std::string_view content_type) const { return content_type_ == content_type; }
  /// What was asked, and which addresses there are.
  std::string hint() const;
  /// The last answer is none of such a server ("OpenAI-compatible server").
  Error no_such_server(std::string_view kind, const std::string& why) const;

 private:
  void note(const char* method, std::string_view path);

  http::EventLoop& loop_;
  http::Client& client_;
  const EndpointTarget& target_;
  /// "GET http://localhost:8000/v1/models"
  std::vector<std::string> asked_;
  /// Of the last answer, in small letters and without parameters; empty if it named none.
  std::string content_type_;
};

}  // namespace joulery::app
