#pragma once

#include <string>
#include <string_view>

namespace joulery::power {

/// What /proc/cpuinfo says, before any other file is asked. Takes any bytes.
struct CpuInfo {
  std::string vendor;
  /// As the kernel prints it; empty if it hides it (Arm).
  std::string model_name;
  int family = -1;
  int model = -1;
  int stepping = -1;
  int threads = 0;
  /// Distinct "physical id" values; 0 if none is given.
  int packages = 0;
  bool hypervisor_flag = false;
};
CpuInfo parse_cpuinfo(std::string_view text);

/// The model name as data/cpu_tdp.csv spells it: the rule of data/SOURCES.md.
std::string normalise_cpu_model(std::string_view name);

/// Name of an Arm core by implementer and part, such as "Neoverse N1"; empty if unknown.
std::string arm_core_name(int implementer, int part);

}  // namespace joulery::power
