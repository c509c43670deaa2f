#include "engine/plugin.hpp"

#include "engine/plugin_adapter.hpp"
#include "openvino_session.hpp"

namespace joulery::engine::openvino {
namespace {

void describe(const Library& library, JouleryFactSink* sink, void* context) {
  constexpr auto kKnown = static_cast<std::int32_t>(Known::read_back);
  sink(context, "version", library.version().c_str(), kKnown);
  for (const std::string& device : library.devices()) {
    sink(context, "device", device.c_str(), kKnown);
    sink(context, ("device." + device).c_str(), library.property(device.c_str(), "FULL_DEVICE_NAME").c_str(),
         kKnown);
  }
  const std::string capabilities = library.property("CPU", "OPTIMIZATION_CAPABILITIES");
  for (const auto& [capability, name] :
       {std::pair{"FP32", "f32"}, {"BF16", "bf16"}, {"FP16", "f16"}, {"INT8", "i8"}}) {
    const auto at = (" " + capabilities + " ").find(fmt::format(" {} ", capability));
    if (at != std::string::npos) sink(context, "precision", name, kKnown);
  }
}

constexpr JouleryEngineApi kApi = PluginAdapter<Library, LoadedModel, &describe>::api("openvino");

}  // namespace
}  // namespace joulery::engine::openvino

extern "C" __attribute__((visibility("default"))) const JouleryEngineApi* joulery_engine_v1(
    std::uint32_t host_abi_version) {
  return host_abi_version == JOULERY_ENGINE_ABI_VERSION ? &joulery::engine::openvino::kApi : nullptr;
}
