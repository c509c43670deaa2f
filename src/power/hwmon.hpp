#pragma once

#include "base/files.hpp"
#include "power/rapl.hpp"
#include "power/source.hpp"

namespace joulery::power {

/// Energy and power of /sys/class/hwmon, by the chips that hwmon_rules.hpp knows. A channel that has both is
/// read by its energy, with its power to fall back on. A value that no such device can have, such as one in a
/// wrong unit, is left out with its reason.
ProbeResult probe_hwmon(const SystemRoot& root, const RaplMachine& machine);

}  // namespace joulery::power
