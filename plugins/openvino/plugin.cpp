#include "engine/plugin.hpp"

#include "engine/plugin_error.hpp"
#include "openvino_session.hpp"

namespace joulery::engine::openvino {
namespace {

int open(const char* path, void** engine, JouleryEngineError* error) {
  *engine = Library::open(path, error);
  return *engine == nullptr ? -1 : 0;
}

void close(void* engine) {
  delete static_cast<Library*>(engine);
}

void describe(void* engine, JouleryFactSink* sink, void* context) {
  constexpr auto kKnown = static_cast<std::int32_t>(Known::read_back);
  const Library& library = *static_cast<Library*>(engine);
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

int load(void* engine, const JouleryModel* model, const JoulerySessionOptions* options, void** session,
         JouleryEngineError* error) {
  *session = LoadedModel::load(*static_cast<Library*>(engine), *model, *options, error).release();
  return *session == nullptr ? -1 : 0;
}

int prepare(void* session, const JouleryPort* inputs, std::uint32_t count, JouleryEngineError* error) {
  return static_cast<LoadedModel*>(session)->prepare(inputs, count, error);
}

int port(void* session, std::int32_t is_output, std::uint32_t index, JouleryPort* port) {
  return static_cast<LoadedModel*>(session)->port(is_output != 0, index, *port) ? 1 : 0;
}

void effective(void* session, JouleryFactSink* sink, void* context) {
  static_cast<LoadedModel*>(session)->effective(sink, context);
}

int bind(void* session, std::int32_t is_output, std::uint32_t index, const JouleryTensor* tensor,
         JouleryEngineError* error) {
  return static_cast<LoadedModel*>(session)->bind(is_output != 0, index, *tensor, error);
}

int run(void* session, JouleryEngineError* error) {
  return static_cast<LoadedModel*>(session)->run(error);
}

int result(void* session, std::uint32_t index, JouleryTensor* tensor, JouleryEngineError* error) {
  return static_cast<LoadedModel*>(session)->result(index, *tensor, error);
}

void unload(void* session) {
  delete static_cast<LoadedModel*>(session);
}

constexpr JouleryEngineApi kApi{
    .struct_size = sizeof(JouleryEngineApi),
    .abi_version = JOULERY_ENGINE_ABI_VERSION,
    .name = "openvino",
    .open = &open,
    .close = &close,
    .describe = &describe,
    .load = &load,
    .prepare = &prepare,
    .port = &port,
    .effective = &effective,
    .bind = &bind,
    .run = &run,
    .result = &result,
    .unload = &unload,
};

}  // namespace
}  // namespace joulery::engine::openvino

extern "C" __attribute__((visibility("default"))) const JouleryEngineApi* joulery_engine_v1(
    std::uint32_t host_abi_version) {
  return host_abi_version == JOULERY_ENGINE_ABI_VERSION ? &joulery::engine::openvino::kApi : nullptr;
}
