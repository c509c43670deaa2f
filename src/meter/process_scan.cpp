#include "meter/process_scan.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/text.hpp"

namespace joulery::meter {
namespace {

constexpr std::size_t kBufferBytes = 1 << 16;

/// A path below /proc, without allocating.
class ProcPath {
 public:
  template <class... Arguments>
  explicit ProcPath(fmt::format_string<Arguments...> format, Arguments... arguments) {
    const auto end = fmt::vformat_to_n(text_.data(), text_.size() - 1, fmt::string_view(format),
                                       fmt::make_format_args(arguments...));
    *end.out = '\0';
  }
  const char* get() const { return text_.data(); }

 private:
  std::array<char, 64> text_{};
};

std::optional<int> process_number(std::string_view text) {
  const auto number = parse_int64(text);
  if (!number || *number <= 0 || *number > (1 << 30)) return std::nullopt;
  return static_cast<int>(*number);
}

}  // namespace

std::optional<ProcessStat> parse_process_stat(std::string_view text) {
  const auto open = text.find(" (");
  const auto close = text.rfind(") ");
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) return std::nullopt;
  ProcessStat result;
  const auto pid = process_number(text.substr(0, open));
  if (!pid) return std::nullopt;
  result.pid = *pid;

  // Fields are numbered from 1 as in proc(5); the one after the name is 3.
  std::string_view rest = text.substr(close + 2);
  for (int field = 3; field <= 24; ++field) {
    const auto blank = rest.find_first_of(" \n");
    const std::string_view word = rest.substr(0, blank);
    if (word.empty()) return std::nullopt;
    rest = blank == std::string_view::npos ? std::string_view() : rest.substr(blank + 1);
    if (field == 3) {
      result.state = word.front();
      continue;
    }
    const bool wanted =
        field == 4 || (field >= 14 && field <= 17) || field == 20 || field == 22 || field == 24;
    if (!wanted) continue;
    const auto number = parse_int64(word);
    if (!number) return std::nullopt;
    const auto count = static_cast<std::uint64_t>(std::max<std::int64_t>(*number, 0));
    if (field == 4) result.parent = static_cast<int>(*number);
    if (field == 14 || field == 15) result.own_ticks += count;
    if (field == 16 || field == 17) result.waited_ticks += count;
    if (field == 20) result.threads = static_cast<int>(*number);
    if (field == 22) result.start_ticks = count;
    if (field == 24) result.resident_pages = count;
  }
  return result;
}

Result<ProcessScanner> ProcessScanner::open(const SystemRoot& root) {
  FileDescriptor proc(::open(root.resolve("/proc").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!proc.valid())
    return environment_error(fmt::format("can't open /proc: {}", errno_text(errno)), "mount /proc");
  ProcessScanner scanner(std::move(proc));
  scanner.buffer_.resize(kBufferBytes);
  scanner.queue_.reserve(256);
  scanner.tasks_.reserve(256);
  const long ticks = ::sysconf(_SC_CLK_TCK);
  if (ticks > 0) scanner.seconds_per_tick_ = 1.0 / static_cast<double>(ticks);
  const long page = ::sysconf(_SC_PAGESIZE);
  if (page > 0) scanner.page_bytes_ = static_cast<double>(page);
  scanner.has_children_files_ = ::faccessat(scanner.proc_.get(), "thread-self/children", R_OK, 0) == 0;
  return scanner;
}

std::string_view ProcessScanner::read_line(const char* relative_path) {
  const FileDescriptor file(::openat(proc_.get(), relative_path, O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return {};
  ssize_t got = 0;
  do {
    got = ::read(file.get(), buffer_.data(), buffer_.size());
  } while (got < 0 && errno == EINTR);
  return {buffer_.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0))};
}

std::string_view ProcessScanner::read_file(const char* relative_path) {
  const FileDescriptor file(::openat(proc_.get(), relative_path, O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return {};
  std::size_t filled = 0;
  while (filled < buffer_.size()) {
    const ssize_t got = ::read(file.get(), buffer_.data() + filled, buffer_.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    filled += static_cast<std::size_t>(got);
  }
  return {buffer_.data(), filled};
}

template <class Each>
void ProcessScanner::for_each_numbered(const char* relative_path, Each each) {
  const FileDescriptor folder(::openat(proc_.get(), relative_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid()) return;
  // getdents64 itself: opendir would allocate at each scan.
  alignas(dirent64) std::array<char, 8192> entries;
  for (;;) {
    const long got = ::syscall(SYS_getdents64, folder.get(), entries.data(), entries.size());
    if (got <= 0) return;
    for (long at = 0; at < got;) {
      const auto* entry = reinterpret_cast<const dirent64*>(entries.data() + at);
      if (const auto number = process_number(entry->d_name)) each(*number);
      at += entry->d_reclen;
    }
  }
}

std::optional<ProcessStat> ProcessScanner::stat(int pid) {
  return parse_process_stat(read_line(ProcPath("{}/stat", pid).get()));
}

double ProcessScanner::resident_bytes(int pid) {
  const std::string_view text = read_line(ProcPath("{}/statm", pid).get());
  const auto first = text.find(' ');
  if (first == std::string_view::npos) return 0;
  const auto second = text.find(' ', first + 1);
  const auto pages =
      parse_int64(text.substr(first + 1, second == std::string_view::npos ? second : second - first - 1));
  return pages && *pages > 0 ? static_cast<double>(*pages) * page_bytes_ : 0;
}

double ProcessScanner::proportional_bytes(int pid) {
  std::string_view text = read_file(ProcPath("{}/smaps_rollup", pid).get());
  constexpr std::string_view kKey = "\nPss:";
  const auto at = text.find(kKey);
  if (at != std::string_view::npos) {
    text = trim(text.substr(at + kKey.size()));
    if (const auto kilobytes = parse_int64(text.substr(0, text.find(' '))); kilobytes && *kilobytes >= 0)
      return static_cast<double>(*kilobytes) * 1024;
  }
  return resident_bytes(pid);
}

double ProcessScanner::own_seconds(const ProcessStat& process) {
  const double ticks = static_cast<double>(process.own_ticks) * seconds_per_tick_;
  // schedstat counts nanoseconds, but of the first thread only.
  if (process.threads != 1) return ticks;
  const std::string_view text = read_line(ProcPath("{}/schedstat", process.pid).get());
  const auto nanoseconds = parse_int64(text.substr(0, text.find(' ')));
  return nanoseconds ? std::max(ticks, static_cast<double>(*nanoseconds) * 1e-9) : ticks;
}

void ProcessScanner::append_children_of_task(int process, int task, std::vector<int>& children) {
  std::string_view text = read_file(ProcPath("{}/task/{}/children", process, task).get());
  while (!text.empty()) {
    const auto blank = text.find(' ');
    // The list is cut where the buffer ends; a number that touches the end may be cut too.
    if (blank == std::string_view::npos) return;
    if (const auto pid = process_number(text.substr(0, blank))) children.push_back(*pid);
    text.remove_prefix(blank + 1);
  }
}

void ProcessScanner::read_parent_table() {
  tasks_.clear();
  for_each_numbered(".", [this](int pid) { tasks_.push_back(pid); });
  parent_table_.clear();
  for (const int pid : tasks_) {
    if (const auto process = stat(pid)) parent_table_.push_back({process->parent, pid});
  }
  std::sort(parent_table_.begin(), parent_table_.end(),
            [](const Link& a, const Link& b) { return a.parent < b.parent; });
}

void ProcessScanner::list_children(int parent, std::vector<int>& children) {
  if (!has_children_files_) read_parent_table();
  list_children(parent, 0, children);
}

void ProcessScanner::list_children(int parent, int threads, std::vector<int>& children) {
  if (!has_children_files_) {
    auto link = std::lower_bound(parent_table_.begin(), parent_table_.end(), parent,
                                 [](const Link& a, int value) { return a.parent < value; });
    for (; link != parent_table_.end() && link->parent == parent; ++link) children.push_back(link->pid);
    return;
  }
  if (threads == 1) {
    append_children_of_task(parent, parent, children);
    return;
  }
  tasks_.clear();
  for_each_numbered(ProcPath("{}/task", parent).get(), [this](int task) { tasks_.push_back(task); });
  for (const int task : tasks_) append_children_of_task(parent, task, children);
}

TreeScan ProcessScanner::scan_descendants(int ancestor, const std::vector<int>& excluded, bool with_memory) {
  TreeScan sum;
  queue_.clear();
  list_children(ancestor, queue_);
  std::erase_if(queue_, [&](int pid) { return std::binary_search(excluded.begin(), excluded.end(), pid); });
  for (std::size_t next = 0; next < queue_.size(); ++next) {
    const int pid = queue_[next];
    const auto process = stat(pid);
    if (!process) continue;
    sum.cpu_seconds += own_seconds(*process) + static_cast<double>(process->waited_ticks) * seconds_per_tick_;
    if (!process->alive()) continue;
    ++sum.processes;
    list_children(pid, process->threads, queue_);
  }
  if (!with_memory) return sum;
  // A process alone shares with nobody of the workload, and its resident size costs less to read.
  for (const int pid : queue_) {
    sum.memory_bytes += sum.processes == 1 ? resident_bytes(pid) : proportional_bytes(pid);
  }
  return sum;
}

bool ProcessScanner::in_cgroup(int pid, std::string_view name) {
  const std::string_view text = read_file(ProcPath("{}/cgroup", pid).get());
  // The line of the v2 hierarchy.
  const auto start = text.starts_with("0::") ? 0 : text.find("\n0::");
  if (name.empty() || start == std::string_view::npos) return false;
  std::string_view path = text.substr(start + 1);
  path = path.substr(0, path.find('\n'));
  for (auto slash = path.find('/'); slash != std::string_view::npos; slash = path.find('/')) {
    path.remove_prefix(slash + 1);
    if (path.substr(0, path.find('/')) == name) return true;
  }
  return false;
}

}  // namespace joulery::meter
