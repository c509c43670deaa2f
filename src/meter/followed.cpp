#include "meter/followed.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/text.hpp"
#include "meter/cgroup.hpp"
#include "meter/process_scan.hpp"
#include "meter/scan_budget.hpp"

namespace joulery::meter {
namespace {

class FollowedProcess final : public Attribution {
 public:
  FollowedProcess(ProcessScanner scanner, const ProcessStat& process, const Clock& clock)
      : scanner_(std::move(scanner)),
        pid_(process.pid),
        start_ticks_(process.start_ticks),
        seconds_per_tick_(1.0 / static_cast<double>(::sysconf(_SC_CLK_TCK))),
        budget_(clock) {
    read();
    base_seconds_ = std::exchange(last_.cpu_seconds, 0);
  }

  Tier tier() const override { return Tier::process_tree; }
  const std::string& can_miss() const override {
    static const std::string text =
        "processes below it that end between two looks when nobody waits for them, and processes that other "
        "programs start on its behalf";
    return text;
  }
  Status adopt(int) override { return {}; }

  WorkloadUsage read() override {
    const auto process = scanner_.stat(pid_);
    if (!process || process->start_ticks != start_ticks_) return last_;
    const bool with_memory = budget_.is_due();
    if (with_memory) budget_.begin();
    const TreeScan below = scanner_.scan_descendants(pid_, {}, with_memory);
    if (with_memory) {
      last_.memory_bytes = scanner_.proportional_bytes(pid_) + below.memory_bytes;
      budget_.end();
      last_.peak_memory_bytes = std::max(last_.peak_memory_bytes, last_.memory_bytes);
    }
    const double own = static_cast<double>(process->own_ticks + process->waited_ticks) * seconds_per_tick_;
    last_.cpu_seconds = std::max(last_.cpu_seconds, own + below.cpu_seconds - base_seconds_);
    last_.processes = below.processes + (process->alive() ? 1 : 0);
    last_.valid = true;
    return last_;
  }

  bool has_processes() override {
    const auto process = scanner_.stat(pid_);
    return process && process->start_ticks == start_ticks_ && process->alive();
  }
  int count_processes() override {
    return (has_processes() ? 1 : 0) + scanner_.scan_descendants(pid_, {}, false).processes;
  }
  void reaped(int, double, double) override {}
  void list_processes(std::vector<int>& pids) override {
    pids.push_back(pid_);
    pids.insert(pids.end(), scanner_.last_descendants().begin(), scanner_.last_descendants().end());
  }
  void finish() override {}

 private:
  ProcessScanner scanner_;
  int pid_;
  std::uint64_t start_ticks_;
  double seconds_per_tick_;
  ScanBudget budget_;
  double base_seconds_ = 0;
  WorkloadUsage last_;
};

class FollowedCgroup final : public Attribution {
 public:
  explicit FollowedCgroup(CgroupReader reader) : reader_(std::move(reader)) {
    base_seconds_ = reader_.read().cpu_seconds;
  }

  Tier tier() const override { return Tier::cgroup; }
  const std::string& can_miss() const override {
    static const std::string text = "processes that move to another cgroup, and work of kernel threads";
    return text;
  }
  Status adopt(int) override { return {}; }
  WorkloadUsage read() override {
    WorkloadUsage usage = reader_.read();
    usage.cpu_seconds = std::max(0.0, usage.cpu_seconds - base_seconds_);
    return usage;
  }
  bool has_processes() override { return reader_.populated(); }
  int count_processes() override { return reader_.count_processes(); }
  void reaped(int, double, double) override {}
  void list_processes(std::vector<int>& pids) override { reader_.list_processes(pids); }
  bool contains(int pid) override { return reader_.contains(pid); }
  void finish() override {}

 private:
  CgroupReader reader_;
  double base_seconds_ = 0;
};

Result<std::unique_ptr<Attribution>> follow_process(const SystemRoot& root, const Clock& clock, int pid) {
  JOULERY_ASSIGN(ProcessScanner scanner, ProcessScanner::open(root));
  const auto process = scanner.stat(pid);
  if (!process || !process->alive()) {
    return user_error(fmt::format("there is no process {}", pid), "`ps -e` lists those that there are");
  }
  return std::make_unique<FollowedProcess>(std::move(scanner), *process, clock);
}

Result<std::unique_ptr<Attribution>> follow_cgroup(const SystemRoot& root, const Clock& clock,
                                                   const std::string& path) {
  std::string folder = path;
  if (!root.read_text(folder + "/cgroup.procs")) {
    JOULERY_ASSIGN(folder, cgroup_folder(root, path));
  }
  auto reader = CgroupReader::open(root, folder, clock);
  if (!reader) {
    return user_error(fmt::format("can't follow cgroup '{}': {}", printable(path), reader.error().message),
                      "/proc/PID/cgroup names the cgroup of a process");
  }
  return std::make_unique<FollowedCgroup>(std::move(*reader));
}

}  // namespace

Result<std::unique_ptr<Attribution>> follow(const SystemRoot& root, const Clock& clock,
                                            const Followed& followed) {
  return followed.pid > 0 ? follow_process(root, clock, followed.pid)
                          : follow_cgroup(root, clock, followed.cgroup);
}

}  // namespace joulery::meter
