#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/files.hpp"
#include "power/source.hpp"
#include "power/system_calls.hpp"

namespace joulery::power {

/// Everything that was tried, best first, each with its state, reason and remedy.
struct ProbeReport {
  std::vector<ProbeResult> results;
};

/// Looks for every kind of sensor, then adds the model. Sources are opened but not started.
ProbeReport probe(const SystemRoot& root, SystemCalls& calls);

/// Takes out of a report the sources to meter with: of overlapping ones (perf PMU, powercap, mmio duplicates
/// of the same device) the first available; the model only if no measured root covers the CPU. Beside the
/// model, memory counts once: a model of the whole machine includes it, so that measured memory is left out;
/// of memory that is modelled apart, the measured one is kept.
std::vector<std::unique_ptr<Source>> choose_sources(ProbeReport& report);

}  // namespace joulery::power
