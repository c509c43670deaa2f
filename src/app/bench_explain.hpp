#pragma once

#include <string>
#include <vector>

#include "app/bench_side.hpp"
#include "app/model_bench.hpp"

namespace joulery::app {

/// Runs the side once more with its operators timed, and says where the time goes, what of the bits that the
/// model asks to save were saved, and what keeps it slow. `measured` is the side's own result. Environment
/// error where the engine gives no times.
Result<Explanation> explain(const Application& application, const ModelBenchRequest& request,
                            const BenchSide& side, const evaluate::SubjectResult& measured);

}  // namespace joulery::app
