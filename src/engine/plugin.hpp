#pragma once

#include <stdint.h>

/// The C interface between this program and a plug-in that drives one inference engine. A plug-in lies beside
/// libjoulery_core.so as libjoulery_<engine>.so, opens the engine's own library at run time by the path that
/// it is given, and exports JOULERY_ENGINE_ENTRY. Functions throw nothing, print nothing and keep no pointer
/// of the caller's but the memory of tensors that are bound. Not thread-safe. Structs only grow at their end;
/// a change of what is there raises the version.
#define JOULERY_ENGINE_ABI_VERSION 1
#define JOULERY_ENGINE_ENTRY "joulery_engine_v1"

extern "C" {

/// Why a call failed. Texts end in NUL. `kind`: 0 the user's input, 1 the environment, 2 internal.
struct JouleryEngineError {
  uint32_t struct_size;
  int32_t kind;
  char message[1536];
  char hint[512];
};

/// An input or output. `type` is data::DataType; an unknown dimension is -1. The name is valid until the next
/// call.
struct JouleryPort {
  uint32_t struct_size;
  int32_t type;
  uint32_t rank;
  int64_t dimensions[12];
  const char* name;
};

struct JouleryTensor {
  uint32_t struct_size;
  int32_t type;
  uint32_t rank;
  int64_t dimensions[12];
  void* data;
  uint64_t bytes;
};

/// A file or bytes, not both.
struct JouleryModel {
  uint32_t struct_size;
  const char* path;
  const void* bytes;
  uint64_t size;
};

/// engine::SessionOptions, in its order; 0 threads or streams leave the choice to the engine.
struct JoulerySessionOptions {
  uint32_t struct_size;
  int32_t precision;
  int32_t threads;
  int32_t streams;
  int32_t optimisation;
  int32_t pin_threads;
  int32_t spin;
  int32_t flush_denormals;
  /// Null: no profile.
  const char* profile_folder;
};

/// engine::OperatorTime. Texts are valid during the call that gives them.
struct JouleryOperatorTime {
  uint32_t struct_size;
  const char* node;
  const char* op_type;
  const char* kernel;
  const char* precision;
  uint64_t calls;
  double seconds;
};

using JouleryOperatorSink = void(void* context, const JouleryOperatorTime* operator_time);

/// Takes one fact. `known` is engine::Known.
using JouleryFactSink = void(void* context, const char* key, const char* value, int32_t known);

/// Functions that can fail return 0, or -1 with `error` filled.
struct JouleryEngineApi {
  uint32_t struct_size;
  uint32_t abi_version;
  /// "onnxruntime"
  const char* name;
  int (*open)(const char* library, void** engine, JouleryEngineError* error);
  void (*close)(void* engine);
  /// Keys: "version"; "device", once each, as "CPU"; "device.CPU", its description; "precision", once each.
  void (*describe)(void* engine, JouleryFactSink* sink, void* context);
  /// Reads the model. Its inputs and outputs can be asked for afterwards.
  int (*load)(void* engine, const JouleryModel* model, const JoulerySessionOptions* options, void** session,
              JouleryEngineError* error);
  /// Makes it ready to run with inputs of these shapes, in the model's order, which may still have unknown
  /// dimensions.
  int (*prepare)(void* session, const JouleryPort* inputs, uint32_t count, JouleryEngineError* error);
  /// 0 if there is no such input (output: `is_output`).
  int (*port)(void* session, int32_t is_output, uint32_t index, JouleryPort* port);
  /// What is in effect, by the names of SessionOptions' members.
  void (*effective)(void* session, JouleryFactSink* sink, void* context);
  /// The memory is read, or written to, by every run until another is bound; it must stay valid.
  int (*bind)(void* session, int32_t is_output, uint32_t index, const JouleryTensor* tensor,
              JouleryEngineError* error);
  int (*run)(void* session, JouleryEngineError* error);
  /// What the last run gave; valid until the next.
  int (*result)(void* session, uint32_t index, JouleryTensor* tensor, JouleryEngineError* error);
  void (*unload)(void* session);
  /// Another session on the same compiled model, ready to run, nothing bound. Each may be used by a thread of
  /// its own; they are unloaded in any order.
  int (*fork_session)(void* session, void** sibling, JouleryEngineError* error);
  /// Ends the profile and gives what is in it.
  int (*operator_times)(void* session, JouleryOperatorSink* sink, void* context, JouleryEngineError* error);
};

/// The plug-in's functions; null if it can't work with this host's version.
using JouleryEngineEntry = const JouleryEngineApi*(uint32_t host_abi_version);
}
