#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/files.hpp"
#include "power/power_model.hpp"
#include "power/rapl.hpp"

namespace joulery::power {

/// An energy counter among the model-specific registers of an x86 CPU.
struct MsrDomain {
  Scope scope = Scope::package;
  std::uint32_t address = 0;
  double joules_per_count = 0;
};

/// Where the CPU keeps the unit of its energy counters; nothing if it is not known to have any.
std::optional<std::uint32_t> msr_unit_register(const MachineIdentity& identity);

/// The counters of a CPU whose unit register reads `unit`; empty if that can't be a unit. Sources: Intel SDM
/// volume 4 (MSR_RAPL_POWER_UNIT, MSR_PKG_ENERGY_STATUS …), AMD PPR (MSRC001_0299, MSRC001_029B), and the
/// kernel's list of CPUs whose memory or platform counter has a unit of its own.
std::vector<MsrDomain> msr_domains(const MachineIdentity& identity, std::uint64_t unit);

/// The kernel's list of servers whose psys register has a unit of its own.
bool platform_counts_whole_joules(const MachineIdentity& identity);

/// Energy counters read straight from /dev/cpu/N/msr, one CPU per package (per die on Intel). For machines
/// whose kernel has the msr driver but neither the perf PMU nor powercap. Where a register has 32 bits, it
/// wraps; AMD's newer servers count in 64.
RaplProbe probe_msr(const SystemRoot& root, const MachineIdentity& identity, const RaplMachine& machine);

}  // namespace joulery::power
