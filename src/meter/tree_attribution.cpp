#include <algorithm>
#include <optional>

#include "meter/attributions.hpp"
#include "meter/descendants.hpp"
#include "meter/scan_budget.hpp"

namespace joulery::meter {
namespace {

class TreeAttribution final : public Attribution {
 public:
  TreeAttribution(Descendants descendants, const Clock& clock)
      : descendants_(std::move(descendants)), budget_(clock) {}

  Tier tier() const override { return Tier::process_tree; }
  const std::string& can_miss() const override {
    static const std::string text =
        "processes that end between two looks when their parent ignores SIGCHLD or never waits for them, and "
        "processes that other programs start on the workload's behalf";
    return text;
  }
  Status adopt(int) override { return {}; }

  WorkloadUsage read() override {
    if (!descendants_) return last_;
    const bool with_memory = budget_.is_due();
    if (with_memory) budget_.begin();
    const TreeScan scan = descendants_->scan(with_memory);
    if (with_memory) {
      budget_.end();
      last_.memory_bytes = scan.memory_bytes;
      last_.peak_memory_bytes = std::max(last_.peak_memory_bytes, scan.memory_bytes);
    }
    // A process that ended between two steps of the scan is missing from it for a moment.
    last_.cpu_seconds = std::max(last_.cpu_seconds, reaped_seconds_ + scan.cpu_seconds);
    last_.processes = scan.processes;
    last_.valid = true;
    return last_;
  }

  bool has_processes() override { return descendants_ && descendants_->any_left(); }
  int count_processes() override { return descendants_ ? descendants_->scan(false).processes : -1; }

  void reaped(int pid, double cpu_seconds, double peak_memory_bytes) override {
    if (!descendants_ || descendants_->is_earlier_child(pid)) return;
    reaped_seconds_ += cpu_seconds;
    last_.peak_memory_bytes = std::max(last_.peak_memory_bytes, peak_memory_bytes);
  }

  void list_processes(std::vector<int>& pids) override {
    if (descendants_) pids.insert(pids.end(), descendants_->last().begin(), descendants_->last().end());
  }

  void finish() override { descendants_.reset(); }

 private:
  std::optional<Descendants> descendants_;
  ScanBudget budget_;
  double reaped_seconds_ = 0;
  WorkloadUsage last_;
};

}  // namespace

Result<std::unique_ptr<Attribution>> make_tree_attribution(const AttributionOptions& options) {
  JOULERY_ASSIGN(Descendants descendants, Descendants::follow(options.root));
  return std::make_unique<TreeAttribution>(std::move(descendants), options.clock);
}

}  // namespace joulery::meter
