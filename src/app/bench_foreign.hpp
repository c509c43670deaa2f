#pragma once

#include <string>

#include "app/model_bench.hpp"

namespace joulery::app {

/// The first side of a bench as optimum-benchmark's `benchmark_report.json`, which its BenchmarkReport reads:
/// load_model, first_forward and forward. Its keys are fixed, so that ranges and provenance have no place in
/// it. Energy is the model's own, in kWh a call: `total` and of it `gpu`; the rest is `cpu`, in which the
/// memory's is, and `ram` is 0. What is unknown is null.
std::string optimum_report(const ModelBenchOutcome& outcome);

/// The same as AI Energy Score's `GPU_ENERGY_SUMMARY.json`, scaled to its 1,000 queries, with the `summary`
/// and `energy` that its own scripts read of a benchmark's report. It counts GPUs alone. All else, with
/// ranges, is in the object `joulery`.
std::string ai_energy_score_summary(const ModelBenchOutcome& outcome);

/// Energy of GPUs over all energy of the first side; 0 if no GPU took part.
double gpu_share(const ModelBenchOutcome& outcome);

}  // namespace joulery::app
