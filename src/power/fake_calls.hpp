#pragma once

#include <linux/perf_event.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <set>
#include <utility>

#include "power/system_calls.hpp"

namespace joulery::power {

/// perf_event_open as a test wants it: counters by (type, config, cpu). For tests.
class FakeCalls final : public SystemCalls {
 public:
  int perf_event_open(perf_event_attr& attributes, int pid, int cpu, int group, unsigned long) override {
    if (open_error != 0) return -open_error;
    if (pid != -1 || group != -1 || attributes.sample_period != 0 || attributes.size == 0) return -EINVAL;
    if (attributes.exclude_kernel || attributes.exclude_user || attributes.exclude_hv) return -EINVAL;
    if (refused.contains(attributes.config)) return -ENOENT;
    const int descriptor = next_++;
    open[descriptor] = {attributes.type, attributes.config, cpu};
    return descriptor;
  }
  long read(int descriptor, void* buffer, std::size_t size) override {
    if (!open.contains(descriptor)) return -EBADF;
    if (read_result != 8) return read_result;
    if (size < sizeof(std::uint64_t)) return -ENOSPC;
    const std::uint64_t count = counts[{open[descriptor].config, open[descriptor].cpu}];
    std::memcpy(buffer, &count, sizeof count);
    return sizeof count;
  }
  void close(int descriptor) override { open.erase(descriptor); }

  struct Event {
    std::uint32_t type;
    std::uint64_t config;
    int cpu;
  };
  int open_error = 0;
  long read_result = 8;
  std::set<std::uint64_t> refused;
  std::map<int, Event> open;
  std::map<std::pair<std::uint64_t, int>, std::uint64_t> counts;

 private:
  int next_ = 100;
};

}  // namespace joulery::power
