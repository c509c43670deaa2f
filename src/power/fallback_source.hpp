#pragma once

#include <memory>

#include "power/source.hpp"

namespace joulery::power {

/// One device by its energy counter, and by its power sensor once the counter has died: energy counters of
/// some GPUs freeze or vanish while the device works.
///
/// The counter is read alone as long as it moves. While it stands still or gives nothing, power is read too
/// and summed over time; when that shows energy that the counter should have shown, the power stands in for
/// the counter from its last movement on. There is no way back, also if the counter wakes up: nothing is
/// counted twice. From then on info() says so: `integrated`, provenance `derived`, the accuracy of the power
/// sensor, no wrap. A device that is off (no power) never switches. A counter that says of itself that it is
/// not to be believed (ERANGE) is not waited for: power stands in from its last good reading on.
///
/// Power is summed only over times that it is known at both ends of: after a longer gap, the first reading
/// says that it tells nothing of it (`after_gap`).
///
/// `counter` gives cumulative joules and `power` watts of the same device; ids and parents are the counter's.
std::unique_ptr<Source> make_fallback_source(std::unique_ptr<Source> counter, std::unique_ptr<Source> power);

}  // namespace joulery::power
