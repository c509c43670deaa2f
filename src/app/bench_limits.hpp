#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/result.hpp"
#include "engine/engine.hpp"

namespace joulery::app {

/// What one call of an engine in a process of its own may exchange with us, inputs and outputs together.
std::uint64_t most_call_bytes();

/// User error if the tensors of one call are more than that, with the largest batch that fits. Ports whose
/// first dimension is `batch` grow with it; dimensions that are not known yet count as 1.
Status check_call_size(std::span<const engine::Port> inputs, std::span<const engine::Port> outputs,
                       std::int64_t batch);

/// User error for more threads or streams than a machine with so many CPUs has a use for: engines get stuck
/// when they start thousands.
Status check_thread_count(const engine::SessionOptions& options, std::uint64_t cpus);

}  // namespace joulery::app
