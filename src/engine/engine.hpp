#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "data/tensor.hpp"
#include "engine/measure.hpp"

namespace joulery::engine {

/// What the float parts of a model are computed in. `f32` is the reference. Parts that the model itself holds
/// as int8 run as int8 in every case; `i8_as_in_model` says that this is what is wanted, with f32 for the
/// rest.
enum class Precision { f32, bf16, f16, i8_as_in_model };
/// How far the engine rewrites the graph, where it lets one choose.
enum class Optimisation { none, basic, extended, all };

const char* precision_name(Precision precision);
std::optional<Precision> parse_precision(std::string_view name);
const char* optimisation_name(Optimisation optimisation);
std::optional<Optimisation> parse_optimisation(std::string_view name);

/// The shape that an input is to have, such as of `--shape x:1,3,224,224`.
struct ShapeOverride {
  std::string input;
  data::Shape shape;
};

struct SessionOptions {
  Precision precision = Precision::f32;
  /// 0: the engine chooses.
  int threads = 0;
  /// Calls that the engine may work on at a time, where it has such a notion. 0: the engine chooses.
  int streams = 1;
  /// The first dimension of every input that leaves it open; 0: as the model says.
  std::int64_t batch = 0;
  /// Beat `batch`. A single-input model's override may leave the name out.
  std::vector<ShapeOverride> shapes = {};
  bool pin_threads = false;
  /// Threads that burn CPU time while they wait for the next call: a lower latency, for up to 100 times the
  /// CPU time at low load.
  bool spin = false;
  /// Numbers below 1.2e-38 count as zero. Without this, inputs made of such numbers slow some models down 50
  /// times.
  bool flush_denormals = true;
  Optimisation optimisation = Optimisation::all;
  /// Operators are timed, for operator_times(): every call then costs more, and some hundred bytes for each
  /// operator. Some thousand calls are enough; ONNX Runtime stops after a million operators.
  bool profile = false;
  /// An absolute path, where an engine that tells of its operators only in a file may write one for a while.
  /// It stays there if nobody asks for the times.
  std::string profile_folder = {};
};

/// How well it is known that an option is in effect.
enum class Known {
  /// The engine was asked and said so.
  read_back,
  /// It was asked for and the engine did not refuse; it can't be asked.
  requested,
  /// The engine has no such choice.
  unsupported,
};
const char* known_name(Known known);

/// An option of a session as it really is, for the record.
struct EffectiveOption {
  std::string name;  // of SessionOptions' member
  std::string value;
  Known known = Known::requested;
};

/// An input or output of a model.
struct Port {
  std::string name;
  data::DataType type = data::DataType::unknown;
  data::Shape shape;
};

/// A model that the caller has checked: a file, which may have more files beside it, or bytes. The bytes must
/// stay until load() has returned.
struct ModelSource {
  std::string path = {};
  std::span<const std::byte> bytes = {};
  /// What the model calls its inputs (without those that have values of their own) and outputs, in its order,
  /// by who has read it: engines merge operators away and then may know one by an inner name. Empty: as the
  /// engine says.
  std::vector<std::string> input_names = {};
  std::vector<std::string> output_names = {};
};

/// What one operator of the engine's graph, which is not quite the model's, took in all profiled calls.
struct OperatorTime {
  /// As the engine names it: mostly after a node of the model that it came from.
  std::string node;
  std::string op_type;
  /// What computed it, in the engine's words ("brgemm_avx512_amx_I8"); empty if it does not say.
  std::string kernel;
  /// What it computed in ("i8", "bf16", "f32", "packed" for weights of a few bits with floats); empty if that
  /// does not show.
  std::string precision;
  std::uint64_t calls = 0;
  /// Wall time, in steps of a microsecond a call.
  double seconds = 0;
};

/// A model ready to run. Not thread-safe; must not outlive its engine.
class Session {
 public:
  virtual ~Session() = default;
  /// In the model's order. Dimensions that are still unknown are given by what is bound.
  virtual std::span<const Port> inputs() const = 0;
  virtual std::span<const Port> outputs() const = 0;
  virtual std::span<const EffectiveOption> effective_options() const = 0;

  /// Every run reads an input from, and writes an output to, the memory bound here. It must stay valid, and
  /// its shape be known. Inputs must be bound before the first run; an output that is not bound is kept by
  /// the engine, which then may allocate. User error if type or shape does not fit; for an output whose shape
  /// each run decides, of the run that gives another.
  virtual Status bind_input(std::size_t index, const data::TensorView& tensor) = 0;
  virtual Status bind_output(std::size_t index, const data::TensorView& tensor) = 0;
  /// One inference. Nothing of ours is allocated after the first.
  virtual Status run() = 0;
  /// What the last run gave, whether bound or not; valid until the next run. Nothing after one that failed.
  virtual Result<data::TensorView> output(std::size_t index) = 0;

  /// Runs and times many inferences where the engine is, so that a contained one is timed as well as one in
  /// this process. There is no output afterwards.
  virtual Result<BlockResult> run_block(const BlockPlan& plan) { return engine::run_block(*this, plan); }
  /// Of the process that runs the engine.
  virtual Result<ProcessUsage> usage() { return own_usage(); }

  /// Another session on the same compiled model, with bindings of its own: weights are there once. Sessions
  /// of one family may be used by a thread each at the same time, and end in any order; fork() itself must
  /// not meet a call of another. As many calls run at once as `streams` allows, where an engine has these.
  /// Environment error where that is not possible, as in a contained session.
  virtual Result<std::unique_ptr<Session>> fork();
  /// What the operators took since the session was loaded, those of forked sessions included where the engine
  /// counts them together. Ends the profile: later calls are not in it. User error if none was asked for,
  /// environment error where there is none.
  virtual Result<std::vector<OperatorTime>> operator_times();
};

struct Device {
  std::string name;  // "CPU"
  std::string description;
};

struct EngineInfo {
  std::string name;     // "onnxruntime"
  std::string version;  // the library's own: "1.31.1"
  std::string library;
  std::vector<Device> devices;
  /// Names of precisions that the engine says it has here.
  std::vector<std::string> precisions;
};

/// An engine's library, opened. Not thread-safe.
class Engine {
 public:
  virtual ~Engine() = default;
  virtual const EngineInfo& info() const = 0;
  /// User error for a model that is broken or lacks shapes, environment error for one that this engine can't
  /// run.
  virtual Result<std::unique_ptr<Session>> load(const ModelSource& model, const SessionOptions& options) = 0;
};

/// Where an engine's library is and which plug-in drives it.
struct EngineLocation {
  std::string name;     // "onnxruntime": the plug-in is libjoulery_<name>.so
  std::string library;  // absolute
  /// The folder of our plug-ins.
  std::string plugin_directory;
};

/// Opens the engine in this process: no call has any overhead, and nothing protects against a library that
/// crashes or hangs (see contained.hpp). What the library prints while it is opened or loads a model does not
/// reach the terminal.
Result<std::unique_ptr<Engine>> open_engine(const EngineLocation& location);

}  // namespace joulery::engine
