#include "power/cpu_topology.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "power/kernel_text.hpp"

namespace joulery::power {
namespace {

constexpr std::int64_t kMostPackages = 4096;
constexpr std::int64_t kMostDies = 4096;

}  // namespace

std::vector<CpuPlace> read_cpu_places(const SystemRoot& root, const std::vector<int>& cpus) {
  std::vector<CpuPlace> places;
  for (const int cpu : cpus) {
    const std::string topology = fmt::format("/sys/devices/system/cpu/cpu{}/topology/", cpu);
    // The kernel says -1 for what the firmware does not tell.
    const std::int64_t package =
        std::max<std::int64_t>(root.read_integer(topology + "physical_package_id").value_or(0), 0);
    const std::int64_t die = std::max<std::int64_t>(root.read_integer(topology + "die_id").value_or(0), 0);
    if (package >= kMostPackages || die >= kMostDies) continue;
    places.push_back({cpu, static_cast<int>(package), static_cast<int>(die)});
  }
  return places;
}

std::vector<CpuPlace> one_of_each(const std::vector<CpuPlace>& places, bool each_die) {
  std::vector<CpuPlace> first;
  for (CpuPlace place : places) {
    if (!each_die) place.die = -1;
    const bool known = std::any_of(first.begin(), first.end(), [&](const CpuPlace& other) {
      return other.package == place.package && other.die == place.die;
    });
    if (!known) first.push_back(place);
  }
  for (CpuPlace& place : first) {
    const auto same = [&](const CpuPlace& other) { return other.package == place.package; };
    if (std::count_if(first.begin(), first.end(), same) == 1) place.die = -1;
  }
  return first;
}

std::vector<int> online_cpus(const SystemRoot& root, int threads) {
  if (auto cpus = parse_cpu_list(root.read_line("/sys/devices/system/cpu/online").value_or(""))) return *cpus;
  std::vector<int> cpus(static_cast<std::size_t>(std::clamp(threads, 0, static_cast<int>(kMostCpus))));
  for (std::size_t i = 0; i < cpus.size(); ++i) cpus[i] = static_cast<int>(i);
  return cpus;
}

}  // namespace joulery::power
