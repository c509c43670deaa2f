#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/bench_side.hpp"
#include "app/model_bench.hpp"
#include "evaluate/perturbation.hpp"
#include "evaluate/quality.hpp"
#include "meter/window_meter.hpp"

namespace joulery::app {

/// Judges what a side answers to the request's data.
class BenchJudge {
 public:
  /// All must outlive it.
  BenchJudge(const ModelBenchRequest& request, ModelBenchObserver& observer)
      : request_(request), observer_(observer) {}

  /// `reference` gives the answers to agree with, for the task `agree`; `perturbation` spoils the inputs
  /// first; `most` samples at most, 0 for all. Ends early, with what there is, if the observer says so.
  Result<evaluate::QualityReport> judge(const BenchSide& side, engine::Session& session,
                                        engine::Session* reference,
                                        const evaluate::Perturbation* perturbation, std::uint64_t most);

  /// User error if the first samples already show that they can't be judged.
  Status check_first_batch(const BenchSide& side, engine::Session& session);

  /// Quality under everything that suits the inputs, and what the model then costs. `meter` opens a window
  /// over the engine's process; it may be empty.
  Result<RobustnessOutcome> robustness(
      const BenchSide& side, engine::Session& session, engine::Session* reference,
      const std::function<Result<std::unique_ptr<meter::WindowMeter>>(int pid)>& meter);

 private:
  Result<double> spoiled_cpu_seconds(const BenchSide& side, engine::Session& session,
                                     const evaluate::Perturbation* perturbation);
  Status spoil(const evaluate::BatchBuffer& buffer, const evaluate::Perturbation& perturbation) const;
  Result<evaluate::Perturbations> choose_perturbations(const BenchSide& side, RobustnessOutcome& outcome);
  Result<evaluate::Perturbations> for_images(const BenchSide& side, RobustnessOutcome& outcome);

  const ModelBenchRequest& request_;
  ModelBenchObserver& observer_;
  /// Which input is spoiled.
  std::size_t spoiled_input_ = 0;
};

}  // namespace joulery::app
