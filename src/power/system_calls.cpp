#include "power/system_calls.hpp"

#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace joulery::power {
namespace {

class KernelCalls final : public SystemCalls {
 public:
  int perf_event_open(perf_event_attr& attributes, int pid, int cpu, int group,
                      unsigned long flags) override {
    const long descriptor = ::syscall(SYS_perf_event_open, &attributes, pid, cpu, group, flags);
    return descriptor < 0 ? -errno : static_cast<int>(descriptor);
  }
  long read(int descriptor, void* buffer, std::size_t size) override {
    ssize_t got = 0;
    do {
      got = ::read(descriptor, buffer, size);
    } while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
  }
  void close(int descriptor) override { ::close(descriptor); }
};

}  // namespace

SystemCalls& real_system_calls() {
  static KernelCalls calls;
  return calls;
}

}  // namespace joulery::power
