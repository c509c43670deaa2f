#include "engine/plugin.hpp"

#include "engine/plugin_adapter.hpp"
#include "onnxruntime_session.hpp"

namespace joulery::engine::onnxruntime {
namespace {

void describe(const Library& library, JouleryFactSink* sink, void* context) {
  constexpr auto kKnown = static_cast<std::int32_t>(Known::read_back);
  sink(context, "version", library.version().c_str(), kKnown);
  sink(context, "device", "CPU", kKnown);
  sink(context, "device.CPU", "CPU execution provider", kKnown);
  // It runs each operator in the types that the model gives it.
  sink(context, "precision", "f32", kKnown);
  sink(context, "precision", "i8", kKnown);
}

constexpr JouleryEngineApi kApi = PluginAdapter<Library, LoadedModel, &describe>::api("onnxruntime");

}  // namespace
}  // namespace joulery::engine::onnxruntime

extern "C" __attribute__((visibility("default"))) const JouleryEngineApi* joulery_engine_v1(
    std::uint32_t host_abi_version) {
  return host_abi_version == JOULERY_ENGINE_ABI_VERSION ? &joulery::engine::onnxruntime::kApi : nullptr;
}
