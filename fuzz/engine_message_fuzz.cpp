// What a worker process that was taken over could send: whatever it is, it must be refused or make sense.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "engine/message.hpp"

namespace {

using namespace joulery;

void check_block(std::string_view text) {
  constexpr std::uint64_t kMostCalls = 1000;
  engine::BlockResult block;
  if (!engine::decode(text, kMostCalls, block)) return;
  if (block.calls == 0 || block.calls > kMostCalls || block.calls != block.latencies_ns.size()) std::abort();
  if (block.slices.empty()) return;
  if (block.speeds.size() != block.slices.size() + 1) std::abort();
  std::uint64_t calls = 0;
  for (const engine::Slice& slice : block.slices) calls += slice.calls;
  if (calls != block.calls) std::abort();
  for (const engine::CoreSpeed& speed : block.speeds) {
    if (!(speed.hertz > 0 && speed.work_cycles > 0)) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
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
  switch (bytes[0] % 10) {
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
    case 5:
      engine::decode(text, error);
      break;
    case 6:
      check_block(text);
      break;
    case 7: {
      engine::BlockPlan plan;
      engine::decode(text, plan);
      break;
    }
    case 8: {
      engine::ProcessUsage usage;
      if (engine::decode(text, usage) && !(usage.cpu_seconds >= 0)) std::abort();
      break;
    }
    default: {
      std::vector<engine::OperatorTime> times;
      if (engine::decode(text, times) && times.size() > engine::kMostOperatorTimes) std::abort();
      break;
    }
  }
  return 0;
}
