#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/text.hpp"
#include "meter/attributions.hpp"
#include "meter/cgroup.hpp"

namespace joulery::meter {
namespace {

std::string hint_for(int error) {
  switch (error) {
    case EACCES:
    case EPERM:
      return "run it as root, or in a cgroup of yours: systemd-run --user --scope -p Delegate=yes joulery "
             "run …";
    case EROFS:
      return "the container's cgroup file system is read-only: mount it writable, or meter from outside";
    case ENOSPC:
    case EAGAIN:
      return "a limit on cgroups is reached: see cgroup.max.descendants and cgroup.max.depth";
    default:
      return {};
  }
}

class CgroupAttribution final : public Attribution {
 public:
  CgroupAttribution(const SystemRoot& root, std::string folder, FileDescriptor descriptor,
                    CgroupReader reader)
      : root_(root),
        folder_(std::move(folder)),
        descriptor_(std::move(descriptor)),
        reader_(std::move(reader)) {}
  ~CgroupAttribution() override { finish(); }

  Tier tier() const override { return Tier::cgroup; }
  const std::string& can_miss() const override {
    static const std::string text =
        "processes that other programs start on the workload's behalf (a container daemon, a systemd "
        "service) or that "
        "move to another cgroup, and work of kernel threads";
    return text;
  }
  int cgroup_descriptor() const override { return descriptor_.get(); }

  Status adopt(int pid) override {
    const auto members = root_.read_text(folder_ + "/cgroup.procs");
    if (members.has_value() && parse_int64(trim(*members)) == pid) return {};
    // Slower than to start in it: the kernel waits for all CPUs.
    const FileDescriptor file(::open(root_.resolve(folder_ + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
    const std::string text = std::to_string(pid);
    if (file.valid() && ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()))
      return {};
    const int error = errno;
    return environment_error(
        fmt::format("can't move the command into cgroup {}: {}", folder_, errno_text(error)),
        hint_for(error));
  }

  WorkloadUsage read() override {
    WorkloadUsage usage = reader_.read();
    usage.peak_memory_bytes = std::max(usage.peak_memory_bytes, peak_of_reaped_);
    // A process that moved to another cgroup is lost to ours, but not to whoever waits for it.
    usage.cpu_seconds = std::max(usage.cpu_seconds, reaped_cpu_seconds_);
    return usage;
  }
  bool has_processes() override { return reader_.populated(); }
  int count_processes() override { return reader_.count_processes(); }
  void list_processes(std::vector<int>& pids) override { reader_.list_processes(pids); }
  bool contains(int pid) override { return reader_.contains(pid); }
  void reaped(int, double cpu_seconds, double peak_memory_bytes) override {
    reaped_cpu_seconds_ += cpu_seconds;
    peak_of_reaped_ = std::max(peak_of_reaped_, peak_memory_bytes);
  }

  void finish() override {
    if (folder_.empty()) return;
    descriptor_.reset();
    // Processes that outlive the run keep it busy; it is removed at a later start, when they have ended.
    remove_cgroup(root_, folder_);
    folder_.clear();
  }

 private:
  const SystemRoot root_;
  std::string folder_;
  FileDescriptor descriptor_;
  CgroupReader reader_;
  /// A short process may come and go between two looks.
  double peak_of_reaped_ = 0;
  double reaped_cpu_seconds_ = 0;
};

/// A domain that can't hold processes, because a neighbour made it threaded or it has controllers for its
/// children.
Status check_type(const SystemRoot& root, const std::string& folder) {
  const auto type = root.read_line(folder + "/cgroup.type");
  if (!type.has_value() || *type == "domain") return {};
  return environment_error(
      fmt::format("the cgroup {} would be '{}': it can't hold processes", folder, *type));
}

/// A new folder; while processes of an earlier run of this program keep its name, with a number after it.
Result<std::string> make_folder(const SystemRoot& root, const std::string& parent, const CgroupName& name) {
  constexpr int kAttempts = 100;
  int error = EEXIST;
  for (int attempt = 0; attempt < kAttempts && error == EEXIST; ++attempt) {
    const std::string suffix = attempt == 0 ? "" : fmt::format("x{}", attempt);
    std::string folder = fmt::format("{}/{}{}", parent, name.text(), suffix);
    if (::mkdir(root.resolve(folder).c_str(), 0755) == 0) return folder;
    error = errno;
  }
  return environment_error(fmt::format("can't make a cgroup in {}: {}", parent, errno_text(error)),
                           hint_for(error));
}

}  // namespace

Result<std::unique_ptr<Attribution>> make_cgroup_attribution(const AttributionOptions& options) {
  const SystemRoot& root = options.root;
  JOULERY_ASSIGN(const std::string parent, own_cgroup_folder(root));
  remove_orphaned_cgroups(root, parent);
  JOULERY_ASSIGN(const std::string stat, root.read_text("/proc/self/stat"));
  const auto self = parse_process_stat(stat);
  if (!self)
    return environment_error("can't read our own /proc/self/stat",
                             "mount /proc with the pid namespace we are in");

  JOULERY_ASSIGN(const std::string folder,
                 make_folder(root, parent, {self->pid, self->start_ticks, options.short_id}));
  Status usable = check_type(root, folder);
  FileDescriptor descriptor(::open(root.resolve(folder).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (usable.has_value() && !descriptor.valid()) {
    usable = environment_error(fmt::format("can't open cgroup {}: {}", folder, errno_text(errno)));
  }
  if (usable.has_value()) {
    auto reader = CgroupReader::open(root, folder, options.clock);
    if (reader.has_value()) {
      return std::make_unique<CgroupAttribution>(root, folder, std::move(descriptor), std::move(*reader));
    }
    usable = std::unexpected(std::move(reader).error());
  }
  remove_cgroup(root, folder);
  return std::unexpected(std::move(usable).error());
}

}  // namespace joulery::meter
