#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "engine/remote/oip.hpp"
#include "engine/remote/openai.hpp"
#include "engine/remote/protocol.hpp"
#include "http/client.hpp"
#include "meter/session.hpp"

namespace joulery::app {

/// What is asked of an endpoint.
struct EndpointTarget {
  http::Url url;
  /// Empty: the server is asked which it has.
  std::string model;
  /// Empty: made-up ones.
  std::vector<engine::remote::Prompt> prompts;
  std::size_t prompt_tokens = 128;
  std::uint64_t max_tokens = 128;
  bool stream = true;
  bool ignore_eos = false;
  /// Of the Open Inference Protocol.
  std::vector<engine::remote::OipShape> shapes;
  bool binary = false;
  http::Headers headers;
  std::uint64_t seed = 1;
};

/// A server that was asked once and answered well.
struct ConnectedEndpoint {
  std::unique_ptr<engine::remote::Protocol> protocol;
  /// The address that requests go to, without its query.
  std::string address;
  /// Different prompts or inputs; more requests begin again with the first.
  std::size_t different_requests = 0;
  std::vector<meter::Warning> warnings;
};

/// Finds out what is spoken at the address and which model is there, and sends one request that does not
/// count. Errors say what to change: a path that is of neither protocol, no such model, a key that is
/// missing.
Result<ConnectedEndpoint> connect_endpoint(http::EventLoop& loop, http::Client& client,
                                           const EndpointTarget& target);

}  // namespace joulery::app
