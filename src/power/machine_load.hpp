#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/files.hpp"
#include "base/result.hpp"

namespace joulery::power {

/// CPU time of the whole machine (or, in a container with a quota, of its slice) since an arbitrary start.
struct MachineLoad {
  /// CPU-seconds spent running anything, all CPUs together. Guest time is counted once, steal is not in it.
  double busy_seconds = 0;
  /// CPU-seconds that the hypervisor gave to somebody else. Read anew at every 32nd read, because the whole
  /// of /proc/stat is made for it.
  double steal_seconds = 0;
  bool valid = false;
};

/// What "the machine" is.
enum class LoadExtent {
  /// All CPUs: what a measured package is shared out by.
  machine,
  /// The cgroup whose quota binds us, if one does, else all CPUs: what the power model is about.
  slice,
};

/// Reads busy time from the finest counter there is: the root cpuacct.usage (v1), else the root cpu.stat
/// (v2), else /proc/stat (10 ms steps). Not /proc/schedstat: the kernel adds to it only when a task leaves a
/// CPU, so that a task that runs alone shows up seconds late and then all at once. Reads allocate nothing.
class MachineLoadReader {
 public:
  static Result<std::unique_ptr<MachineLoadReader>> open(const SystemRoot& root,
                                                         LoadExtent extent = LoadExtent::slice);
  virtual ~MachineLoadReader() = default;
  virtual MachineLoad read() = 0;
  /// Which counter it is, and its resolution: "cpuacct.usage (1 ns)".
  virtual const std::string& via() const = 0;
  /// CPUs online.
  virtual int cpu_count() const = 0;
};

}  // namespace joulery::power
