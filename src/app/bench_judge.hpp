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
#include "evaluate/task.hpp"
#include "meter/window_meter.hpp"

namespace joulery::app {

/// Judges what a side answers to the request's data.
class BenchJudge {
 public:
  /// All must outlive it.
  BenchJudge(const ModelBenchRequest& request, ModelBenchObserver& observer)
      : request_(request), observer_(observer) {}

  /// `reference` gives the answers to agree with, for the task `agree`; `most` samples at most, 0 for all.
  /// Ends early, with what there is, if the observer says so.
  Result<evaluate::QualityReport> judge(const BenchSide& side, engine::Session& session,
                                        engine::Session* reference, std::uint64_t most) {
    return judge(side, session, reference, nullptr, most, nullptr);
  }

  /// Judges one batch and throws it away: a slip of the pen is told before minutes of measuring.
  Status try_once(const BenchSide& side, engine::Session& session, engine::Session* reference);

  /// Quality under everything that suits the inputs, and what the model then costs. `meter` opens a window
  /// over the engine's process; it may be empty.
  Result<RobustnessOutcome> robustness(
      const BenchSide& side, engine::Session& session, engine::Session* reference,
      const std::function<Result<std::unique_ptr<meter::WindowMeter>>(int pid)>& meter);

 private:
  /// `perturbation` spoils the inputs first; `groups` takes those of the samples. Both may be null.
  Result<evaluate::QualityReport> judge(const BenchSide& side, engine::Session& session,
                                        engine::Session* reference,
                                        const evaluate::Perturbation* perturbation, std::uint64_t most,
                                        std::vector<std::string>* groups);
  Result<std::unique_ptr<evaluate::TaskScorer>> scorer_for(const data::Dataset& dataset,
                                                           const engine::Session& session) const;
  Status add_batch(const evaluate::BatchBuffer& buffer, std::size_t count, engine::Session& session,
                   engine::Session* reference, evaluate::TaskScorer& scorer) const;
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
