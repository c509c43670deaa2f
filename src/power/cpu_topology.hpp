#pragma once

#include <vector>

#include "base/files.hpp"

namespace joulery::power {

/// Where a CPU sits. Die is -1 where dies are not told apart.
struct CpuPlace {
  int cpu = 0;
  int package = 0;
  int die = -1;
};

/// From /sys/devices/system/cpu; what it does not say is package 0, die 0. CPUs whose numbers can't be true
/// are left out.
std::vector<CpuPlace> read_cpu_places(const SystemRoot& root, const std::vector<int>& cpus);

/// One CPU, the first, of each package, or of each die of each package. Dies are told apart only where a
/// package has several.
std::vector<CpuPlace> one_of_each(const std::vector<CpuPlace>& places, bool each_die);

/// CPUs that are online: the kernel's list, or 0 to `threads` - 1 where it gives none.
std::vector<int> online_cpus(const SystemRoot& root, int threads);

}  // namespace joulery::power
