#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "meter/accounting.hpp"
#include "power/gpu_device.hpp"
#include "power/sampler.hpp"

namespace joulery::meter {

/// How the workload's share of a GPU is known, best first.
enum class GpuSharing {
  /// By what each process used.
  process_use,
  /// Only the workload's processes were on it.
  sole_user,
  /// None of the workload's processes was on it: nobody, or only others.
  not_on_it,
  /// By the size of the MIG instances that its processes held.
  mig_instance,
  /// Others were on it too, and nothing tells who used how much: all of it, an upper bound.
  whole_with_others,
  /// Nothing tells who used it: all of it.
  whole_unknown,
};
constexpr int kGpuSharings = 6;
/// "process utilisation", "sole user", "not on it", "MIG instance", "whole device, shared with others",
/// "whole device".
const char* gpu_sharing_name(GpuSharing sharing);

/// Whether a process is the workload's, asked at most a few times a second.
class ProcessOwner {
 public:
  virtual ~ProcessOwner() = default;
  virtual void refresh() = 0;
  virtual bool is_workloads(int pid) = 0;
  virtual bool numbers_are_the_hosts() const = 0;
};

/// One GPU's part in a run.
struct GpuShare {
  std::string device_id;
  std::string name;
  GpuSharing sharing = GpuSharing::process_use;
  /// Part of the workload's energy on it that is known in another, worse way than `sharing`, 0 to 1.
  double worse_known = 0;
  AccountSplit energy;
  /// Mean use of the GPU by all processes and by the workload, in GPU-seconds.
  double busy_seconds = 0;
  double workload_seconds = 0;
  power::GpuDevice::CrossCheck check;
};

/// Shares the energy of each GPU by the use of that GPU, and takes it out of what is shared by CPU time. Each
/// GPU has an account of its own, so that active + idle + other is its energy; together with the rest they
/// are the machine. A tick allocates nothing once warm. Not thread-safe.
class GpuAccounts {
 public:
  /// The sampler, the owner and the clock must outlive it. GPUs whose device the sampler does not read are
  /// left out.
  GpuAccounts(const power::Sampler& sampler, std::vector<std::shared_ptr<power::GpuDevice>> gpus,
              ProcessOwner& owner, const Clock& clock);
  bool empty() const { return states_.empty(); }

  /// Marks the start of the first window.
  void start();
  /// What is left for the rest of the machine, never negative: what parts overdraw is taken off later
  /// windows.
  struct Rest {
    double joules = 0;
    double late_joules = 0;
    /// Of the GPUs' energy in this window, what looks like the workload's so far: for a live view.
    double workload_joules = 0;
  };
  Rest add(const power::Tick& tick);
  /// After the last tick: shares what is not shared yet.
  void finish();
  /// After Sampler::settle(), with what that added to the machine: what of it is the rest's. Negative if the
  /// rest has had what turned out to be the GPUs'.
  double settle(double machine_joules);

  /// `idle_watts` says what a device (by its id) draws when it is quiet, if that was measured; may be empty.
  std::vector<GpuShare> shares(
      IdlePolicy policy, const std::function<std::optional<double>(const std::string&)>& idle_watts) const;
  double workload_joules() const;
  /// Of the whole machine.
  double machine_peak_watts() const { return machine_.peak_watts(); }
  /// Whether a device's energy, by index in the sampler, is a GPU's account's.
  bool is_gpu(std::size_t device) const;

 private:
  /// How a GPU was used between two looks, as parts of what it can do.
  struct Verdict {
    double busy = 0;
    double workload = 0;
    GpuSharing sharing = GpuSharing::process_use;
  };
  struct State {
    std::size_t device = 0;
    std::shared_ptr<power::GpuDevice> gpu;
    EnergyAccount account;
    Verdict verdict;
    /// When somebody was last seen to use it, in seconds of the run.
    double used_at_seconds = -1;
    double joules_before = 0;
    double unshared_seconds = 0;
    double unshared_joules = 0;
    double busy_seconds = 0;
    double workload_seconds = 0;
    /// The workload's, by how it is known.
    double joules_by_sharing[kGpuSharings] = {};
  };
  double own_joules(const State& state, const power::Tick& tick, bool late) const;
  Verdict look(State& state);
  Verdict judge_use() const;
  Verdict judge_presence(bool mig) const;
  void share(State& state, Window& window);

  const power::Sampler& sampler_;
  ProcessOwner& owner_;
  const Clock& clock_;
  std::vector<State> states_;
  /// Of a device in the sampler: which of states_ it counts for, or -1.
  std::vector<int> state_of_;
  std::vector<std::size_t> parent_;
  /// For the peak only.
  EnergyAccount machine_;
  std::vector<power::GpuProcess> processes_;
  bool matched_ = false;
  double last_end_seconds_ = 0;
  double elapsed_seconds_ = 0;
  double overdrawn_joules_ = 0;
};

}  // namespace joulery::meter
