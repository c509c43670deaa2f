#pragma once

#include <memory>

#include "engine/engine.hpp"
#include "engine/worker_process.hpp"

namespace joulery::engine {

/// Opens the engine in a child process with limits: for models, and libraries, that are not trusted. A crash,
/// a hang, a flood of memory or an answer that makes no sense is an error of the call it happened in. Each
/// session is a process of its own, so that one that ends takes no other with it. A call costs some ten
/// microseconds more than in this process, and the copying of its tensors.
Result<std::unique_ptr<Engine>> open_contained_engine(const EngineLocation& location,
                                                      const WorkerProgram& program,
                                                      const WorkerLimits& limits);

}  // namespace joulery::engine
