#include "power/cpu_slice.hpp"

#include <algorithm>
#include <optional>
#include <vector>

#include "base/text.hpp"
#include "power/kernel_text.hpp"

namespace joulery::power {
namespace {

std::string v1_mount(const SystemRoot& root, std::string_view controller, std::string_view file) {
  for (const std::string& folder :
       {std::string(controller), std::string("cpu,cpuacct"), std::string("cpuacct,cpu")}) {
    const std::string mount = "/sys/fs/cgroup/" + folder;
    if (root.exists(mount + "/" + std::string(file))) return mount;
  }
  return {};
}

/// Our cgroup's folder and those above it, ours first. Inside a container the path may be the host's and not
/// exist here; then the mount itself is ours.
std::vector<std::string> folders_up(const SystemRoot& root, const std::string& mount, std::string path) {
  while (!path.empty() && path.back() == '/') path.pop_back();
  if (path.find("..") != std::string::npos || !root.exists(mount + path)) path.clear();
  std::vector<std::string> folders;
  while (!path.empty()) {
    folders.push_back(mount + path);
    path.erase(path.rfind('/'));
  }
  folders.push_back(mount);
  return folders;
}

void take_quota(CpuSlice& slice, std::optional<double> cpus, const std::string& usage_path, bool is_cpuacct) {
  if (!cpus || (slice.quota_cpus > 0 && *cpus >= slice.quota_cpus)) return;
  slice.quota_cpus = *cpus;
  slice.usage_path = usage_path;
  slice.usage_is_cpuacct = is_cpuacct;
}

void take_memory(CpuSlice& slice, const Result<std::string>& text) {
  if (!text.has_value()) return;
  const auto bytes = parse_counter(*text);
  // v1 says "no limit" with a number near 2^63.
  if (!bytes || *bytes == 0 || *bytes >= (std::uint64_t{1} << 62)) return;
  const auto limit = static_cast<double>(*bytes);
  if (slice.memory_limit_bytes == 0 || limit < slice.memory_limit_bytes) slice.memory_limit_bytes = limit;
}

std::optional<double> v1_quota(const SystemRoot& root, const std::string& folder) {
  const auto quota = root.read_integer(folder + "/cpu.cfs_quota_us");
  const auto period = root.read_integer(folder + "/cpu.cfs_period_us");
  if (!quota.has_value() || !period.has_value() || *quota <= 0 || *period <= 0) return std::nullopt;
  return static_cast<double>(*quota) / static_cast<double>(*period);
}

}  // namespace

std::string cgroup_path(std::string_view self_cgroup, std::string_view controller) {
  for (const std::string_view line : split(self_cgroup, '\n')) {
    const auto first = line.find(':');
    if (first == std::string_view::npos) continue;
    const auto second = line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view names = line.substr(first + 1, second - first - 1);
    const auto parts = split(names, ',');
    const bool matches =
        controller.empty() ? names.empty() : std::find(parts.begin(), parts.end(), controller) != parts.end();
    if (matches && line.size() > second + 1 && line[second + 1] == '/')
      return std::string(line.substr(second + 1));
  }
  return {};
}

std::string cgroup_v2_mount(const SystemRoot& root) {
  for (const char* mount : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
    if (root.exists(std::string(mount) + "/cgroup.controllers")) return mount;
  }
  return {};
}

CpuSlice find_cpu_slice(const SystemRoot& root) {
  CpuSlice slice;
  const std::string self = root.read_text("/proc/self/cgroup", 65536).value_or("");
  if (const std::string mount = cgroup_v2_mount(root); !mount.empty()) {
    for (const std::string& folder : folders_up(root, mount, cgroup_path(self, ""))) {
      const auto text = root.read_text(folder + "/cpu.max", 4096);
      if (text.has_value()) take_quota(slice, parse_cpu_max(*text), folder + "/cpu.stat", false);
      take_memory(slice, root.read_text(folder + "/memory.max", 4096));
    }
  }
  if (const std::string mount = v1_mount(root, "cpu", "cpu.cfs_quota_us"); !mount.empty()) {
    const std::string path = cgroup_path(self, "cpu");
    const std::string usage_mount = v1_mount(root, "cpuacct", "cpuacct.usage");
    const std::string usage_path = cgroup_path(self, "cpuacct");
    for (const std::string& folder : folders_up(root, mount, path)) {
      // The time counter is another hierarchy's file if cpu and cpuacct are mounted apart; without the same
      // folder there, our own cgroup's is the nearest.
      std::string usage = usage_mount + folder.substr(mount.size()) + "/cpuacct.usage";
      if (!root.exists(usage)) usage = folders_up(root, usage_mount, usage_path).front() + "/cpuacct.usage";
      take_quota(slice, v1_quota(root, folder), usage, true);
    }
  }
  if (const std::string mount = v1_mount(root, "memory", "memory.limit_in_bytes"); !mount.empty()) {
    for (const std::string& folder : folders_up(root, mount, cgroup_path(self, "memory"))) {
      take_memory(slice, root.read_text(folder + "/memory.limit_in_bytes", 4096));
    }
  }
  return slice;
}

}  // namespace joulery::power
