#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/files.hpp"
#include "base/result.hpp"
#include "meter/attribution.hpp"
#include "meter/gpu_accounts.hpp"
#include "meter/process_scan.hpp"

namespace joulery::meter {

/// Which processes are, or were, the workload's: drivers of GPUs tell use by process number, often only after
/// the process has ended. Looks allocate nothing once warm. Not thread-safe.
class WorkloadProcesses final : public ProcessOwner {
 public:
  /// `attribution` must outlive it.
  static Result<std::unique_ptr<WorkloadProcesses>> open(const SystemRoot& root, Attribution& attribution);

  /// Takes note of the processes that there are now.
  void refresh() override;
  /// A process that ended counts as what it was. One that was never seen is not the workload's.
  bool is_workloads(int pid) override;
  /// Are the driver's process numbers ours? In a container with numbers of its own they are not.
  bool numbers_are_the_hosts() const override { return numbers_are_the_hosts_; }

 private:
  WorkloadProcesses(ProcessScanner scanner, Attribution& attribution)
      : attribution_(attribution), scanner_(std::move(scanner)) {}
  bool noted(int pid) const;
  void note(int pid, bool inside);

  Attribution& attribution_;
  ProcessScanner scanner_;
  std::vector<int> now_;
  /// One bit per process number.
  std::vector<std::uint64_t> ever_;
  bool numbers_are_the_hosts_ = true;
};

}  // namespace joulery::meter
