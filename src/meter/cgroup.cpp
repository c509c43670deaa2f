#include "meter/cgroup.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/text.hpp"

namespace joulery::meter {
namespace {

constexpr std::string_view kNamePrefix = "joulery-";

/// Undoes the octal escapes (\040 for a blank) of mountinfo.
std::string unescape(std::string_view text) {
  std::string plain;
  const auto is_octal = [](char c) { return c >= '0' && c <= '7'; };
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && is_octal(text[i + 1]) && is_octal(text[i + 2]) &&
        is_octal(text[i + 3])) {
      plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

/// The rest of `path` below `folder`; nothing if it is not there.
std::optional<std::string> below(const std::string& path, const std::string& folder) {
  if (folder == "/") return path == "/" ? "" : path;
  if (path == folder) return "";
  if (path.starts_with(folder + "/")) return path.substr(folder.size());
  return std::nullopt;
}

/// The number after `key` and a blank, at the start of a line.
std::optional<std::int64_t> number_of(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const auto end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ' ') {
      return parse_int64(line.substr(key.size() + 1));
    }
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return std::nullopt;
}

std::optional<PolledFile> open_if_there(const SystemRoot& root, const std::string& path) {
  auto file = PolledFile::open(root, path);
  if (!file.has_value()) return std::nullopt;
  return std::move(*file);
}

/// Removes a cgroup and those that the workload made inside it.
bool remove_tree(const SystemRoot& root, const std::string& folder, int depth) {
  if (::rmdir(root.resolve(folder).c_str()) == 0) return true;
  if (depth == 0) return false;
  for (const auto& name : root.list(folder)) {
    struct stat status = {};
    const std::string path = fmt::format("{}/{}", folder, name);
    if (::lstat(root.resolve(path).c_str(), &status) == 0 && S_ISDIR(status.st_mode))
      remove_tree(root, path, depth - 1);
  }
  return ::rmdir(root.resolve(folder).c_str()) == 0;
}

/// Calls `each` for every process in the text of cgroup.procs; returns how many there are.
template <class Each>
int for_each_pid(std::string_view text, Each each) {
  int processes = 0;
  for (auto end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
    const auto pid = parse_int64(text.substr(0, end));
    text.remove_prefix(end + 1);
    if (!pid || *pid <= 0) continue;
    ++processes;
    each(static_cast<int>(*pid));
  }
  return processes;
}

bool is_populated(const SystemRoot& root, const std::string& folder) {
  const auto events = root.read_text(folder + "/cgroup.events", 4096);
  return !events.has_value() || number_of(*events, "populated") != 0;
}

}  // namespace

std::vector<CgroupMount> parse_cgroup_mounts(std::string_view mountinfo) {
  std::vector<CgroupMount> mounts;
  for (const auto line : split(mountinfo, '\n')) {
    const auto words = split(line, ' ');
    // id parent device root mount-point options [optional…] - type source options
    const auto dash = std::find(words.begin(), words.end(), "-");
    if (dash - words.begin() < 6 || words.end() - dash < 2 || *(dash + 1) != "cgroup2") continue;
    mounts.push_back({unescape(words[4]), unescape(words[3])});
  }
  return mounts;
}

std::optional<std::string> parse_unified_path(std::string_view cgroup_file) {
  for (const auto line : split(cgroup_file, '\n')) {
    if (line.starts_with("0::/")) return std::string(line.substr(3));
  }
  return std::nullopt;
}

Result<std::string> cgroup_folder(const SystemRoot& root, const std::string& path) {
  JOULERY_ASSIGN(const std::string mountinfo, root.read_text("/proc/self/mountinfo"));
  const auto mounts = parse_cgroup_mounts(mountinfo);
  if (mounts.empty()) {
    return environment_error(
        "no cgroup v2 hierarchy is mounted",
        "boot with systemd.unified_cgroup_hierarchy=1, or: mount -t cgroup2 none /sys/fs/cgroup/unified");
  }
  if (path == "/.." || path.starts_with("/../")) {
    return environment_error(fmt::format("the cgroup {} is outside our cgroup namespace", path));
  }
  // The deepest mount that holds the path; of equal ones the last, which hides the others.
  std::optional<std::string> folder;
  std::size_t depth = 0;
  for (const auto& mount : mounts) {
    const auto rest = below(path, mount.root);
    if (!rest || (folder && mount.root.size() < depth)) continue;
    folder = mount.mount_point + *rest;
    depth = mount.root.size();
  }
  if (!folder) {
    return environment_error(fmt::format("the cgroup {} is not below what is mounted (cgroup {} at {})", path,
                                         mounts.back().root, mounts.back().mount_point));
  }
  if (!root.exists(*folder + "/cgroup.procs")) {
    return environment_error(fmt::format("{} is not there or is no cgroup", *folder));
  }
  return *folder;
}

Result<std::string> own_cgroup_folder(const SystemRoot& root) {
  JOULERY_ASSIGN(const std::string text, root.read_text("/proc/self/cgroup"));
  const auto path = parse_unified_path(text);
  if (!path) return environment_error("this kernel has no cgroup v2 hierarchy");
  return cgroup_folder(root, *path);
}

std::string CgroupName::text() const {
  return fmt::format("{}{}-{}-{}", kNamePrefix, pid, start_ticks, short_id);
}

std::optional<CgroupName> CgroupName::parse(std::string_view text) {
  if (!text.starts_with(kNamePrefix)) return std::nullopt;
  const auto parts = split(text.substr(kNamePrefix.size()), '-');
  if (parts.size() != 3 || parts[2].empty()) return std::nullopt;
  const auto pid = parse_int64(parts[0]);
  const auto start = parse_uint64(parts[1]);
  if (!pid || *pid <= 0 || *pid > (1 << 30) || !start) return std::nullopt;
  return CgroupName{static_cast<int>(*pid), *start, std::string(parts[2])};
}

bool remove_cgroup(const SystemRoot& root, const std::string& folder) {
  constexpr int kDeepest = 8;
  return remove_tree(root, folder, kDeepest);
}

int remove_orphaned_cgroups(const SystemRoot& root, const std::string& parent) {
  auto scanner = ProcessScanner::open(root);
  if (!scanner.has_value()) return 0;
  int removed = 0;
  for (const auto& name : root.list(parent)) {
    const auto owner = CgroupName::parse(name);
    if (!owner) continue;
    const auto process = scanner->stat(owner->pid);
    if (process && process->start_ticks == owner->start_ticks) continue;
    const std::string folder = fmt::format("{}/{}", parent, name);
    if (!is_populated(root, folder) && remove_cgroup(root, folder)) ++removed;
  }
  return removed;
}

Result<CgroupReader> CgroupReader::open(const SystemRoot& root, const std::string& folder,
                                        const Clock& clock) {
  JOULERY_ASSIGN(PolledFile cpu, PolledFile::open(root, folder + "/cpu.stat"));
  JOULERY_ASSIGN(ProcessScanner scanner, ProcessScanner::open(root));
  CgroupReader reader(std::move(cpu), std::move(scanner), clock);
  reader.buffer_.resize(1 << 16);
  reader.name_ = folder.substr(folder.rfind('/') + 1);
  reader.memory_ = open_if_there(root, folder + "/memory.current");
  reader.memory_peak_ = open_if_there(root, folder + "/memory.peak");
  reader.events_ = open_if_there(root, folder + "/cgroup.events");
  reader.members_ = open_if_there(root, folder + "/cgroup.procs");
  if (!number_of(reader.cpu_.read(reader.buffer_), "usage_usec")) {
    return environment_error(fmt::format("{}/cpu.stat has no usage_usec", folder));
  }
  return reader;
}

WorkloadUsage CgroupReader::read() {
  const auto microseconds = number_of(cpu_.read(buffer_), "usage_usec");
  if (!microseconds) {
    WorkloadUsage stale = last_;
    stale.valid = false;
    return stale;
  }
  last_.valid = true;
  last_.cpu_seconds = std::max(last_.cpu_seconds, static_cast<double>(*microseconds) * 1e-6);
  read_memory(last_);
  return last_;
}

void CgroupReader::read_memory(WorkloadUsage& usage) {
  if (!budget_.is_due()) return;
  budget_.begin();
  scan_memory();
  if (memory_) {
    if (const auto bytes = parse_int64(trim(memory_->read(buffer_))))
      usage.memory_bytes = static_cast<double>(*bytes);
  }
  usage.peak_memory_bytes = std::max(usage.peak_memory_bytes, usage.memory_bytes);
  if (memory_peak_) {
    if (const auto bytes = parse_int64(trim(memory_peak_->read(buffer_)))) {
      usage.peak_memory_bytes = static_cast<double>(*bytes);
    }
  }
  budget_.end();
}

void CgroupReader::scan_memory() {
  if (!members_) return;
  double bytes = 0;
  const std::string_view members = members_->read(buffer_);
  // A process alone shares with nobody of the workload, and its resident size costs less to read.
  const bool alone = std::count(members.begin(), members.end(), '\n') <= 1;
  const int processes = for_each_pid(members, [&](int pid) {
    if (!memory_) bytes += alone ? scanner_.resident_bytes(pid) : scanner_.proportional_bytes(pid);
  });
  last_.processes = processes;
  if (!memory_) last_.memory_bytes = bytes;
}

int CgroupReader::count_processes() {
  return members_ ? for_each_pid(members_->read(buffer_), [](int) {}) : -1;
}

void CgroupReader::list_processes(std::vector<int>& pids) {
  if (members_) for_each_pid(members_->read(buffer_), [&](int pid) { pids.push_back(pid); });
}

bool CgroupReader::populated() {
  if (events_) {
    if (const auto value = number_of(events_->read(buffer_), "populated")) return *value != 0;
  }
  return members_ && !members_->read(buffer_).empty();
}

}  // namespace joulery::meter
