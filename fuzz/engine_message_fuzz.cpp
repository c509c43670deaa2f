// What a worker process that was taken over could send: whatever it is, it must be refused or make sense.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "engine/message.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace joulery;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  constexpr std::uint64_t kShared = 1 << 20;
  engine::LoadedFacts facts;
  engine::EngineInfo info;
  engine::EngineLocation location;
  engine::SessionOptions options;
  engine::ModelSource model;
  std::vector<engine::SharedTensor> tensors;
  Error error;
  switch (bytes[0] % 6) {
    case 0:
      // What was read must be written back as it was read.
      if (engine::decode(text, facts)) {
        engine::LoadedFacts again;
        if (!engine::decode(engine::encode(facts), again) || again.inputs.size() != facts.inputs.size())
          std::abort();
      }
      break;
    case 1:
      engine::decode(text, info);
      break;
    case 2:
      engine::decode(text, location);
      break;
    case 3:
      engine::decode(text, options, model);
      break;
    case 4:
      if (!engine::decode(text, kShared, tensors)) break;
      for (const engine::SharedTensor& tensor : tensors) {
        if (tensor.offset > kShared || tensor.bytes > kShared - tensor.offset) std::abort();
        if (data::byte_width(tensor.type) == 0 || !tensor.shape.is_known()) std::abort();
      }
      break;
    default:
      engine::decode(text, error);
      break;
  }
  return 0;
}
