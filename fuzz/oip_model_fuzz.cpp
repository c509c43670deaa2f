#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "engine/remote/oip.hpp"
#include "engine/remote/oip_values.hpp"

/// Metadata, and a request for it where it is small.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace joulery::engine::remote;
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  static_cast<void>(parse_oip_shape(text));
  const auto model = parse_oip_model(text);
  if (!model) return 0;
  const auto inputs = complete_shapes(*model, {});
  if (!inputs) return 0;
  std::int64_t elements = 1;
  for (const OipTensor& input : *inputs) {
    for (const std::int64_t one : input.shape) {
      if (one < 0) std::abort();
      elements = one > 1000 ? 1'000'000 : elements * std::max<std::int64_t>(one, 1);
      if (elements > 10'000) return 0;
    }
  }
  for (const bool binary : {false, true}) {
    if (make_oip_request(*inputs, binary, 1).body.empty()) std::abort();
  }
  return 0;
}
