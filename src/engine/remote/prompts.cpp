#include "engine/remote/prompts.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>

#include "base/text.hpp"
#include "stats/random_stream.hpp"

namespace joulery::engine::remote {
namespace {

using Json = nlohmann::json;

constexpr const char* kExample = R"(a line looks like {"prompt": "Tell a story.", "max_tokens": 100})";
constexpr std::uint64_t kMostTokens = 10'000'000;

constexpr std::array kWords{
    "time",   "year", "people", "way",   "day",    "man",   "thing",  "woman",  "life",   "child",  "world",
    "school", "hand", "part",   "place", "case",   "week",  "work",   "fact",   "group",  "number", "night",
    "point",  "home", "water",  "room",  "mother", "area",  "money",  "story",  "month",  "lot",    "right",
    "study",  "book", "eye",    "job",   "word",   "side",  "kind",   "head",   "house",  "friend", "hour",
    "game",   "line", "end",    "city",  "name",   "team",  "minute", "idea",   "body",   "back",   "face",
    "level",  "door", "person", "art",   "war",    "party", "result", "change", "morning"};

Result<Prompt> read_prompt(const Json& json) {
  Prompt prompt;
  if (!json.is_object()) return user_error("it is no object");
  const auto text = json.find("prompt");
  const auto messages = json.find("messages");
  if ((text == json.end()) == (messages == json.end())) {
    return user_error(R"(it needs "prompt" or "messages", and not both)");
  }
  if (text != json.end()) {
    if (!text->is_string()) return user_error(R"("prompt" is no text)");
    prompt.text = text->get<std::string>();
    if (prompt.text.empty()) return user_error(R"("prompt" is empty)");
  } else {
    const auto is_message = [](const Json& one) { return one.is_object() && one.contains("role"); };
    if (!messages->is_array() || messages->empty() || !std::ranges::all_of(*messages, is_message)) {
      return user_error(R"("messages" is no list of objects with a "role")");
    }
    prompt.messages_json = messages->dump();
  }
  for (const char* key : {"max_tokens", "max_completion_tokens"}) {
    const auto limit = json.find(key);
    if (limit == json.end() || limit->is_null()) continue;
    if (!limit->is_number_unsigned() || limit->get<std::uint64_t>() < 1 ||
        limit->get<std::uint64_t>() > kMostTokens) {
      return user_error(fmt::format("\"{}\" must be a whole number from 1 to {}", key, kMostTokens));
    }
    prompt.max_tokens = limit->get<std::uint64_t>();
  }
  return prompt;
}

}  // namespace

Result<std::vector<Prompt>> parse_prompts(std::string_view text, const std::string& name) {
  std::vector<Prompt> prompts;
  std::size_t number = 0;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const std::string_view line = trim(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    ++number;
    if (line.empty()) continue;
    // What is nested without end would be read by functions that call themselves.
    int depth = 0;
    const auto limited = [&](int /*level*/, Json::parse_event_t event, Json& /*value*/) {
      constexpr int kDeepest = 64;
      using enum Json::parse_event_t;
      if (event == object_start || event == array_start) ++depth;
      if (event == object_end || event == array_end) --depth;
      return depth < kDeepest;
    };
    const Json json = Json::parse(line, limited, false);
    auto prompt = json.is_discarded() ? Result<Prompt>(user_error("it is no JSON, or not in UTF-8"))
                                      : read_prompt(json);
    if (!prompt) {
      return user_error(fmt::format("{}, line {}: {}", printable(name), number, prompt.error().message),
                        kExample);
    }
    prompts.push_back(std::move(*prompt));
  }
  if (prompts.empty()) return user_error(fmt::format("{} holds no prompt", printable(name)), kExample);
  return prompts;
}

std::vector<Prompt> synthetic_prompts(std::size_t count, std::size_t words, std::uint64_t seed) {
  stats::RandomStream random(seed);
  std::vector<Prompt> prompts(count);
  for (std::size_t i = 0; i < count; ++i) {
    std::string& text = prompts[i].text;
    // From the first word on no prompt is like another: a cache of beginnings has nothing to offer.
    text = fmt::format("{}", i + 1);
    for (std::size_t word = 1; word < words; ++word) {
      text += ' ';
      text += kWords[random.below(kWords.size())];
    }
  }
  return prompts;
}

}  // namespace joulery::engine::remote
