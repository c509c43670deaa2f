#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/files.hpp"
#include "base/result.hpp"

namespace joulery::meter {

/// How a workload's CPU time is told from the rest of the machine's, best first.
enum class Tier { cgroup, systemd_scope, perf_task_clock, process_tree };
/// "cgroup", "systemd scope", "perf task-clock", "process tree".
const char* tier_name(Tier tier);

/// CPU and memory of the workload so far.
struct WorkloadUsage {
  double cpu_seconds = 0;
  /// Of all its processes together, at the last look; 0 if unknown. Pages that they share count once (PSS).
  double memory_bytes = 0;
  /// Highest seen, by the kernel if it keeps it, else among our reads.
  double peak_memory_bytes = 0;
  /// Processes alive at the last look; -1 if unknown.
  int processes = -1;
  bool valid = false;
};

/// Follows one workload from before its first instruction to after its last process. Reads allocate nothing.
/// Life: create → (fork) → adopt in the parent while the child waits → read… → finish. Not thread-safe.
class Attribution {
 public:
  virtual ~Attribution() = default;
  virtual Tier tier() const = 0;
  /// What this way can miss, in one sentence for a person.
  virtual const std::string& can_miss() const = 0;
  /// Descriptor of the cgroup folder to start the child in (clone3 with CLONE_INTO_CGROUP), or -1.
  virtual int cgroup_descriptor() const { return -1; }
  /// Takes charge of a child that exists but has not yet executed the command.
  virtual Status adopt(int pid) = 0;
  virtual WorkloadUsage read() = 0;
  /// Is any process of the workload left? For cgroups by cgroup.events, else by descendants.
  virtual bool has_processes() = 0;
  /// How many are left now; -1 if it can't be told. Costs more than has_processes.
  virtual int count_processes() = 0;
  /// A child was reaped by our wait4: its own CPU time and that of the children it waited for.
  virtual void reaped(int pid, double cpu_seconds, double peak_memory_bytes) = 0;
  /// Appends the processes of the workload that one cheap look finds. Asked only on machines with GPUs, whose
  /// drivers tell use by process.
  virtual void list_processes(std::vector<int>& pids) { static_cast<void>(pids); }
  /// Is this live process part of the workload, though not in the list?
  virtual bool contains(int pid) {
    static_cast<void>(pid);
    return false;
  }
  /// After the last read: removes what it made.
  virtual void finish() = 0;
};

}  // namespace joulery::meter
