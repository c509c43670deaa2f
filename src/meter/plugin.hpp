#pragma once

#include <stdint.h>

/// The C interface between libjoulery_core.so and its plug-ins, which lie beside it and are found by name
/// only. A plug-in exports JOULERY_PLUGIN_ENTRY. Structs only grow at their end; each says its size, and who
/// reads it touches no field past that. A change of what is there raises the version.
#define JOULERY_PLUGIN_ABI_VERSION 1
#define JOULERY_PLUGIN_ENTRY "joulery_plugin_v1"

extern "C" {

struct JouleryHost {
  uint32_t abi_version;
  uint32_t struct_size;
};

/// Asks systemd for a transient scope around one process.
struct JouleryScopeRequest {
  uint32_t struct_size;
  int32_t pid;
  /// 1: the user's bus, 0: the system's.
  int32_t user_bus;
  uint32_t timeout_milliseconds;
  /// D-Bus address instead of the bus's own; null: the bus's own.
  const char* address;
  /// "joulery-….scope"
  const char* unit_name;
  const char* description;
  /// Null: systemd's default.
  const char* slice;
};

struct JouleryScopeReply {
  uint32_t struct_size;
  /// The unit's ControlGroup, from the hierarchy's root. All texts end in NUL.
  char control_group[1024];
  /// Why it failed, and what helps.
  char message[512];
  char hint[256];
};

/// Functions return 0, or -errno with `message` filled. They throw nothing, print nothing and keep no
/// pointer.
struct JouleryScopeApi {
  uint32_t struct_size;
  /// Is systemd there to be asked? Uses bus, address and timeout only.
  int (*probe)(const JouleryScopeRequest* request, JouleryScopeReply* reply);
  /// Starts the scope and waits until its process is in it.
  int (*start)(const JouleryScopeRequest* request, JouleryScopeReply* reply);
};

struct JouleryPlugin {
  uint32_t abi_version;
  uint32_t struct_size;
  const char* name;
  /// Null if the plug-in does something else.
  const JouleryScopeApi* scope;
};

/// Fills `plugin`, whose abi_version and struct_size are the host's on entry and the plug-in's on return. 0,
/// or -errno if it can't work with this host.
using JouleryPluginEntry = int(const JouleryHost* host, JouleryPlugin* plugin);
}
