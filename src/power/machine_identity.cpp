#include <algorithm>
#include <vector>

#include "base/text.hpp"
#include "power/cpu_identity.hpp"
#include "power/cpu_slice.hpp"
#include "power/kernel_text.hpp"
#include "power/power_model.hpp"

namespace joulery::power {
namespace {

constexpr double kBytesPerGib = 1024.0 * 1024.0 * 1024.0;

bool is_virtual_machine(const SystemRoot& root, const CpuInfo& info) {
  if (info.hypervisor_flag || root.exists("/sys/hypervisor/type") ||
      root.exists("/proc/device-tree/hypervisor")) {
    return true;
  }
  const auto ticks = parse_cpu_ticks(root.read_text("/proc/stat", 4096).value_or(""));
  return ticks && ticks->steal > 0;
}

/// Arm names no package in cpuinfo; the topology does, one file per CPU.
int count_packages(const SystemRoot& root, const std::vector<int>& cpus) {
  std::vector<std::int64_t> seen;
  for (const int cpu : cpus) {
    const auto id = root.read_integer("/sys/devices/system/cpu/cpu" + std::to_string(cpu) +
                                      "/topology/physical_package_id");
    if (id.has_value() && std::find(seen.begin(), seen.end(), *id) == seen.end()) seen.push_back(*id);
  }
  return std::max<int>(1, static_cast<int>(seen.size()));
}

}  // namespace

Result<MachineIdentity> read_machine_identity(const SystemRoot& root) {
  JOULERY_ASSIGN(const std::string text, root.read_text("/proc/cpuinfo", 16 << 20));
  const CpuInfo info = parse_cpuinfo(text);
  std::vector<int> cpus;
  if (const auto online = root.read_line("/sys/devices/system/cpu/online"); online.has_value()) {
    cpus = parse_cpu_list(*online).value_or(std::vector<int>());
  }
  MachineIdentity identity;
  identity.cpu_vendor = info.vendor;
  identity.cpu_model = normalise_cpu_model(info.model_name);
  if (identity.cpu_model.empty()) identity.cpu_model = arm_core_name(info.family, info.model);
  identity.family = info.family;
  identity.model = info.model;
  identity.stepping = info.stepping;
  identity.threads_online = cpus.empty() ? info.threads : static_cast<int>(cpus.size());
  if (identity.threads_online <= 0) {
    return environment_error("/proc/cpuinfo names no processor", "mount proc: mount -t proc proc /proc");
  }
  identity.packages = info.packages > 0 ? info.packages : count_packages(root, cpus);
  identity.virtual_machine = is_virtual_machine(root, info);

  const CpuSlice slice = find_cpu_slice(root);
  identity.quota_cpus = identity.threads_online;
  if (slice.quota_cpus > 0) identity.quota_cpus = std::min(slice.quota_cpus, identity.quota_cpus);
  const auto total_kib =
      parse_keyed_counter(root.read_text("/proc/meminfo", 65536).value_or(""), "MemTotal:");
  identity.memory_gib = static_cast<double>(total_kib.value_or(0)) * 1024.0 / kBytesPerGib;
  if (slice.memory_limit_bytes > 0 && slice.memory_limit_bytes < identity.memory_gib * kBytesPerGib) {
    identity.memory_gib = slice.memory_limit_bytes / kBytesPerGib;
  } else if (identity.quota_cpus < identity.threads_online) {
    // A quota without a memory limit: the slice's share of memory is taken to be its share of the CPUs.
    identity.memory_gib *= identity.quota_cpus / identity.threads_online;
  }
  return identity;
}

}  // namespace joulery::power
