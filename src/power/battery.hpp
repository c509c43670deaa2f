#pragma once

#include <optional>

#include "base/files.hpp"
#include "power/source.hpp"

namespace joulery::power {

/// What the machine's batteries give, while they do: /sys/class/power_supply. It is what the whole machine
/// draws, screen and all, but batteries tell it coarsely and late, so that it is reported beside the figures
/// and never in them. Nothing for a machine without a battery; unavailable while it is on mains.
std::optional<ProbeResult> probe_batteries(const SystemRoot& root);

}  // namespace joulery::power
