#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>

#include "base/text.hpp"
#include "power/kernel_text.hpp"
#include "power/rapl.hpp"

namespace joulery::power {
namespace {

constexpr double kJoulesPerMicrojoule = 1e-6;
/// The registers behind powercap have 32 bits.
constexpr double kCounterSteps = 4294967296.0;
/// A chip draws more than its rated power for moments, never this many times as much.
constexpr double kPlausibleOverRated = 4;
constexpr double kLeastPlausibleWatts = 100;

class PowercapSource final : public Source {
 public:
  PowercapSource(SourceInfo info, PolledFile energy) : info_(std::move(info)), energy_(std::move(energy)) {}
  SourceInfo* edit_info() override { return &info_; }
  const SourceInfo& info() const override { return info_; }

  Reading read(const Clock& clock) override {
    std::array<char, 64> buffer;
    Reading reading;
    const std::int64_t before = clock.boottime_ns();
    const std::string_view text = energy_.read(buffer);
    reading.boottime_ns = before + (clock.boottime_ns() - before) / 2;
    if (const auto microjoules = parse_counter(text)) {
      reading.value = static_cast<double>(*microjoules) * kJoulesPerMicrojoule;
      reading.valid = true;
    } else {
      reading.error_number = energy_.last_errno() != 0 ? energy_.last_errno() : EINVAL;
    }
    return reading;
  }

 private:
  SourceInfo info_;
  PolledFile energy_;
};

/// A zone's folder, and its id such as "intel-rapl:0:1", whose parent is "intel-rapl:0".
struct Zone {
  std::string id;
  std::string path;
};

std::string parent_id(const std::string& id) {
  return id.substr(0, id.rfind(':'));
}

bool is_rapl_zone(std::string_view name) {
  return name.find("rapl") != std::string_view::npos && name.find(':') != std::string_view::npos;
}

void walk(const SystemRoot& root, const std::string& folder, int depth, std::vector<Zone>& zones) {
  for (const std::string& name : root.list(folder)) {
    const std::string path = fmt::format("{}/{}", folder, name);
    const bool zone = is_rapl_zone(name);
    if (zone) zones.push_back({name, path});
    if (depth > 0 && name.find("rapl") != std::string::npos) walk(root, path, depth - 1, zones);
  }
}

std::vector<Zone> find_zones(const SystemRoot& root) {
  std::vector<Zone> zones;
  for (const std::string& name : root.list("/sys/class/powercap")) {
    if (is_rapl_zone(name)) zones.push_back({name, "/sys/class/powercap/" + name});
  }
  // Containers often hide the class but not the devices.
  if (zones.empty()) walk(root, "/sys/devices/virtual/powercap", 3, zones);
  // The msr tree before its mmio double; parents before children.
  std::sort(zones.begin(), zones.end(), [](const Zone& a, const Zone& b) {
    const bool a_mmio = a.id.find("mmio") != std::string::npos;
    const bool b_mmio = b.id.find("mmio") != std::string::npos;
    if (a_mmio != b_mmio) return b_mmio;
    if (a.id.size() != b.id.size()) return a.id.size() < b.id.size();
    return a.id < b.id;
  });
  return zones;
}

/// From the limits that the zone itself names, if it does.
double zone_plausible_watts(const SystemRoot& root, const std::string& path, const RaplDomain& domain,
                            const RaplMachine& machine) {
  const double otherwise = plausible_watts(domain, machine);
  if (domain.scope == Scope::psys) return otherwise;
  double rated = 0;
  for (int constraint = 0; constraint < 4; ++constraint) {
    const auto most = root.read_integer(fmt::format("{}/constraint_{}_max_power_uw", path, constraint));
    if (most.has_value() && *most > 0) rated = std::max(rated, static_cast<double>(*most) * 1e-6);
  }
  if (rated <= 0) return otherwise;
  return std::max(kLeastPlausibleWatts, kPlausibleOverRated * rated);
}

int open_error(const SystemRoot& root, const std::string& path) {
  const FileDescriptor file(::open(root.resolve(path).c_str(), O_RDONLY | O_CLOEXEC));
  return file.valid() ? 0 : errno;
}

struct Findings {
  int zones = 0;
  int denied = 0;
  int last_error = 0;
  bool range_missing = false;
};

void open_zone(const SystemRoot& root, const Zone& zone, const RaplDomain& domain, const RaplMachine& machine,
               RaplProbe& probe, Findings& findings) {
  SourceInfo info = rapl_source_info(domain);
  const bool known = std::any_of(probe.infos.begin(), probe.infos.end(),
                                 [&](const SourceInfo* other) { return other->device_id == info.device_id; });
  // The same register by another road, such as mmio.
  if (known) return;
  ++findings.zones;
  const std::string energy_path = zone.path + "/energy_uj";
  auto energy = PolledFile::open(root, energy_path);
  if (!energy.has_value()) {
    findings.last_error = open_error(root, energy_path);
    if (findings.last_error == EACCES || findings.last_error == EPERM) ++findings.denied;
    return;
  }
  // A counter that opens may still refuse to be read: a domain that the firmware switched off does.
  std::array<char, 64> buffer;
  if (!parse_counter(energy->read(buffer)).has_value()) {
    findings.last_error = energy->last_errno() != 0 ? energy->last_errno() : EINVAL;
    if (findings.last_error == EACCES || findings.last_error == EPERM) ++findings.denied;
    return;
  }
  const auto range = root.read_integer(zone.path + "/max_energy_range_uj");
  if (range.has_value() && *range > 0) {
    info.wrap_joules = static_cast<double>(*range) * kJoulesPerMicrojoule;
    info.resolution_joules = std::max(info.wrap_joules / kCounterSteps, kJoulesPerMicrojoule);
  } else {
    findings.range_missing = true;
    info.resolution_joules = kJoulesPerMicrojoule;
  }
  info.via = "powercap";
  info.max_plausible_watts = zone_plausible_watts(root, zone.path, domain, machine);
  auto source = std::make_unique<PowercapSource>(std::move(info), std::move(*energy));
  probe.infos.push_back(source->edit_info());
  probe.result.sources.push_back(std::move(source));
}

void explain_nothing(const SystemRoot& root, const RaplMachine& machine, ProbeResult& result) {
  const bool folder = root.exists("/sys/class/powercap") || root.exists("/sys/devices/virtual/powercap");
  const char* what = folder ? "powercap has no RAPL zone" : "there is no /sys/class/powercap";
  if (machine.virtual_machine) {
    result.reason = fmt::format("{}: a virtual machine is not shown the host's energy counters", what);
    return;
  }
  result.reason =
      fmt::format("{}: the driver is not loaded, the CPU has no RAPL, or a container hides it", what);
  result.enable = "sudo modprobe intel_rapl_msr";
}

/// sysfs gives every file to root at each boot and each load of the driver, so a rule has to do it again.
constexpr const char* kEnable =
    "sudo groupadd --system --force joulery\n"
    "sudo usermod --append --groups joulery \"$USER\"\n"
    "echo 'SUBSYSTEM==\"powercap\", ACTION==\"add|change\", KERNEL==\"*rapl*:*\", "
    "RUN+=\"/bin/chgrp joulery /sys%p/energy_uj\", RUN+=\"/bin/chmod g+r /sys%p/energy_uj\"' "
    "| sudo tee /etc/udev/rules.d/70-joulery-powercap.rules\n"
    "sudo udevadm control --reload\n"
    "sudo udevadm trigger --subsystem-match=powercap --action=change\n"
    "newgrp joulery";

}  // namespace

RaplProbe probe_powercap(const SystemRoot& root, const RaplMachine& machine) {
  RaplProbe probe;
  ProbeResult& result = probe.result;
  result.via = "powercap (RAPL)";
  Findings findings;
  std::map<std::string, RaplDomain> domains;
  for (const Zone& zone : find_zones(root)) {
    std::optional<RaplDomain> parent;
    if (const auto above = domains.find(parent_id(zone.id)); above != domains.end()) parent = above->second;
    const auto domain = parse_rapl_name(root.read_line(zone.path + "/name").value_or(""), parent);
    if (!domain) continue;
    domains.emplace(zone.id, *domain);
    open_zone(root, zone, *domain, machine, probe, findings);
  }
  if (findings.zones == 0) {
    explain_nothing(root, machine, result);
    return probe;
  }
  if (findings.denied > 0) {
    result.enable = kEnable;
    result.cost = kRaplRisk;
  }
  if (result.sources.empty()) {
    if (findings.denied > 0) {
      result.state = ProbeResult::State::limited;
      result.reason = format_count(findings.zones, "RAPL zones") + " found, but only root may read energy_uj";
    } else {
      result.reason = fmt::format("energy_uj can't be read: {}", errno_text(findings.last_error));
    }
    return probe;
  }
  result.state = ProbeResult::State::available;
  result.reason = format_count(double(result.sources.size()), "RAPL zones") + " readable";
  if (findings.denied > 0) {
    result.state = ProbeResult::State::limited;
    result.reason += fmt::format(", {} readable by root only", findings.denied);
  }
  if (findings.range_missing) {
    result.reason += "; max_energy_range_uj is missing, so a window in which a counter wraps is estimated";
  }
  return probe;
}

}  // namespace joulery::power
