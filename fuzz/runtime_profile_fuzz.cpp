// The profile that ONNX Runtime writes, with names that a model from anywhere has chosen.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "engine/runtime_profile.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto times = joulery::engine::parse_runtime_profile({reinterpret_cast<const char*>(data), size});
  if (!times) return 0;
  for (const auto& time : *times) {
    if (time.calls == 0 || !(time.seconds >= 0)) std::abort();
  }
  return 0;
}
