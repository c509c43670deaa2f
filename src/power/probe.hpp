#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/files.hpp"
#include "power/gpu_device.hpp"
#include "power/nvml_api.hpp"
#include "power/source.hpp"
#include "power/system_calls.hpp"

namespace joulery::power {

/// Everything that was tried, best first, each with its state, reason and remedy.
struct ProbeReport {
  std::vector<ProbeResult> results;
  /// A laptop or the like, by its chassis.
  bool portable = false;
  /// GPUs whose sources are among the results, and who uses them.
  std::vector<std::shared_ptr<GpuDevice>> gpus;
};

/// Looks for every kind of sensor, then adds the model. Sources are opened but not started. `nvml` must
/// outlive them; null: GPUs are not looked for.
ProbeReport probe(const SystemRoot& root, SystemCalls& calls, NvmlLibrary* nvml = nullptr);

/// Takes out of a report the sources to meter with: of those of the same device (perf PMU, powercap and its
/// mmio duplicates, MSR, hwmon) the first available; the model only if nothing sensed covers the CPU. Parents
/// are set so that no energy counts twice (link_sources). Beside the
/// model, memory counts once: a model of the whole machine includes it, so that measured memory is left out;
/// of memory that is modelled apart, the measured one is kept.
std::vector<std::unique_ptr<Source>> choose_sources(ProbeReport& report);

}  // namespace joulery::power
