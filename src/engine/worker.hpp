#pragma once

namespace joulery::engine {

/// The other end of WorkerProcess: opens an engine, loads a model and runs it as it is told through the
/// descriptors that a worker has, until they are closed. Returns the process's exit code: 2 if it was not
/// started as a worker.
int serve_engine();

}  // namespace joulery::engine
