#include "fake_systemd.hpp"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>

namespace joulery::meter {
namespace {

struct Service {
  FakeBehaviour behaviour;
  std::string cgroup_folder;
  std::string cgroup_path;
  std::string scope;  // unit name of the one scope
};

constexpr const char* kUnitPath = "/org/freedesktop/systemd1/unit/fake";
constexpr const char* kJobPath = "/org/freedesktop/systemd1/job/1";

/// The process ids in the PIDs property of a StartTransientUnit call.
std::uint32_t pid_in(sd_bus_message* message) {
  std::uint32_t pid = 0;
  sd_bus_message_enter_container(message, 'a', "(sv)");
  while (sd_bus_message_enter_container(message, 'r', "sv") > 0) {
    const char* name = nullptr;
    sd_bus_message_read(message, "s", &name);
    if (std::string(name) == "PIDs") {
      sd_bus_message_enter_container(message, 'v', "au");
      sd_bus_message_enter_container(message, 'a', "u");
      sd_bus_message_read(message, "u", &pid);
      sd_bus_message_exit_container(message);
      sd_bus_message_exit_container(message);
    } else {
      sd_bus_message_skip(message, "v");
    }
    sd_bus_message_exit_container(message);
  }
  sd_bus_message_exit_container(message);
  return pid;
}

int start_transient_unit(sd_bus_message* message, void* data, sd_bus_error* error) {
  auto* service = static_cast<Service*>(data);
  if (service->behaviour == FakeBehaviour::never_answers) return 1;
  if (service->behaviour == FakeBehaviour::denies) {
    return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED, "Access denied by the fake");
  }
  const char* name = nullptr;
  const char* mode = nullptr;
  sd_bus_message_read(message, "ss", &name, &mode);
  service->scope = name;
  const std::uint32_t pid = pid_in(message);
  if (service->behaviour == FakeBehaviour::works) {
    const std::string folder = service->cgroup_folder + "/" + service->scope;
    if (::mkdir(folder.c_str(), 0755) != 0) return sd_bus_error_set_errno(error, errno);
    std::ofstream(folder + "/cgroup.procs") << pid << std::flush;
  }
  sd_bus_reply_method_return(message, "o", kJobPath);
  if (service->behaviour == FakeBehaviour::job_hangs) return 1;
  const char* result = service->behaviour == FakeBehaviour::job_fails ? "failed" : "done";
  // Another unit's job first: it must not be taken for ours.
  for (const char* unit : {"other.scope", name}) {
    const bool ours = unit == name;
    sd_bus_emit_signal(sd_bus_message_get_bus(message), "/org/freedesktop/systemd1",
                       "org.freedesktop.systemd1.Manager", "JobRemoved", "uoss", 1, kJobPath, unit,
                       ours ? result : "failed");
  }
  return 1;
}

int get_unit(sd_bus_message* message, void*, sd_bus_error*) {
  return sd_bus_reply_method_return(message, "o", kUnitPath);
}

int control_group(sd_bus*, const char*, const char*, const char*, sd_bus_message* reply, void* data,
                  sd_bus_error*) {
  const auto* service = static_cast<Service*>(data);
  const bool none = service->behaviour == FakeBehaviour::gives_no_cgroup;
  const std::string path = none ? "" : service->cgroup_path + "/" + service->scope;
  return sd_bus_message_append(reply, "s", path.c_str());
}

const sd_bus_vtable kManagerTable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("StartTransientUnit", "ssa(sv)a(sa(sv))", "o", start_transient_unit,
                  SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("GetUnit", "s", "o", get_unit, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_SIGNAL("JobRemoved", "uoss", 0),
    SD_BUS_VTABLE_END,
};
const sd_bus_vtable kScopeTable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_PROPERTY("ControlGroup", "s", control_group, 0, 0),
    SD_BUS_VTABLE_END,
};

/// As systemd does: an empty scope is gone.
void remove_if_empty(const Service& service) {
  const std::string folder = service.cgroup_folder + "/" + service.scope;
  if (!service.scope.empty()) ::rmdir(folder.c_str());
}

/// Kills what is in a scope and removes it.
void remove_scope(const std::string& folder) {
  std::ifstream members(folder + "/cgroup.procs");
  for (int pid = 0; members >> pid;) ::kill(pid, SIGKILL);
  // The kernel takes a moment to let go of those that were killed.
  constexpr int kAttempts = 100;
  for (int i = 0; i < kAttempts && ::rmdir(folder.c_str()) != 0 && errno == EBUSY; ++i) ::usleep(10'000);
}

/// Removes scopes that test programs left when they were killed, and this one's own. A scope is named after
/// the process that asked for it, "joulery-<pid>-test.scope"; that of another one that lives is its own
/// business.
void remove_left_scopes(const std::string& folder) {
  constexpr std::string_view kPrefix = "joulery-";
  constexpr std::string_view kSuffix = "-test.scope";
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(folder, failed)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) continue;
    int owner = 0;
    const char* end_of_pid = name.data() + name.size() - kSuffix.size();
    const auto [end, error] = std::from_chars(name.data() + kPrefix.size(), end_of_pid, owner);
    if (error != std::errc() || end != end_of_pid || owner <= 0) continue;
    const bool dead = ::kill(owner, 0) != 0 && errno == ESRCH;
    if (dead || owner == ::getpid()) remove_scope(entry.path());
  }
}

[[noreturn]] void serve(Service service, const std::string& address, int ready) {
  sd_bus* bus = nullptr;
  sd_bus_new(&bus);
  sd_bus_set_address(bus, address.c_str());
  sd_bus_set_bus_client(bus, 1);
  if (sd_bus_start(bus) < 0) ::_exit(1);
  sd_bus_add_object_vtable(bus, nullptr, "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager",
                           kManagerTable, &service);
  sd_bus_add_object_vtable(bus, nullptr, kUnitPath, "org.freedesktop.systemd1.Scope", kScopeTable, &service);
  if (sd_bus_request_name(bus, "org.freedesktop.systemd1", 0) < 0) ::_exit(2);
  if (::write(ready, "r", 1) != 1) ::_exit(3);
  for (;;) {
    const int processed = sd_bus_process(bus, nullptr);
    if (processed < 0) ::_exit(4);
    remove_if_empty(service);
    if (processed == 0) sd_bus_wait(bus, 200);
  }
}

/// Reads one line or byte that a child writes when it is ready; empty if it ends before.
std::string read_ready(int descriptor) {
  std::array<char, 512> buffer{};
  const ssize_t got = ::read(descriptor, buffer.data(), buffer.size() - 1);
  ::close(descriptor);
  return got > 0 ? std::string(buffer.data(), static_cast<std::size_t>(got)) : std::string();
}

void end(int pid) {
  if (pid <= 0) return;
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
}

int start_daemon(const std::string& config, std::string& address) {
  int ends[2];
  if (::pipe(ends) != 0) return -1;
  const int pid = ::fork();
  if (pid == 0) {
    ::close(ends[0]);
    const std::string print = "--print-address=" + std::to_string(ends[1]);
    const std::string file = "--config-file=" + config;
    ::execl(JOULERY_DBUS_DAEMON, "dbus-daemon", "--nofork", "--nopidfile", file.c_str(), print.c_str(),
            static_cast<char*>(nullptr));
    ::_exit(127);
  }
  ::close(ends[1]);
  address = read_ready(ends[0]);
  while (!address.empty() && address.back() == '\n') address.pop_back();
  return pid;
}

}  // namespace

std::unique_ptr<FakeSystemd> FakeSystemd::start(FakeBehaviour behaviour, const std::string& cgroup_folder,
                                                const std::string& cgroup_path) {
  remove_left_scopes(cgroup_folder);
  std::string pattern = (std::filesystem::temp_directory_path() / "joulery_bus_XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) return nullptr;
  std::unique_ptr<FakeSystemd> fake(new FakeSystemd);
  fake->folder_ = pattern;
  fake->cgroup_folder_ = cgroup_folder;
  const std::string config = pattern + "/bus.conf";
  std::ofstream(config)
      << "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\" "
         "\"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n<busconfig>"
      << "<listen>unix:path=" << pattern << "/socket</listen><auth>EXTERNAL</auth>"
      << "<policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>"
      << "<allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>\n";
  fake->daemon_ = start_daemon(config, fake->address_);
  if (fake->address_.empty()) return nullptr;
  if (behaviour == FakeBehaviour::absent) return fake;
  int ends[2];
  if (::pipe(ends) != 0) return nullptr;
  fake->service_ = ::fork();
  if (fake->service_ == 0) {
    ::close(ends[0]);
    serve({behaviour, cgroup_folder, cgroup_path, {}}, fake->address_, ends[1]);
  }
  ::close(ends[1]);
  if (read_ready(ends[0]).empty()) return nullptr;
  return fake;
}

FakeSystemd::~FakeSystemd() {
  end(service_);
  end(daemon_);
  remove_left_scopes(cgroup_folder_);
  std::filesystem::remove_all(folder_);
}

}  // namespace joulery::meter
