#pragma once

#include <memory>

#include "engine/engine.hpp"

namespace joulery::engine {

/// open_engine(), but what the library prints goes where this process's output goes: for a worker, whose
/// output its parent reads.
Result<std::unique_ptr<Engine>> open_engine_uncaptured(const EngineLocation& location);

}  // namespace joulery::engine
