#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/files.hpp"
#include "base/result.hpp"
#include "meter/attribution.hpp"
#include "meter/process_scan.hpp"
#include "meter/scan_budget.hpp"

namespace joulery::meter {

/// One cgroup v2 hierarchy that is mounted.
struct CgroupMount {
  std::string mount_point;
  /// The cgroup that is mounted there, as our cgroup namespace names it.
  std::string root;
};
/// The cgroup2 mounts in the text of /proc/<pid>/mountinfo, in order.
std::vector<CgroupMount> parse_cgroup_mounts(std::string_view mountinfo);
/// The v2 path in the text of /proc/<pid>/cgroup; nothing if there is no v2 hierarchy.
std::optional<std::string> parse_unified_path(std::string_view cgroup_file);

/// The folder of the cgroup `path` (from the hierarchy's root, such as systemd's ControlGroup). Environment
/// error that says what is in the way: no v2 hierarchy mounted, or the cgroup is outside our namespace.
Result<std::string> cgroup_folder(const SystemRoot& root, const std::string& path);
/// The folder of the cgroup that we are in.
Result<std::string> own_cgroup_folder(const SystemRoot& root);

/// "joulery-<pid>-<start ticks>-<short id>": whose cgroup it is can be told after its owner has died.
struct CgroupName {
  int pid = 0;
  std::uint64_t start_ticks = 0;
  std::string short_id;
  std::string text() const;
  static std::optional<CgroupName> parse(std::string_view text);
};

/// Removes the empty cgroups in `parent` whose owners are dead; returns how many.
int remove_orphaned_cgroups(const SystemRoot& root, const std::string& parent);

/// Removes a cgroup and those inside it, as far as no process is in them; true if it is gone.
bool remove_cgroup(const SystemRoot& root, const std::string& folder);

/// CPU time, memory and processes of one cgroup with all below it. Reads allocate nothing. Not thread-safe.
class CgroupReader {
 public:
  /// Environment error if the cgroup keeps no CPU time.
  static Result<CgroupReader> open(const SystemRoot& root, const std::string& folder, const Clock& clock);
  WorkloadUsage read();
  /// By cgroup.events; true if it can't be read but processes are listed.
  bool populated();
  /// Counted now; -1 if the list can't be read.
  int count_processes();
  /// Appends the processes in the cgroup itself, not those in cgroups inside it.
  void list_processes(std::vector<int>& pids);
  /// In the cgroup or in one inside it?
  bool contains(int pid) { return scanner_.in_cgroup(pid, name_); }

 private:
  CgroupReader(PolledFile cpu, ProcessScanner scanner, const Clock& clock)
      : budget_(clock), cpu_(std::move(cpu)), scanner_(std::move(scanner)) {}
  void read_memory(WorkloadUsage& usage);
  void scan_memory();

  ScanBudget budget_;
  PolledFile cpu_;
  ProcessScanner scanner_;
  std::string name_;
  std::optional<PolledFile> memory_;
  std::optional<PolledFile> memory_peak_;
  std::optional<PolledFile> events_;
  std::optional<PolledFile> members_;
  std::vector<char> buffer_;
  WorkloadUsage last_;
};

}  // namespace joulery::meter
