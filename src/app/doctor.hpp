#pragma once

#include <string>
#include <vector>

#include "app/application.hpp"
#include "power/gpu_device.hpp"
#include "power/power_model.hpp"
#include "record/model.hpp"

namespace joulery::app {

/// One thing that doctor looked at.
struct DoctorCheck {
  enum class State { good, limited, unavailable };
  /// "power", "gpu", "attribution", "load", "clock", "noise", "store", "spool", "settings".
  std::string area;
  std::string name;
  State state = State::unavailable;
  std::string reason;
  /// Resolution and accuracy with its basis; empty if they do not apply.
  std::string resolution;
  std::string accuracy;
  /// What the state, or the remedy, costs: accuracy lost, or a risk.
  std::string cost;
  /// Exact commands that make it better, one per line.
  std::string enable;
  /// Without this nothing can be metered or kept.
  bool essential = false;
  /// This is the one that `joulery run` uses.
  bool in_use = false;
};

/// A source that would be read, in the tree of what contains what.
struct DoctorDevice {
  std::string id;
  std::string parent_id;
  std::string name;
  std::string via;
  std::string scope;
  std::string provenance;
  double accuracy_low = 1;
  double accuracy_high = 1;
  std::string accuracy_basis;
  /// Is its energy part of the machine's? If not, `role` says why: "counted", "part of its parent", "mirror",
  /// "replaced by its parts", "reported only".
  bool counts = false;
  std::string role;
};

/// A GPU, and what can be told of who uses it.
struct DoctorGpu {
  std::string device_id;
  power::GpuFacts facts;
  /// Measured while nobody used it; 0 if not.
  double idle_watts = 0;
};

/// How much two runs of the same work differ here.
struct NoiseLevel {
  int blocks = 0;
  double block_seconds = 0;
  /// Standard deviation over mean of the blocks' wall time and CPU time.
  double wall_variation = 0;
  double cpu_variation = 0;
  double lag1_autocorrelation = 0;
};

struct DoctorReport {
  record::Host host;
  std::string kernel;
  power::MachineIdentity identity;
  std::vector<DoctorCheck> checks;
  std::vector<DoctorDevice> devices;
  std::vector<DoctorGpu> gpus;
  NoiseLevel noise;
  /// Of all but the GPUs, measured while the machine was quiet; 0 if there is no sensor or it was busy.
  double idle_watts = 0;
  /// In one sentence: how energy will be known.
  std::string verdict;
  bool usable = true;
};

/// Looks at everything that metering rests on. Takes about a second (the noise run).
Result<DoctorReport> examine(Application& application);

}  // namespace joulery::app
