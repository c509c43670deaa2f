#pragma once

#include <cstddef>
#include <cstdint>

struct perf_event_attr;

namespace joulery::power {

/// The system calls that sensors need beyond reading files; a test gives a fake.
class SystemCalls {
 public:
  virtual ~SystemCalls() = default;
  /// perf_event_open(2). A descriptor, or -errno.
  virtual int perf_event_open(perf_event_attr& attributes, int pid, int cpu, int group,
                              unsigned long flags) = 0;
  /// read(2). Bytes read, or -errno.
  virtual long read(int descriptor, void* buffer, std::size_t size) = 0;
  virtual void close(int descriptor) = 0;
};

/// The kernel's own. Stateless, thread-safe.
SystemCalls& real_system_calls();

}  // namespace joulery::power
