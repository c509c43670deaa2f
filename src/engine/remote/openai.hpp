#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "engine/remote/prompts.hpp"
#include "engine/remote/protocol.hpp"

namespace joulery::engine::remote {

struct OpenAiOptions {
  enum class Endpoint { chat, completions } endpoint = Endpoint::chat;
  /// Path and query that requests go to.
  std::string target = "/v1/chat/completions";
  std::string model;
  bool stream = true;
  /// Ask for a last event with the server's count of tokens; servers that know no such option refuse it.
  bool include_usage = true;
  /// For servers that know it (vLLM, llama.cpp): go on to max_tokens.
  bool ignore_eos = false;
  std::uint64_t max_tokens = 128;
  http::Headers headers = {};
};

/// User error for prompts that the endpoint can't take: messages for completions.
Result<std::unique_ptr<Protocol>> openai_protocol(const OpenAiOptions& options,
                                                  const std::vector<Prompt>& prompts);

/// Names in the answer of GET /v1/models, in its order. Environment error if it is none.
Result<std::vector<std::string>> parse_model_list(std::string_view body);

}  // namespace joulery::engine::remote
