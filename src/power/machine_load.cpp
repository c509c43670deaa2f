#include "power/machine_load.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <optional>

#include "power/cpu_slice.hpp"
#include "power/kernel_text.hpp"

namespace joulery::power {
namespace {

/// USER_HZ, the unit of /proc/stat: part of the kernel's interface and 100 on every architecture we build
/// for.
constexpr double kTicksPerSecond = 100.0;
constexpr unsigned kReadsPerSteal = 32;

enum class Counter { cpuacct_usage, root_cpu_stat, slice_cpu_stat, proc_stat };

std::optional<double> busy_seconds(Counter counter, std::string_view text) {
  switch (counter) {
    case Counter::cpuacct_usage:
      if (const auto ns = parse_counter(text)) return static_cast<double>(*ns) * 1e-9;
      return std::nullopt;
    case Counter::root_cpu_stat: {
      // The root's usage_usec has steal in it; the two parts have not.
      const auto user = parse_keyed_counter(text, "user_usec");
      const auto system = parse_keyed_counter(text, "system_usec");
      if (!user || !system) return std::nullopt;
      return static_cast<double>(*user + *system) * 1e-6;
    }
    case Counter::slice_cpu_stat:
      if (const auto us = parse_keyed_counter(text, "usage_usec")) return static_cast<double>(*us) * 1e-6;
      return std::nullopt;
    case Counter::proc_stat:
      if (const auto ticks = parse_cpu_ticks(text)) return static_cast<double>(ticks->busy) / kTicksPerSecond;
      return std::nullopt;
  }
  return std::nullopt;
}

class CounterLoad final : public MachineLoadReader {
 public:
  CounterLoad(Counter counter, PolledFile busy, std::optional<PolledFile> stat, std::string via,
              int cpu_count)
      : counter_(counter),
        busy_(std::move(busy)),
        stat_(std::move(stat)),
        via_(std::move(via)),
        cpus_(cpu_count) {}

  MachineLoad read() override {
    std::array<char, 1024> buffer;
    MachineLoad load;
    const std::string_view text = busy_.read(buffer);
    const auto busy = busy_seconds(counter_, text);
    if (counter_ == Counter::proc_stat) {
      update_steal(text);
    } else if (stat_ && reads_++ % kReadsPerSteal == 0) {
      std::array<char, 1024> stat_buffer;
      update_steal(stat_->read(stat_buffer));
    }
    load.steal_seconds = steal_seconds_;
    if (busy) {
      load.busy_seconds = *busy;
      load.valid = true;
    }
    return load;
  }
  const std::string& via() const override { return via_; }
  int cpu_count() const override { return cpus_; }

 private:
  void update_steal(std::string_view stat) {
    if (const auto ticks = parse_cpu_ticks(stat))
      steal_seconds_ = static_cast<double>(ticks->steal) / kTicksPerSecond;
  }

  Counter counter_;
  PolledFile busy_;
  std::optional<PolledFile> stat_;
  std::string via_;
  int cpus_;
  unsigned reads_ = 0;
  double steal_seconds_ = 0;
};

int count_cpus(const SystemRoot& root, std::string_view stat) {
  if (const auto online = root.read_line("/sys/devices/system/cpu/online"); online.has_value()) {
    if (const auto cpus = parse_cpu_list(*online)) return static_cast<int>(cpus->size());
  }
  int count = 0;
  for (std::size_t at = stat.find("\ncpu"); at != std::string_view::npos; at = stat.find("\ncpu", at + 1))
    ++count;
  return std::max(count, 1);
}

/// The root cpuacct.usage, if what is mounted there is the root: a container often shows its own cgroup in
/// its place.
bool is_root_cpuacct(const SystemRoot& root, const std::string& folder, std::optional<CpuTicks> ticks) {
  // Only the root of a v1 hierarchy has this file.
  if (!root.exists(folder + "/release_agent") || !ticks) return false;
  const auto usage = root.read_text(folder + "/cpuacct.usage", 4096);
  const auto ns = usage.has_value() ? parse_counter(*usage) : std::nullopt;
  if (!ns) return false;
  // Both count since boot, one exactly and one by sampling.
  const double exact = static_cast<double>(*ns) * 1e-9;
  const double sampled = static_cast<double>(ticks->busy) / kTicksPerSecond;
  return std::abs(exact - sampled) <= 5.0 + 0.5 * std::max(exact, sampled);
}

}  // namespace

Result<std::unique_ptr<MachineLoadReader>> MachineLoadReader::open(const SystemRoot& root,
                                                                   LoadExtent extent) {
  const std::string stat = root.read_text("/proc/stat", 1 << 20).value_or("");
  const auto ticks = parse_cpu_ticks(stat);
  const int cpus = count_cpus(root, stat);
  const auto make = [&](Counter counter, const std::string& path,
                        std::string via) -> std::unique_ptr<MachineLoadReader> {
    auto busy = PolledFile::open(root, path);
    if (!busy.has_value()) return nullptr;
    std::optional<PolledFile> stat_file;
    if (counter != Counter::proc_stat) {
      if (auto file = PolledFile::open(root, "/proc/stat"); file.has_value()) stat_file = std::move(*file);
    }
    auto reader =
        std::make_unique<CounterLoad>(counter, std::move(*busy), std::move(stat_file), std::move(via), cpus);
    if (!reader->read().valid) return nullptr;
    return reader;
  };

  if (extent == LoadExtent::slice) {
    const CpuSlice slice = find_cpu_slice(root);
    if (slice.quota_cpus > 0 && slice.quota_cpus < cpus) {
      auto reader = slice.usage_is_cpuacct
                        ? make(Counter::cpuacct_usage, slice.usage_path, "cpuacct.usage of our slice (1 ns)")
                        : make(Counter::slice_cpu_stat, slice.usage_path, "cpu.stat of our slice (1 us)");
      if (reader) return reader;
    }
  }
  for (const char* folder : {"/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup/cpu,cpuacct"}) {
    if (!is_root_cpuacct(root, folder, ticks)) continue;
    if (auto reader =
            make(Counter::cpuacct_usage, std::string(folder) + "/cpuacct.usage", "cpuacct.usage (1 ns)")) {
      return reader;
    }
  }
  // Only a v2 cgroup that is not the root has a type.
  if (const std::string mount = cgroup_v2_mount(root);
      !mount.empty() && !root.exists(mount + "/cgroup.type")) {
    if (auto reader = make(Counter::root_cpu_stat, mount + "/cpu.stat", "root cpu.stat (1 tick)"))
      return reader;
  }
  if (auto reader = make(Counter::proc_stat, "/proc/stat", "/proc/stat (10 ms)")) return reader;
  return environment_error("can't read the machine's CPU time: /proc/stat is missing or malformed",
                           "mount proc: mount -t proc proc /proc");
}

}  // namespace joulery::power
