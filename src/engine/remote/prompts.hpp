#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace joulery::engine::remote {

/// What a language model is asked.
struct Prompt {
  /// One of both: a text, or the JSON of a list of messages.
  std::string text;
  std::string messages_json;
  /// Instead of the one for all.
  std::optional<std::uint64_t> max_tokens;
};

/// JSONL: an object a line with "prompt" (a text) or "messages" (a list of objects with "role"), and
/// optionally "max_tokens" (or "max_completion_tokens"). Other keys are passed over. User error that names
/// the line.
Result<std::vector<Prompt>> parse_prompts(std::string_view text, const std::string& name);

/// Prompts of so many common English words each, no two alike, the same for the same seed. A word is about
/// one token; what the server counted is what is reported.
std::vector<Prompt> synthetic_prompts(std::size_t count, std::size_t words, std::uint64_t seed);

}  // namespace joulery::engine::remote
