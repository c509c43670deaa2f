// A release of ONNX Runtime from before everything that joulery uses.
#include <cstdint>

struct OrtApi;
struct OrtApiBase {
  const OrtApi* (*get_api)(std::uint32_t version) noexcept;
  const char* (*version)() noexcept;
};

extern "C" __attribute__((visibility("default"))) const OrtApiBase* OrtGetApiBase() {
  static const OrtApiBase kBase{[](std::uint32_t) noexcept -> const OrtApi* { return nullptr; },
                                []() noexcept { return "1.8.2"; }};
  return &kBase;
}
