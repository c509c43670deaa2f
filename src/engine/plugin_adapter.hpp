#pragma once

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "data/tensor.hpp"
#include "engine/engine.hpp"
#include "engine/plugin.hpp"
#include "engine/plugin_error.hpp"

namespace joulery::engine {

/// What a plug-in gives to the program, of its two classes. `Library` has open(path, error); `Model` has
/// load(library, model, options, error), prepare(), port(), effective(), bind(), run(), result(),
/// fork(error) and operator_times(times, error).
template <class Library, class Model, void (*kDescribe)(const Library&, JouleryFactSink*, void*)>
class PluginAdapter {
 public:
  static constexpr JouleryEngineApi api(const char* name) {
    return {.struct_size = sizeof(JouleryEngineApi),
            .abi_version = JOULERY_ENGINE_ABI_VERSION,
            .name = name,
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
            .fork_session = &fork_session,
            .operator_times = &operator_times};
  }

 private:
  static Model& model(void* session) { return *static_cast<Model*>(session); }

  static int open(const char* path, void** engine, JouleryEngineError* error) {
    *engine = Library::open(path, error);
    return *engine == nullptr ? -1 : 0;
  }
  static void close(void* engine) { delete static_cast<Library*>(engine); }
  static void describe(void* engine, JouleryFactSink* sink, void* context) {
    kDescribe(*static_cast<Library*>(engine), sink, context);
  }
  static int load(void* engine, const JouleryModel* source, const JoulerySessionOptions* options,
                  void** session, JouleryEngineError* error) {
    *session = Model::load(*static_cast<Library*>(engine), *source, *options, error).release();
    return *session == nullptr ? -1 : 0;
  }
  static int prepare(void* session, const JouleryPort* inputs, std::uint32_t count,
                     JouleryEngineError* error) {
    return model(session).prepare(inputs, count, error);
  }
  static int port(void* session, std::int32_t is_output, std::uint32_t index, JouleryPort* port) {
    const std::vector<Port>& ports = is_output != 0 ? model(session).outputs() : model(session).inputs();
    if (index >= ports.size()) return 0;
    port->type = static_cast<std::int32_t>(ports[index].type);
    port->rank = static_cast<std::uint32_t>(ports[index].shape.rank());
    std::ranges::copy(ports[index].shape.dimensions(), port->dimensions);
    port->name = ports[index].name.c_str();
    return 1;
  }
  static void effective(void* session, JouleryFactSink* sink, void* context) {
    model(session).effective(sink, context);
  }
  static int bind(void* session, std::int32_t is_output, std::uint32_t index, const JouleryTensor* tensor,
                  JouleryEngineError* error) {
    return model(session).bind(is_output != 0, index, *tensor, error);
  }
  static int run(void* session, JouleryEngineError* error) { return model(session).run(error); }
  static int result(void* session, std::uint32_t index, JouleryTensor* tensor, JouleryEngineError* error) {
    return model(session).result(index, *tensor, error);
  }
  static void unload(void* session) { delete static_cast<Model*>(session); }
  static int fork_session(void* session, void** sibling, JouleryEngineError* error) {
    *sibling = model(session).fork(error).release();
    return *sibling == nullptr ? -1 : 0;
  }
  static int operator_times(void* session, JouleryOperatorSink* sink, void* context,
                            JouleryEngineError* error) {
    std::vector<OperatorTime> times;
    if (model(session).operator_times(times, error) != 0) return -1;
    for (const OperatorTime& time : times) {
      const JouleryOperatorTime given{.struct_size = sizeof(JouleryOperatorTime),
                                      .node = time.node.c_str(),
                                      .op_type = time.op_type.c_str(),
                                      .kernel = time.kernel.c_str(),
                                      .precision = time.precision.c_str(),
                                      .calls = time.calls,
                                      .seconds = time.seconds};
      sink(context, &given);
    }
    return 0;
  }
};

/// Tells a session's options as they are in effect.
class OptionTeller {
 public:
  OptionTeller(JouleryFactSink* sink, void* context) : sink_(sink), context_(context) {}
  void operator()(const char* name, const std::string& value, Known known) const {
    sink_(context_, name, value.c_str(), static_cast<std::int32_t>(known));
  }
  static std::string yes_no(bool value) { return value ? "true" : "false"; }
  static std::string number(std::int32_t value) {
    return value > 0 ? std::to_string(value) : "engine's choice";
  }

 private:
  JouleryFactSink* sink_;
  void* context_;
};

/// Opens an engine's library, which the program has checked. Null, with `error` filled, on failure; `package`
/// is what pip calls it.
inline void* open_engine_library(const char* path, const char* package, JouleryEngineError* error) {
  void* handle = ::dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (handle != nullptr) return handle;
  const char* reason = ::dlerror();
  fail(error, Blame::environment,
       fmt::format("can't load '{}': {}", path, reason == nullptr ? "unknown reason" : reason),
       fmt::format("install it anew: pip install --force-reinstall {}", package));
  return nullptr;
}

/// An engine's own element types, at the places of ours; the first stands for those that we do not have.
template <class Type>
using ElementTypes = std::array<Type, data::kDataTypes>;

template <class Type>
data::DataType data_type_of(const ElementTypes<Type>& types, Type type) {
  const auto* const found = std::find(types.begin() + 1, types.end(), type);
  return found == types.end() ? data::DataType::unknown
                              : static_cast<data::DataType>(std::distance(types.begin(), found));
}

template <class Type>
Type element_type_of(const ElementTypes<Type>& types, data::DataType type) {
  const auto index = static_cast<std::size_t>(type);
  return types[index < types.size() ? index : 0];
}

}  // namespace joulery::engine
