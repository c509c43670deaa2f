#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.hpp"
#include "power/source.hpp"
#include "power/system_calls.hpp"

namespace joulery::power {

/// A RAPL energy domain, whichever way it is read. Ids are the same for the perf PMU and powercap, so that a
/// device keeps its id when the way to read it changes.
struct RaplDomain {
  Scope scope = Scope::package;
  /// Physical package and die; die is -1 where dies are not counted apart. Unused for psys.
  int package = 0;
  int die = -1;
};

/// "package-0", "package-0-die-1" and "psys" name a domain by themselves; "core", "uncore" and "dram" belong
/// to the package that `parent` names. Nothing for other names.
std::optional<RaplDomain> parse_rapl_name(std::string_view name, const std::optional<RaplDomain>& parent);

/// Id, parent, names and accuracy. Parents: core and uncore are inside their package or die; a package, a die
/// and its memory are inside psys, which link_rapl_parents() sets.
SourceInfo rapl_source_info(const RaplDomain& domain);

/// What is found, with the infos of the sources still open to link_rapl_parents().
struct RaplProbe {
  ProbeResult result;
  std::vector<SourceInfo*> infos;
};
/// Puts packages, dies and their memory under psys if one of the probes has it.
void link_rapl_parents(std::vector<RaplProbe*> probes);

/// What a probe knows of the machine beforehand.
struct RaplMachine {
  bool virtual_machine = false;
  /// More than a package can draw; from its TDP if that is known.
  double plausible_package_watts = 2000;
  /// The psys register counts whole joules, as on Sapphire and Emerald Rapids.
  bool platform_counts_whole_joules = false;
};

/// The kernel's perf PMUs `power` and `power_core`. `calls` must outlive the sources.
RaplProbe probe_perf_power(const SystemRoot& root, SystemCalls& calls, const RaplMachine& machine);
/// /sys/class/powercap, Intel and AMD.
RaplProbe probe_powercap(const SystemRoot& root, const RaplMachine& machine);

/// More than the domain can draw: psys includes graphics cards and chargers, whatever the chip's TDP is.
double plausible_watts(const RaplDomain& domain, const RaplMachine& machine);

/// What opening RAPL to more users risks.
extern const char* const kRaplRisk;

}  // namespace joulery::power
