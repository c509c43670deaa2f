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
  /// CPU-seconds that the hypervisor gave to somebody else.
  double steal_seconds = 0;
  bool valid = false;
};

/// Reads the machine's busy time from the finest counter there is: /proc/schedstat (ns, exact), else the root
/// cpuacct.usage (ns, exact), else /proc/stat (ticks). Reads allocate nothing.
class MachineLoadReader {
 public:
  static Result<std::unique_ptr<MachineLoadReader>> open(const SystemRoot& root);
  virtual ~MachineLoadReader() = default;
  virtual MachineLoad read() = 0;
  /// Which counter it is, and its resolution: "cpuacct.usage (1 ns)".
  virtual const std::string& via() const = 0;
  /// CPUs online.
  virtual int cpu_count() const = 0;
};

}  // namespace joulery::power
