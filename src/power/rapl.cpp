#include "power/rapl.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"

namespace joulery::power {
namespace {

constexpr const char* kPsysId = "rapl:psys";
/// The registers are updated about every millisecond.
constexpr double kUpdateSeconds = 0.001;
constexpr int kMostPackages = 4096;
/// Deeply asleep, a laptop's package still draws ten times as much.
constexpr double kLeastPackageWatts = 0.01;

std::string package_name(const RaplDomain& domain) {
  if (domain.die < 0) return fmt::format("package-{}", domain.package);
  return fmt::format("package-{}-die-{}", domain.package, domain.die);
}

std::string readable_package(const RaplDomain& domain) {
  if (domain.die < 0) return fmt::format("CPU package {}", domain.package);
  return fmt::format("CPU package {} die {}", domain.package, domain.die);
}

std::optional<int> cut_number(std::string_view& text) {
  const auto end = std::min(text.find('-'), text.size());
  const auto number = parse_uint64(text.substr(0, end));
  text.remove_prefix(end);
  if (!number || *number >= kMostPackages) return std::nullopt;
  return static_cast<int>(*number);
}

}  // namespace

const char* const kRaplRisk =
    "whoever may read the counters can learn secrets of other programs, such as keys, from their power use "
    "(PLATYPUS, CVE-2020-8694 and CVE-2020-8695): allow it only where you trust all local users it opens "
    "them to";

std::optional<RaplDomain> parse_rapl_name(std::string_view name, const std::optional<RaplDomain>& parent) {
  constexpr std::string_view kPackage = "package-";
  constexpr std::string_view kDie = "-die-";
  name = trim(name);
  if (name == "psys" || name == "platform") return RaplDomain{Scope::psys, 0, -1};
  if (name.starts_with(kPackage)) {
    name.remove_prefix(kPackage.size());
    RaplDomain domain;
    const auto package = cut_number(name);
    if (!package) return std::nullopt;
    domain.package = *package;
    if (name.empty()) return domain;
    if (!name.starts_with(kDie)) return std::nullopt;
    name.remove_prefix(kDie.size());
    const auto die = cut_number(name);
    if (!die || !name.empty()) return std::nullopt;
    domain.scope = Scope::die;
    domain.die = *die;
    return domain;
  }
  // Without a package above it, a part has no identity.
  if (!parent || (parent->scope != Scope::package && parent->scope != Scope::die)) return std::nullopt;
  RaplDomain domain = *parent;
  if (name == "core") {
    domain.scope = Scope::core;
  } else if (name == "uncore") {
    domain.scope = Scope::uncore;
  } else if (name == "dram") {
    domain.scope = Scope::dram;
  } else {
    return std::nullopt;
  }
  return domain;
}

SourceInfo rapl_source_info(const RaplDomain& domain) {
  SourceInfo info;
  const std::string package_id = "rapl:" + package_name(domain);
  info.scope = domain.scope;
  info.update_seconds = kUpdateSeconds;
  info.accuracy_low = 0.95;
  info.accuracy_high = 1.05;
  info.accuracy_basis = "on-chip RAPL meter: 5 % is typical, no vendor guarantees it";
  if (domain.scope == Scope::psys || domain.scope == Scope::package || domain.scope == Scope::die) {
    info.min_plausible_watts = kLeastPackageWatts;
  }
  switch (domain.scope) {
    case Scope::psys:
      info.device_id = kPsysId;
      info.name = "whole platform";
      break;
    case Scope::core:
      info.device_id = package_id + ":core";
      info.parent_id = package_id;
      info.name = "cores of " + readable_package(domain);
      break;
    case Scope::uncore:
      info.device_id = package_id + ":uncore";
      info.parent_id = package_id;
      info.name = "graphics of " + readable_package(domain);
      break;
    case Scope::dram:
      info.device_id = package_id + ":dram";
      info.name = "memory of " + readable_package(domain);
      info.accuracy_low = 0.85;
      info.accuracy_high = 1.15;
      info.accuracy_basis = "RAPL memory meter, often a model of the memory's activity: 15 % is typical";
      break;
    default:
      info.device_id = package_id;
      info.name = readable_package(domain);
      break;
  }
  return info;
}

double plausible_watts(const RaplDomain& domain, const RaplMachine& machine) {
  constexpr double kPlatformWatts = 10'000;
  return domain.scope == Scope::psys ? kPlatformWatts : machine.plausible_package_watts;
}

void link_rapl_parents(std::vector<RaplProbe*> probes) {
  const bool has_psys = std::any_of(probes.begin(), probes.end(), [](const RaplProbe* probe) {
    return std::any_of(probe->infos.begin(), probe->infos.end(),
                       [](const SourceInfo* info) { return info->scope == Scope::psys; });
  });
  if (!has_psys) return;
  for (RaplProbe* probe : probes) {
    for (SourceInfo* info : probe->infos) {
      if (info->scope == Scope::package || info->scope == Scope::die || info->scope == Scope::dram) {
        info->parent_id = kPsysId;
      }
    }
  }
}

}  // namespace joulery::power
