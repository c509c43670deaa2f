#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/quantity.hpp"
#include "base/result.hpp"
#include "engine/engine.hpp"
#include "evaluate/disturbance.hpp"
#include "evaluate/grouped_mean.hpp"
#include "evaluate/inference_energy.hpp"
#include "meter/window_meter.hpp"

namespace joulery::evaluate {

/// How calls come in.
enum class Arrivals {
  /// Each when the one before has ended.
  closed_loop,
  /// At random, as from many people who do not know of each other: exponential gaps.
  poisson,
  /// At the times of a trace.
  trace,
};
const char* arrivals_name(Arrivals arrivals);

/// How long and how often is measured.
struct Protocol {
  /// Of wall time, for all that is measured together; what is begun is ended.
  double budget_seconds = 60;
  /// It ends early once half of the interval of CPU-seconds per inference is no wider than this part of it.
  double target_half_width = 0.02;
  double level = 0.95;
  std::size_t least_blocks = 60;
  /// The blocks are spread over so many processes at least.
  std::size_t least_processes = 10;
  double block_seconds = 0.05;
  Arrivals arrivals = Arrivals::closed_loop;
  /// Calls a second, of `poisson`.
  double rate_hz = 0;
  /// Of `trace`: after its start, ascending. Replayed from its start by every block.
  std::vector<std::int64_t> trace_ns = {};
  std::uint64_t seed = 1;
};

/// Something to measure: a model in an engine with its options.
struct Subject {
  std::string label;
  /// In a process of its own.
  std::function<Result<std::unique_ptr<engine::Session>>()> load;
  /// Gives it inputs: other ones for every number, and those of a number are the same for both subjects.
  std::function<Status(engine::Session&, std::uint64_t block)> bind;
  /// Inferences of one call.
  std::int64_t batch = 1;
  /// False if other threads of its own are busy beside the calling one between calls (several streams, or
  /// waiting ones that spin): what a look at the core would show is then itself.
  bool quiet_between_calls = true;
};

/// From nothing to the first answer, once for each process.
struct ColdStart {
  double wall_seconds = 0;
  double cpu_seconds = 0;
  /// Of the first call alone.
  double first_call_seconds = 0;
};

/// What went on around the blocks.
struct Surroundings {
  /// CPU time that the hypervisor gave to others, and that other programs used, while it was measured.
  double steal_seconds = 0;
  double other_busy_seconds = 0;
  double wall_seconds = 0;
  int cpus = 0;
  /// The highest clock frequency of any CPU at the end of each process: its lowest and highest value. CPUs
  /// with nothing to do are slow whenever one looks. 0 where it is not told.
  double lowest_hertz = 0;
  double highest_hertz = 0;
  /// Times that a CPU was slowed down for its heat.
  std::uint64_t throttle_events = 0;
};

/// `failed`: an error ended it after there were figures.
enum class Ending { target_reached, budget_spent, interrupted, failed };
const char* ending_name(Ending ending);

/// So many latencies are kept of each subject: the memory of a long measurement is bounded, and more would
/// tell hardly more.
constexpr std::size_t kMostLatencies = 1 << 20;

struct SubjectResult {
  std::string label;
  std::int64_t batch = 1;
  /// Per inference, in the order in which the blocks ran.
  GroupedValues cpu_blocks;
  GroupedValues wall_blocks;
  /// The same blocks in slices; empty ones if nobody looked at the core.
  std::vector<SlicedBlock> slices;
  /// Of what was undisturbed, at the machine's usual clock; if nobody looked at the core of all, as it was.
  std::optional<Figure> cpu_seconds;
  std::optional<Figure> wall_seconds;
  /// Of all blocks, as they were.
  std::optional<Figure> cpu_seconds_as_run;
  std::optional<Figure> wall_seconds_as_run;
  InferenceEnergy energy;
  /// Of calls, ascending: of all, or of kMostLatencies drawn by chance.
  std::vector<std::int64_t> latencies_ns;
  std::uint64_t calls = 0;
  /// Calls that were due but not made, because the model could not keep up with arrivals.
  std::uint64_t unserved_calls = 0;
  std::vector<ColdStart> cold_starts;
  /// Of the engine's process: after its first call, and the most.
  double resident_bytes = 0;
  double peak_resident_bytes = 0;
  std::vector<engine::EffectiveOption> effective_options;
};

struct MeasurementResult {
  std::vector<SubjectResult> subjects;
  /// Of no block under arrivals, or if a subject is not quiet between calls: then nobody looks at the core.
  SpeedReport speed;
  /// Second over first, if there are two: pairs of blocks in ABBA order, what was undisturbed of them.
  std::optional<Figure> cpu_ratio;
  std::optional<Figure> wall_ratio;
  std::optional<Quantity<Ratio>> energy_ratio;
  Surroundings surroundings;
  Ending ending = Ending::target_reached;
  double seconds = 0;
  /// What ended it if it failed.
  std::optional<Error> failure;
  /// Of the first window that has any.
  std::vector<meter::Warning> warnings;
  /// Of the last window: devices, footprint, how it was attributed.
  std::optional<meter::MeteredWindow> window;
};

struct MeasureProgress {
  double elapsed_seconds = 0;
  double budget_seconds = 0;
  std::size_t blocks = 0;
  /// Of those, blocks that others slowed down.
  std::size_t disturbed = 0;
  /// The widest of the subjects; 0 as long as there is none.
  double relative_half_width = 0;
  const char* doing = "";
};

/// What measuring needs of the world.
struct MeasureWorld {
  const Clock& clock;
  const SystemRoot& sensors;
  /// Meters the process with this number; may be empty.
  std::function<Result<std::unique_ptr<meter::WindowMeter>>(int pid)> meter = {};
  SpeedHistory speed_history = {};
  /// Asked between blocks; true ends the measuring with what there is.
  std::function<bool(const MeasureProgress&)> should_stop = {};
};

/// Measures one subject, or two in turn: block by block in ABBA order, so that drift of the machine hits both
/// alike, and both of a pair get the same inputs and the same load. An error before the first process is
/// through is an error of the whole; a later one ends it with what there is.
Result<MeasurementResult> measure(std::span<const Subject> subjects, const Protocol& protocol,
                                  const MeasureWorld& world);

}  // namespace joulery::evaluate
