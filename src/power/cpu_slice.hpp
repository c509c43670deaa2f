#pragma once

#include <string>
#include <string_view>

#include "base/files.hpp"

namespace joulery::power {

/// What cgroups let this process use of the machine.
struct CpuSlice {
  /// CPUs of the tightest quota on the way from our cgroup to the root; 0 if there is none.
  double quota_cpus = 0;
  /// The counter of CPU time of the cgroup that has this quota (cpu.stat, or cpuacct.usage on v1); empty if
  /// none.
  std::string usage_path;
  bool usage_is_cpuacct = false;
  /// Bytes that the tightest memory limit allows; 0 if there is none.
  double memory_limit_bytes = 0;
};
/// Looks in v2, in v1 and in hybrid set-ups, also from inside a container that shows only its own part of the
/// tree.
CpuSlice find_cpu_slice(const SystemRoot& root);

/// Where /proc/self/cgroup puts us in the hierarchy of `controller` ("" for v2), or empty. Pure.
std::string cgroup_path(std::string_view self_cgroup, std::string_view controller);

/// The folder of a mounted v2 hierarchy: "/sys/fs/cgroup", "/sys/fs/cgroup/unified", or empty.
std::string cgroup_v2_mount(const SystemRoot& root);

}  // namespace joulery::power
