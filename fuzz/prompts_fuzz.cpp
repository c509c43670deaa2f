#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "engine/remote/openai.hpp"
#include "engine/remote/prompts.hpp"

/// What is taken as prompts can be asked.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace joulery::engine::remote;
  const auto prompts = parse_prompts({reinterpret_cast<const char*>(bytes), size}, "prompts.jsonl");
  if (prompts && !openai_protocol({}, *prompts)) std::abort();
  return 0;
}
