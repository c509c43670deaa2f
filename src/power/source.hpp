#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/quantity.hpp"
#include "base/result.hpp"

namespace joulery::power {

/// What a counter covers. A scope contains those after it only through SourceInfo::parent_id, never by its
/// name alone.
enum class Scope { wall, board, psys, package, die, core, uncore, dram, gpu, gpu_memory, machine_model };
const char* scope_name(Scope scope);

enum class ReadingKind { cumulative_joules, watts };

/// What is known of a source before it is read.
struct SourceInfo {
  /// Stable across runs and boots: "rapl:package-0", "rapl:package-0:dram", "nvml:GPU-…", "model:cpu".
  std::string device_id;
  /// The device whose energy already includes this one's; empty for a root of the tree. Roots add up to the
  /// machine.
  std::string parent_id;
  /// What a person calls it: "CPU package 0".
  std::string name;
  /// The maker's name of what it is, the same for all of a kind: "NVIDIA H100 PCIe". Empty if none is told.
  std::string model;
  /// How it is read: "perf power PMU", "powercap", "power model".
  std::string via;
  Scope scope = Scope::package;
  ReadingKind kind = ReadingKind::cumulative_joules;
  Provenance provenance = Provenance::measured;
  /// Smallest step of the counter in joules; 0 if none is known.
  double resolution_joules = 0;
  /// Time between two updates of the counter; 0 if it is computed at the read.
  double update_seconds = 0;
  /// The counter starts again at zero after this many joules; 0 if it does not wrap.
  double wrap_joules = 0;
  /// More than this for a whole window is not believed. 0: no bound is known.
  double max_plausible_watts = 0;
  /// True energy lies between value*low and value*high at level 0.9.
  double accuracy_low = 1.0;
  double accuracy_high = 1.0;
  std::string accuracy_basis;
  /// A device that is on draws more than this: a counter that says less counts in a wrong unit, and is taken
  /// for one that stands still. 0: no bound is known.
  double min_plausible_watts = 0;
  /// Shown and recorded, never part of the machine's sum: what is inside it counts instead.
  bool reported_only = false;
  /// A power supply. Only all of a machine's together feed it: what is inside the machine is inside their
  /// sum.
  bool is_supply = false;
  /// A device with an energy counter whose energy is its power summed over time, because the counter died.
  bool integrated = false;
  /// Then what its counter did, after "its energy counter": "stood still".
  std::string integrated_because;
};

/// The maker's name if it is known, else the person's.
const std::string& model_name(const SourceInfo& info);

/// Is this a GPU, a module that holds one, or a part of one? Such energy is shared by use of the GPU.
bool is_of_gpu(const SourceInfo& info);

/// One reading. `valid` is false if the device gave nothing this time; `error_number` says why.
struct Reading {
  /// Joules since an arbitrary start, or watts now.
  double value = 0;
  /// Middle of the read.
  std::int64_t boottime_ns = 0;
  bool valid = false;
  /// ERANGE: the counter is there, but what it says is not to be believed, now and later.
  int error_number = 0;
  /// Of the energy since the reading before, what was drawn before that and was not told then.
  double late_joules = 0;
  /// The value says nothing of the time since the valid reading before: whoever reads fills that in.
  bool after_gap = false;
};

/// One counter or power sensor of one device. Reads allocate nothing, lock nothing and log nothing. Not
/// thread-safe.
class Source {
 public:
  virtual ~Source() = default;
  virtual const SourceInfo& info() const = 0;
  virtual Reading read(const Clock& clock) = 0;
  /// Forgets differences after a pause.
  virtual void reset() {}
  /// For the probe, before the first read: where a parent can be set. Null if the source does not allow it;
  /// it then stays where it put itself.
  virtual SourceInfo* edit_info() { return nullptr; }
};

/// One line of `joulery doctor`: a way to measure, whether it works here, and what would make it work.
struct ProbeResult {
  enum class State { available, limited, unavailable };
  /// "perf power PMU", "powercap (RAPL)", "power model".
  std::string via;
  State state = State::unavailable;
  /// Why it is in that state, in one sentence.
  std::string reason;
  /// The exact commands that enable it, one per line; empty if nothing can.
  std::string enable;
  /// What enabling it costs or risks; empty if nothing.
  std::string cost;
  std::vector<std::unique_ptr<Source>> sources;
};

}  // namespace joulery::power
