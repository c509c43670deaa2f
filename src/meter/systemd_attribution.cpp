#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <optional>

#include "base/dynamic_library.hpp"
#include "meter/attributions.hpp"
#include "meter/cgroup.hpp"
#include "meter/plugin.hpp"

namespace joulery::meter {
namespace {

constexpr const char* kPluginFile = "libjoulery_systemd.so";

Error reply_error(const JouleryScopeReply& reply) {
  return Error{Error::Kind::environment, reply.message, reply.hint};
}

/// The scope functions of the plug-in, checked.
Result<const JouleryScopeApi*> load_scope_api(const std::string& library_directory) {
  if (library_directory.empty()) return environment_error("the systemd plug-in is not part of this program");
  const std::string path = library_directory + "/" + kPluginFile;
  if (::access(path.c_str(), F_OK) != 0) {
    return environment_error(fmt::format("the systemd plug-in is not installed ({})", path),
                             "build with libsystemd-dev installed");
  }
  JOULERY_ASSIGN(const DynamicLibrary library, DynamicLibrary::open(path));
  auto* entry = library.function<JouleryPluginEntry>(JOULERY_PLUGIN_ENTRY);
  const JouleryHost host{JOULERY_PLUGIN_ABI_VERSION, sizeof(JouleryHost)};
  JouleryPlugin plugin{JOULERY_PLUGIN_ABI_VERSION, sizeof(JouleryPlugin), nullptr, nullptr};
  const int refused = entry == nullptr ? -ENOSYS : entry(&host, &plugin);
  if (refused != 0 || plugin.abi_version != JOULERY_PLUGIN_ABI_VERSION ||
      plugin.struct_size < sizeof(JouleryPlugin)) {
    return environment_error(
        fmt::format("{} is of another version of joulery (plug-in interface {}, this program's is {})", path,
                    entry == nullptr ? 0 : plugin.abi_version, JOULERY_PLUGIN_ABI_VERSION),
        "install joulery and its plug-ins from the same build");
  }
  const JouleryScopeApi* scope = plugin.scope;
  if (scope == nullptr || scope->struct_size < sizeof(JouleryScopeApi) || scope->probe == nullptr ||
      scope->start == nullptr) {
    return environment_error(fmt::format("{} makes no scopes", path));
  }
  return scope;
}

class SystemdAttribution final : public Attribution {
 public:
  SystemdAttribution(const AttributionOptions& options, const JouleryScopeApi* scope)
      : root_(options.root), clock_(options.clock), scope_(scope), address_(options.systemd_bus_address) {
    timeout_milliseconds_ = static_cast<std::uint32_t>(
        std::clamp(std::lround(options.systemd_timeout_seconds * 1000), 1L, 60'000L));
    user_bus_ = options.systemd_bus == SystemdBus::automatic ? ::geteuid() != 0
                                                             : options.systemd_bus == SystemdBus::user;
    unit_name_ = fmt::format("joulery-{}-{}.scope", ::getpid(), options.short_id);
  }

  Tier tier() const override { return Tier::systemd_scope; }
  const std::string& can_miss() const override {
    static const std::string text =
        "processes that other programs start on the workload's behalf (a container daemon, a systemd "
        "service) or that "
        "move to another cgroup, and work of kernel threads";
    return text;
  }

  Status probe() const {
    JouleryScopeReply reply{};
    reply.struct_size = sizeof(reply);
    const JouleryScopeRequest request = make_request(0);
    if (scope_->probe(&request, &reply) != 0) return std::unexpected(reply_error(reply));
    return {};
  }

  Status adopt(int pid) override {
    JouleryScopeReply reply{};
    reply.struct_size = sizeof(reply);
    const JouleryScopeRequest request = make_request(pid);
    if (scope_->start(&request, &reply) != 0) return std::unexpected(reply_error(reply));
    JOULERY_ASSIGN(const std::string folder, cgroup_folder(root_, reply.control_group));
    JOULERY_ASSIGN(CgroupReader reader, CgroupReader::open(root_, folder, clock_));
    reader_ = std::move(reader);
    return {};
  }

  WorkloadUsage read() override {
    if (!reader_) return last_;
    const WorkloadUsage now = reader_->read();
    if (now.valid) {
      last_ = now;
    } else {
      // systemd removes the cgroup as soon as it is empty, maybe before our last look: then the kernel's
      // account of the children that we reaped is newer.
      last_.cpu_seconds = std::max(last_.cpu_seconds, reaped_seconds_);
      last_.memory_bytes = 0;
      last_.processes = 0;
    }
    return last_;
  }
  bool has_processes() override { return reader_ && reader_->populated(); }
  int count_processes() override { return reader_ ? reader_->count_processes() : -1; }
  void list_processes(std::vector<int>& pids) override {
    if (reader_) reader_->list_processes(pids);
  }
  bool contains(int pid) override { return reader_ && reader_->contains(pid); }
  void reaped(int, double cpu_seconds, double peak_memory_bytes) override {
    reaped_seconds_ += cpu_seconds;
    last_.peak_memory_bytes = std::max(last_.peak_memory_bytes, peak_memory_bytes);
  }
  void finish() override { reader_.reset(); }

 private:
  JouleryScopeRequest make_request(int pid) const {
    JouleryScopeRequest request{};
    request.struct_size = sizeof(request);
    request.pid = pid;
    request.user_bus = user_bus_ ? 1 : 0;
    request.timeout_milliseconds = timeout_milliseconds_;
    request.address = address_.empty() ? nullptr : address_.c_str();
    request.unit_name = unit_name_.c_str();
    request.description = "workload metered by joulery";
    return request;
  }

  const SystemRoot root_;
  const Clock& clock_;
  const JouleryScopeApi* scope_;
  std::string address_;
  std::string unit_name_;
  bool user_bus_ = false;
  std::uint32_t timeout_milliseconds_ = 0;
  std::optional<CgroupReader> reader_;
  double reaped_seconds_ = 0;
  WorkloadUsage last_;
};

}  // namespace

Result<std::unique_ptr<Attribution>> make_systemd_attribution(const AttributionOptions& options) {
  JOULERY_ASSIGN(const JouleryScopeApi* scope, load_scope_api(options.library_directory));
  auto attribution = std::make_unique<SystemdAttribution>(options, scope);
  JOULERY_CHECK_OK(attribution->probe());
  return attribution;
}

}  // namespace joulery::meter
