#include "meter/host.hpp"

#include "base/ids.hpp"
#include "base/text.hpp"

namespace joulery::meter {
namespace {

/// PRETTY_NAME of os-release(5).
std::string read_os_name(const SystemRoot& root) {
  const auto text = root.read_text("/etc/os-release", 65536);
  if (!text) return "Linux";
  for (const std::string_view line : split(*text, '\n')) {
    constexpr std::string_view kKey = "PRETTY_NAME=";
    if (line.rfind(kKey, 0) != 0) continue;
    std::string_view value = trim(line.substr(kKey.size()));
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
      value = value.substr(1, value.size() - 2);
    return printable(value);
  }
  return "Linux";
}

}  // namespace

HostFacts read_host_facts(const SystemRoot& root, const Clock& clock,
                          const power::MachineIdentity& identity) {
  HostFacts facts;
  record::Host& host = facts.host;
  host.name = root.read_line("/proc/sys/kernel/hostname").value_or("localhost");
  host.cpu_model = identity.cpu_model;
  host.cpu_threads = identity.threads_online;
  host.memory_bytes = identity.memory_gib * 1024 * 1024 * 1024;
  host.os = read_os_name(root);
  host.virtual_machine = identity.virtual_machine;
  std::string seed = root.read_line("/etc/machine-id").value_or("");
  if (seed.size() < 32) seed = host.name + "\n" + identity.cpu_vendor + "\n" + host.cpu_model;
  host.id = sha256_hex("joulery host\n" + seed).substr(0, 32);
  facts.boot.host_id = host.id;
  facts.boot.booted_utc_ns = clock.realtime_ns() - clock.boottime_ns();
  facts.boot.id = root.read_line("/proc/sys/kernel/random/boot_id").value_or("");
  if (facts.boot.id.empty()) facts.boot.id = host.id + "-unknown";
  return facts;
}

}  // namespace joulery::meter
