#include "meter/workload_processes.hpp"

#include <algorithm>
#include <filesystem>

namespace joulery::meter {
namespace {

/// The kernel's own limit of process numbers on 64 bits.
constexpr int kMostProcesses = 1 << 22;
constexpr int kBits = 64;
constexpr std::size_t kRoom = 4096;
/// The first process namespace of every kernel (PROC_PID_INIT_INO).
constexpr const char* kFirstNamespace = "pid:[4026531836]";

}  // namespace

Result<std::unique_ptr<WorkloadProcesses>> WorkloadProcesses::open(const SystemRoot& root,
                                                                   Attribution& attribution) {
  JOULERY_ASSIGN(ProcessScanner scanner, ProcessScanner::open(root));
  std::unique_ptr<WorkloadProcesses> processes(new WorkloadProcesses(std::move(scanner), attribution));
  processes->now_.reserve(kRoom);
  processes->ever_.resize(kMostProcesses / kBits);
  std::error_code error;
  const auto link = std::filesystem::read_symlink(root.resolve("/proc/self/ns/pid"), error);
  processes->numbers_are_the_hosts_ = error || link == kFirstNamespace;
  return processes;
}

void WorkloadProcesses::refresh() {
  now_.clear();
  attribution_.list_processes(now_);
  for (const int pid : now_) note(pid, true);
}

bool WorkloadProcesses::is_workloads(int pid) {
  if (std::find(now_.begin(), now_.end(), pid) != now_.end()) return true;
  if (attribution_.contains(pid)) {
    note(pid, true);
    return true;
  }
  // A number of ours that somebody else has by now: process numbers come round again.
  if (noted(pid) && scanner_.stat(pid)) note(pid, false);
  return noted(pid);
}

bool WorkloadProcesses::noted(int pid) const {
  if (pid <= 0 || pid >= kMostProcesses) return false;
  return (ever_[static_cast<std::size_t>(pid / kBits)] >> (pid % kBits) & 1U) != 0;
}

void WorkloadProcesses::note(int pid, bool inside) {
  if (pid <= 0 || pid >= kMostProcesses) return;
  const std::uint64_t bit = std::uint64_t{1} << (pid % kBits);
  std::uint64_t& word = ever_[static_cast<std::size_t>(pid / kBits)];
  word = inside ? word | bit : word & ~bit;
}

}  // namespace joulery::meter
