#pragma once

#include <memory>
#include <vector>

#include "power/gpu_device.hpp"
#include "power/nvml_api.hpp"
#include "power/source.hpp"

namespace joulery::power {

/// What NVML gives: sources in `result`, and for each GPU who uses it.
struct NvmlProbe {
  ProbeResult result;
  std::vector<std::shared_ptr<GpuDevice>> gpus;
};

/// One source per physical GPU, whatever CUDA_VISIBLE_DEVICES says, with id "nvml:<UUID>":
/// - its energy counter (Volta and later), watched by its power sensor;
/// - else its power, summed over time: instant, else the driver's mean over a second;
/// - where only the module's power can be read (Grace Hopper: CPU and GPU together), the module;
/// - where the module is told beside the GPU, the module as the GPU's parent;
/// - the power of its memory as a part of it, where it is told.
/// `library` may be null. Nothing is read from a machine without the library.
NvmlProbe probe_nvml(const SystemRoot& root, NvmlLibrary* library);

}  // namespace joulery::power
