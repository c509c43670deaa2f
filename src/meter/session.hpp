#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/files.hpp"
#include "base/quantity.hpp"
#include "footprint/footprint.hpp"
#include "meter/accounting.hpp"
#include "meter/attribution_factory.hpp"
#include "meter/gpu_accounts.hpp"
#include "meter/host.hpp"
#include "meter/supervisor.hpp"
#include "power/nvml_api.hpp"
#include "power/sampler.hpp"
#include "power/system_calls.hpp"
#include "record/model.hpp"
#include "record/spool.hpp"

namespace joulery::meter {

/// The machine to meter on; everything outside the program that a session touches.
struct Machine {
  /// Where processes and cgroups are.
  const SystemRoot& root;
  /// Where sensors and the machine's load are read.
  const SystemRoot& sensors;
  const Clock& clock;
  power::SystemCalls& system_calls;
  std::string library_directory;
  /// Driver library of GPUs; null: they are not looked for.
  power::NvmlLibrary* nvml = nullptr;
};

/// What `--per "1000 images"` says: the run did this much.
struct FunctionalUnit {
  double count = 1;
  std::string unit;
};

/// Counters are read at least this often, whatever rate of samples is asked for: the power model takes load
/// to be even between two reads, and idle energy is shared second by second.
constexpr double kSlowestTickHz = 5;

/// Where the run's electricity comes from and what is asked about it.
struct FootprintOptions {
  /// Tables in use; null: the built-in ones.
  const footprint::DataSet* data = nullptr;
  footprint::SiteRequest request = {};
  /// The whole machine is there for this run alone.
  bool reserved = false;
  std::optional<footprint::SciForAi> sci_for_ai = {};
};

struct SessionOptions {
  Command command;
  InheritedSignals signals;
  std::string run_id;  // 32 hex digits
  std::string name;
  std::string experiment = "Default";
  std::string user;
  std::map<std::string, std::string> tags;
  /// Samples of the power series per second; at most the supervisor's rate of ticks.
  double hz = 10;
  IdlePolicy idle = IdlePolicy::proportional;
  std::optional<Tier> only_tier;
  /// Empty: the run is not recorded (a warm-up).
  std::string spool_folder;
  /// Which store the spool is for (record::spool_tag).
  std::string spool_tag;
  std::optional<FunctionalUnit> per;
  /// What the host with this id draws when it is quiet, measured before with the same sources. Asked after
  /// the run, for measured sources.
  std::function<std::optional<double>(const std::string& host_id, const std::string& sources)>
      load_idle_watts;
  std::string systemd_bus_address;
  FootprintOptions footprint;
};

/// What is known while the run goes on.
struct LiveState {
  double elapsed_seconds = 0;
  /// From a model, not a sensor.
  bool modelled = false;
  /// False as long as no counter has moved: watts and joules then say nothing.
  bool energy_known = false;
  double machine_watts = 0;
  double workload_joules = 0;
  double workload_cpus = 0;  // CPU-seconds per second in the last window
};

class SessionObserver {
 public:
  virtual ~SessionObserver() = default;
  /// At every tick; must not allocate more than a line of text.
  virtual void on_live(const LiveState& state) = 0;
};

/// One source's part in a run.
struct DeviceReport {
  power::SourceInfo info;
  /// Counts towards the machine; false for a part of another device and for a mirror.
  bool is_root = true;
  std::string mirror_of;
  /// Meaningless, as the powers are, unless `known()`.
  Quantity<Joules> energy;
  double mean_watts = 0;
  double peak_watts = 0;
  power::DeviceTotal total;
  /// False if its counter never moved: nothing that is switched on draws nothing, so 0 J is no figure.
  bool known() const { return total.joules > 0; }
};

/// One GPU's part in a run, and the workload's part of that.
struct GpuReport {
  GpuShare share;
  /// All that it drew, and what of that is the workload's.
  Quantity<Joules> energy_machine;
  Quantity<Joules> energy;
  /// In one sentence: how the workload's part is known.
  std::string basis;
};

/// Something that the reader should know about the figures, and what to do.
struct Warning {
  std::string text;
  std::string hint;
};

/// What a run cost and how that is known.
struct MeteredRun {
  record::Run run;
  HostFacts host;
  ChildResult child;
  int left_running = 0;
  /// All that the command left behind was waited for, for as long as the grace is.
  bool waited_for_tree = false;
  int interrupted_by = 0;
  /// From the command's start to the end of the metered window, suspend not counted.
  double duration_seconds = 0;
  /// From the command's start to its own end.
  double command_seconds = 0;
  double suspended_seconds = 0;
  /// What the machine's peak power is a mean over, at least: its slowest counter can't tell less. All of the
  /// run if that is shorter.
  double machine_peak_seconds = 0;
  double cpu_seconds = 0;
  double machine_busy_seconds = 0;
  double steal_seconds = 0;
  int machine_cpus = 0;
  double peak_memory_bytes = 0;
  EnergySplit split;
  /// Of what is shared by CPU time: all but the GPUs.
  AccountSplit rest;
  std::vector<GpuReport> gpus;
  /// The workload's, on all GPUs.
  Quantity<Joules> energy_gpu;
  /// False if there is no source, or none moved from start to end: energies, carbon and powers are then
  /// absent from every document and record.
  bool energy_known() const { return energy_machine.value() > 0; }
  /// The same of the GPUs' accounts.
  bool gpu_energy_known() const;
  Quantity<Joules> energy;
  Quantity<Joules> energy_active;
  Quantity<Joules> energy_idle_share;
  Quantity<Joules> energy_machine;
  Quantity<Joules> energy_other_active;
  Quantity<Joules> energy_idle;
  Quantity<GramsCo2e> carbon;
  /// Nothing while it is not known yet.
  std::optional<footprint::Footprint> footprint;
  double machine_mean_watts = 0;
  double machine_peak_watts = 0;
  /// As taken, and between what it may lie: all equal where it was measured or is the model's.
  double idle_watts = 0;
  double idle_watts_low = 0;
  double idle_watts_high = 0;
  std::string idle_basis;
  IdlePolicy idle_policy = IdlePolicy::proportional;
  Tier tier = Tier::process_tree;
  std::string can_miss;
  std::vector<SkippedTier> skipped_tiers;
  std::string load_via;
  std::vector<DeviceReport> devices;
  std::vector<Warning> warnings;
  std::optional<FunctionalUnit> per;
  double hz = 0;
  std::uint64_t ticks = 0;
  std::uint64_t missed_ticks = 0;
};

struct SessionResult {
  MeteredRun run;
  std::vector<record::Device> devices;
  /// Where the run is written so far, for the caller to add evidence to and to end; nothing if it could not
  /// be written, and a warning says why.
  std::optional<record::SpoolWriter> spool;
  /// Without the run's last state, the spool tells of a run that goes on.
  Status last_state_written;
};

/// Meters one command from before its first instruction to its end: power, attribution, spool. The record is
/// complete in the spool when this returns. A LaunchError says what a shell would have exited with.
/// `supervisor` handles signals from before the command to after the record: one for a whole series of runs.
LaunchResult<SessionResult> run_session(const Machine& machine, const SessionOptions& options,
                                        Supervisor& supervisor, SessionObserver* observer);

}  // namespace joulery::meter
