#include "meter/plugin.hpp"

extern "C" __attribute__((visibility("default"))) int joulery_plugin_v1(const JouleryHost*,
                                                                        JouleryPlugin* plugin) {
  plugin->abi_version = 99;
  return 0;
}
