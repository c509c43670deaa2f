#include <fmt/format.h>
#include <systemd/sd-bus.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>

#include "meter/plugin.hpp"

// Texts go into the reply's fixed arrays: nothing here throws, and nothing outlives a call.
namespace {

constexpr const char* kService = "org.freedesktop.systemd1";
constexpr const char* kManagerPath = "/org/freedesktop/systemd1";
constexpr const char* kManager = "org.freedesktop.systemd1.Manager";
constexpr const char* kScope = "org.freedesktop.systemd1.Scope";

struct BusCloser {
  void operator()(sd_bus* bus) const { sd_bus_close_unref(bus); }
};
struct MessageUnref {
  void operator()(sd_bus_message* message) const { sd_bus_message_unref(message); }
};
using Bus = std::unique_ptr<sd_bus, BusCloser>;
using Message = std::unique_ptr<sd_bus_message, MessageUnref>;

class BusError {
 public:
  ~BusError() { sd_bus_error_free(&error_); }
  BusError() = default;
  BusError(const BusError&) = delete;
  BusError& operator=(const BusError&) = delete;
  sd_bus_error* get() { return &error_; }
  /// What the service said, else what errno says.
  const char* text(int result) const {
    return error_.message != nullptr ? error_.message : std::strerror(-result);
  }

 private:
  sd_bus_error error_ = {};
};

template <std::size_t kSize, class... Arguments>
void put(char (&target)[kSize], fmt::string_view format, const Arguments&... arguments) {
  const auto end = fmt::vformat_to_n(target, kSize - 1, format, fmt::make_format_args(arguments...));
  *end.out = '\0';
}

std::uint64_t now_microseconds() {
  timespec now = {};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(now.tv_nsec) / 1'000;
}

/// All steps of one request together.
class Deadline {
 public:
  explicit Deadline(std::uint32_t milliseconds)
      : end_(now_microseconds() + std::uint64_t{milliseconds} * 1'000) {}
  std::uint64_t left() const {
    const std::uint64_t now = now_microseconds();
    return now < end_ ? end_ - now : 0;
  }
  /// sd-bus takes 0 for "the default", which is 25 s.
  std::uint64_t left_for_call() const { return std::max<std::uint64_t>(left(), 1); }

 private:
  std::uint64_t end_;
};

int fail(JouleryScopeReply* reply, int result, const char* what, const char* why, const char* hint) {
  if (result == -ETIMEDOUT) {
    put(reply->message, "{}: no answer in time", what);
  } else {
    put(reply->message, "{}: {}", what, why);
  }
  put(reply->hint, "{}", hint);
  return result < 0 ? result : -EIO;
}

/// Takes messages from the bus until `done` or the deadline. 0, -ETIMEDOUT, or the bus's error.
template <class Done>
int process_until(sd_bus* bus, const Deadline& deadline, Done done) {
  while (!done()) {
    const int processed = sd_bus_process(bus, nullptr);
    if (processed < 0) return processed;
    if (processed > 0) continue;
    if (deadline.left() == 0) return -ETIMEDOUT;
    const int waited = sd_bus_wait(bus, deadline.left());
    if (waited < 0 && waited != -EINTR) return waited;
  }
  return 0;
}

int open_bus(const JouleryScopeRequest& request, const Deadline& deadline, Bus& bus,
             JouleryScopeReply* reply) {
  const char* what =
      request.user_bus != 0 ? "can't reach the user's D-Bus" : "can't reach the system's D-Bus";
  const char* hint = request.user_bus != 0 ? "log in through systemd-logind, or: loginctl enable-linger; "
                                             "XDG_RUNTIME_DIR must be set"
                                           : "this machine may not be run by systemd";
  sd_bus* opened = nullptr;
  int result = 0;
  if (request.address != nullptr) {
    result = sd_bus_new(&opened);
    if (result >= 0) result = sd_bus_set_address(opened, request.address);
    if (result >= 0) result = sd_bus_set_bus_client(opened, 1);
    if (result >= 0) result = sd_bus_start(opened);
  } else {
    result = request.user_bus != 0 ? sd_bus_open_user(&opened) : sd_bus_open_system(&opened);
  }
  bus.reset(opened);
  // A call before the greeting is over would wait for it without our deadline.
  if (result >= 0) result = process_until(opened, deadline, [&] { return sd_bus_is_ready(opened) > 0; });
  if (result < 0) return fail(reply, result, what, std::strerror(-result), hint);
  sd_bus_set_method_call_timeout(opened, deadline.left_for_call());
  return 0;
}

int check_service(sd_bus* bus, const Deadline& deadline, JouleryScopeReply* reply) {
  BusError error;
  Message question;
  sd_bus_message* raw = nullptr;
  int result = sd_bus_message_new_method_call(bus, &raw, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                              "org.freedesktop.DBus", "NameHasOwner");
  question.reset(raw);
  if (result >= 0) result = sd_bus_message_append(raw, "s", kService);
  sd_bus_message* answer = nullptr;
  if (result >= 0) result = sd_bus_call(bus, raw, deadline.left_for_call(), error.get(), &answer);
  const Message owned(answer);
  int has_owner = 0;
  if (result >= 0) result = sd_bus_message_read(answer, "b", &has_owner);
  if (result < 0)
    return fail(reply, result, "D-Bus does not tell whether systemd is there", error.text(result), "");
  if (has_owner == 0) {
    return fail(reply, -ENOENT, "systemd is not on the bus", "nobody owns org.freedesktop.systemd1", "");
  }
  return 0;
}

/// How the job of our unit ended, from the JobRemoved signal.
struct JobWatch {
  const char* unit;
  bool removed = false;
  char result[64] = {};
};

int on_job_removed(sd_bus_message* message, void* data, sd_bus_error*) {
  auto* watch = static_cast<JobWatch*>(data);
  std::uint32_t id = 0;
  const char* job = nullptr;
  const char* unit = nullptr;
  const char* result = nullptr;
  if (sd_bus_message_read(message, "uoss", &id, &job, &unit, &result) < 0) return 0;
  if (std::strcmp(unit, watch->unit) != 0) return 0;
  watch->removed = true;
  put(watch->result, "{}", result);
  return 0;
}

int append_properties(sd_bus_message* call, const JouleryScopeRequest& request) {
  int result = sd_bus_message_append(call, "ss", request.unit_name, "fail");
  if (result >= 0) result = sd_bus_message_open_container(call, 'a', "(sv)");
  if (result >= 0) result = sd_bus_message_append(call, "(sv)", "Description", "s", request.description);
  if (result >= 0) {
    result = sd_bus_message_append(call, "(sv)", "PIDs", "au", 1, static_cast<std::uint32_t>(request.pid));
  }
  if (result >= 0) result = sd_bus_message_append(call, "(sv)", "Delegate", "b", 1);
  if (result >= 0) result = sd_bus_message_append(call, "(sv)", "CollectMode", "s", "inactive-or-failed");
  if (result >= 0 && request.slice != nullptr) {
    result = sd_bus_message_append(call, "(sv)", "Slice", "s", request.slice);
  }
  if (result >= 0) result = sd_bus_message_close_container(call);
  if (result >= 0) result = sd_bus_message_append(call, "a(sa(sv))", 0);
  return result;
}

int start_unit(sd_bus* bus, const JouleryScopeRequest& request, const Deadline& deadline,
               JouleryScopeReply* reply) {
  BusError error;
  sd_bus_message* raw = nullptr;
  int result =
      sd_bus_message_new_method_call(bus, &raw, kService, kManagerPath, kManager, "StartTransientUnit");
  const Message call(raw);
  if (result >= 0) result = append_properties(raw, request);
  sd_bus_message* answer = nullptr;
  if (result >= 0) result = sd_bus_call(bus, raw, deadline.left_for_call(), error.get(), &answer);
  const Message owned(answer);
  if (result < 0) {
    return fail(reply, result, "systemd starts no scope", error.text(result),
                result == -EACCES
                    ? "its policy (polkit) excludes this user; the user's own systemd may allow it"
                    : "");
  }
  return 0;
}

int read_control_group(sd_bus* bus, const JouleryScopeRequest& request, const Deadline& deadline,
                       JouleryScopeReply* reply) {
  BusError error;
  sd_bus_message* raw = nullptr;
  int result = sd_bus_message_new_method_call(bus, &raw, kService, kManagerPath, kManager, "GetUnit");
  const Message call(raw);
  if (result >= 0) result = sd_bus_message_append(raw, "s", request.unit_name);
  sd_bus_message* answer = nullptr;
  if (result >= 0) result = sd_bus_call(bus, raw, deadline.left_for_call(), error.get(), &answer);
  const Message owned(answer);
  const char* path = nullptr;
  if (result >= 0) result = sd_bus_message_read(answer, "o", &path);
  char* group = nullptr;
  sd_bus_set_method_call_timeout(bus, deadline.left_for_call());
  if (result >= 0)
    result = sd_bus_get_property_string(bus, kService, path, kScope, "ControlGroup", error.get(), &group);
  const std::unique_ptr<char, decltype(&std::free)> owned_group(group, &std::free);
  if (result < 0)
    return fail(reply, result, "systemd does not tell the scope's cgroup", error.text(result), "");
  if (group[0] != '/' || std::strlen(group) >= sizeof(reply->control_group)) {
    return fail(reply, -EPROTO, "systemd gave the scope no cgroup", "its ControlGroup is not a path", "");
  }
  put(reply->control_group, "{}", group);
  return 0;
}

bool sizes_fit(const JouleryScopeRequest* request, const JouleryScopeReply* reply) {
  return request->struct_size >= sizeof(JouleryScopeRequest) &&
         reply->struct_size >= sizeof(JouleryScopeReply);
}

int probe(const JouleryScopeRequest* request, JouleryScopeReply* reply) {
  if (!sizes_fit(request, reply)) return -EINVAL;
  const Deadline deadline(request->timeout_milliseconds);
  Bus bus;
  const int opened = open_bus(*request, deadline, bus, reply);
  return opened < 0 ? opened : check_service(bus.get(), deadline, reply);
}

int start(const JouleryScopeRequest* request, JouleryScopeReply* reply) {
  if (!sizes_fit(request, reply)) return -EINVAL;
  const Deadline deadline(request->timeout_milliseconds);
  Bus bus;
  int result = open_bus(*request, deadline, bus, reply);
  if (result < 0) return result;
  JobWatch watch{.unit = request->unit_name};
  result = sd_bus_match_signal(bus.get(), nullptr, kService, kManagerPath, kManager, "JobRemoved",
                               on_job_removed, &watch);
  if (result < 0) return fail(reply, result, "can't listen to systemd", std::strerror(-result), "");
  result = start_unit(bus.get(), *request, deadline, reply);
  if (result < 0) return result;
  result = process_until(bus.get(), deadline, [&] { return watch.removed; });
  if (result < 0) return fail(reply, result, "systemd does not finish the scope", std::strerror(-result), "");
  if (std::strcmp(watch.result, "done") != 0) {
    return fail(reply, -EIO, "systemd could not start the scope: its job ended", watch.result,
                "journalctl -e tells systemd's reason");
  }
  return read_control_group(bus.get(), *request, deadline, reply);
}

constexpr JouleryScopeApi kScopeApi{sizeof(JouleryScopeApi), &probe, &start};

}  // namespace

extern "C" __attribute__((visibility("default"))) int joulery_plugin_v1(const JouleryHost* host,
                                                                        JouleryPlugin* plugin) {
  const bool fits =
      host->abi_version == JOULERY_PLUGIN_ABI_VERSION && plugin->struct_size >= sizeof(JouleryPlugin);
  plugin->abi_version = JOULERY_PLUGIN_ABI_VERSION;
  if (!fits) return -EPROTONOSUPPORT;
  plugin->struct_size = sizeof(JouleryPlugin);
  plugin->name = "systemd";
  plugin->scope = &kScopeApi;
  return 0;
}
