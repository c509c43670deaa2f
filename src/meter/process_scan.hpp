#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/files.hpp"
#include "base/result.hpp"

namespace joulery::meter {

/// What /proc/<pid>/stat tells of one process. Times are of all its threads, dead ones too.
struct ProcessStat {
  int pid = 0;
  char state = '?';
  int parent = 0;
  std::uint64_t own_ticks = 0;
  /// Of children that it waited for, and theirs.
  std::uint64_t waited_ticks = 0;
  int threads = 0;
  /// Ticks since boot: with the pid, the identity of a process.
  std::uint64_t start_ticks = 0;
  std::uint64_t resident_pages = 0;
  /// A process whose first thread has ended is a zombie by name, but lives on in its other threads.
  bool alive() const { return (state != 'Z' && state != 'X') || threads > 1; }
};
/// Nothing if the text is not that of a stat file. The name, in brackets, may hold anything.
std::optional<ProcessStat> parse_process_stat(std::string_view text);

/// Sums over the descendants of one process that are there now.
struct TreeScan {
  /// Own time of each and of the children that each has waited for.
  double cpu_seconds = 0;
  double memory_bytes = 0;
  /// Not counting zombies.
  int processes = 0;
};

/// Reads processes from /proc. After its vectors have grown, reads allocate nothing. Not thread-safe.
class ProcessScanner {
 public:
  static Result<ProcessScanner> open(const SystemRoot& root);

  std::optional<ProcessStat> stat(int pid);
  /// Resident memory; 0 if it is gone.
  double resident_bytes(int pid);
  /// Its own pages and its part of those it shares with others (PSS), so that processes of a fork add up to
  /// what they really hold; resident memory where the kernel doesn't tell.
  double proportional_bytes(int pid);
  /// Descendants of `ancestor`, parents before children: a child that dies meanwhile is then missed until its
  /// parent's own figure has it, and never counted twice. `excluded` (sorted) are not followed. Memory is
  /// summed only `with_memory`: it costs more than all the rest.
  TreeScan scan_descendants(int ancestor, const std::vector<int>& excluded, bool with_memory);
  /// Those that the last scan found, dead ones among them.
  const std::vector<int>& last_descendants() const { return queue_; }
  /// Is the process in the cgroup of this name, or in one inside it?
  bool in_cgroup(int pid, std::string_view name);
  /// Direct children of `parent`, in `children`.
  void list_children(int parent, std::vector<int>& children);

 private:
  explicit ProcessScanner(FileDescriptor proc) : proc_(std::move(proc)) {}
  /// `threads` of the parent; 0 if not known.
  void list_children(int parent, int threads, std::vector<int>& children);
  /// What one read gives: the kernel hands out its one-line files whole.
  std::string_view read_line(const char* relative_path);
  std::string_view read_file(const char* relative_path);
  /// Calls `each` for every number that names an entry of the folder.
  template <class Each>
  void for_each_numbered(const char* relative_path, Each each);
  void append_children_of_task(int process, int task, std::vector<int>& children);
  void read_parent_table();
  double own_seconds(const ProcessStat& process);

  struct Link {
    int parent;
    int pid;
  };
  FileDescriptor proc_;
  /// /proc/<pid>/task/<tid>/children needs CONFIG_PROC_CHILDREN; without it all processes are read.
  bool has_children_files_ = true;
  std::vector<Link> parent_table_;  // sorted by parent; only without children files
  std::vector<int> queue_;
  std::vector<int> tasks_;
  std::vector<char> buffer_;
  double seconds_per_tick_ = 0.01;
  double page_bytes_ = 4096;
};

}  // namespace joulery::meter
