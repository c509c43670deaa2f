#include "engine/plugin.hpp"

extern "C" __attribute__((visibility("default"))) const JouleryEngineApi* joulery_engine_v1(uint32_t) {
  static JouleryEngineApi api;
  api.struct_size = sizeof(api);
  api.abi_version = 99;
  return &api;
}
