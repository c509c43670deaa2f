#include <fmt/format.h>
#include <linux/perf_event.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "meter/attributions.hpp"
#include "meter/descendants.hpp"
#include "meter/scan_budget.hpp"

namespace joulery::meter {
namespace {

/// Opens a task-clock counter that every later child of `pid` inherits. A descriptor, or -errno.
int open_task_clock(power::SystemCalls& system_calls, int pid) {
  perf_event_attr attributes = {};
  attributes.type = PERF_TYPE_SOFTWARE;
  attributes.size = sizeof(attributes);
  attributes.config = PERF_COUNT_SW_TASK_CLOCK;
  attributes.inherit = 1;
  // Without privileges the kernel asks for this. The count holds the time in the kernel nevertheless: this
  // counter is the task's run time, and the exclusion concerns samples only.
  attributes.exclude_kernel = 1;
  attributes.exclude_hv = 1;
  return system_calls.perf_event_open(attributes, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

Status open_error(int error) {
  const bool refused = error == EACCES || error == EPERM;
  return environment_error(
      fmt::format("perf_event_open refuses a task-clock counter: {}", errno_text(error)),
      refused
          ? "sysctl kernel.perf_event_paranoid=2, or a container whose seccomp profile allows perf_event_open"
          : "");
}

class PerfAttribution final : public Attribution {
 public:
  PerfAttribution(power::SystemCalls& system_calls, Descendants descendants, const Clock& clock)
      : system_calls_(system_calls), descendants_(std::move(descendants)), budget_(clock) {}
  ~PerfAttribution() override { finish(); }

  Tier tier() const override { return Tier::perf_task_clock; }
  const std::string& can_miss() const override {
    static const std::string text =
        "what programs with privileges of their own (setuid, such as sudo) do from their start on, and "
        "processes that "
        "other programs start on the workload's behalf";
    return text;
  }

  Status adopt(int pid) override {
    const int opened = open_task_clock(system_calls_, pid);
    if (opened < 0) return open_error(-opened);
    counter_ = opened;
    return {};
  }

  WorkloadUsage read() override {
    std::uint64_t nanoseconds = 0;
    const bool read_it = counter_ >= 0 && system_calls_.read(counter_, &nanoseconds, sizeof(nanoseconds)) ==
                                              static_cast<long>(sizeof(nanoseconds));
    if (read_it) last_.cpu_seconds = std::max(last_.cpu_seconds, static_cast<double>(nanoseconds) * 1e-9);
    last_.valid = read_it;
    scan_memory();
    return last_;
  }

  bool has_processes() override { return descendants_ && descendants_->any_left(); }
  int count_processes() override { return descendants_ ? descendants_->scan(false).processes : -1; }

  void reaped(int pid, double, double peak_memory_bytes) override {
    if (!descendants_ || descendants_->is_earlier_child(pid)) return;
    last_.peak_memory_bytes = std::max(last_.peak_memory_bytes, peak_memory_bytes);
  }

  void list_processes(std::vector<int>& pids) override {
    if (!descendants_) return;
    static_cast<void>(descendants_->scan(false));
    pids.insert(pids.end(), descendants_->last().begin(), descendants_->last().end());
  }

  void finish() override {
    if (counter_ >= 0) system_calls_.close(counter_);
    counter_ = -1;
    descendants_.reset();
  }

 private:
  void scan_memory() {
    if (!descendants_ || !budget_.is_due()) return;
    budget_.begin();
    const TreeScan scan = descendants_->scan(true);
    budget_.end();
    last_.memory_bytes = scan.memory_bytes;
    last_.peak_memory_bytes = std::max(last_.peak_memory_bytes, scan.memory_bytes);
    last_.processes = scan.processes;
  }

  power::SystemCalls& system_calls_;
  std::optional<Descendants> descendants_;
  int counter_ = -1;
  ScanBudget budget_;
  WorkloadUsage last_;
};

}  // namespace

Result<std::unique_ptr<Attribution>> make_perf_attribution(const AttributionOptions& options) {
  const int trial = open_task_clock(options.system_calls, 0);
  if (trial < 0) return std::unexpected(open_error(-trial).error());
  options.system_calls.close(trial);
  JOULERY_ASSIGN(Descendants descendants, Descendants::follow(options.root));
  return std::make_unique<PerfAttribution>(options.system_calls, std::move(descendants), options.clock);
}

}  // namespace joulery::meter
