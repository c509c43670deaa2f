#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/application.hpp"
#include "app/model_bench.hpp"
#include "app/model_file.hpp"
#include "data/dataset.hpp"
#include "engine/engine.hpp"
#include "evaluate/batch_buffer.hpp"

namespace joulery::app {

/// One side of the bench, with what it needs while it is measured.
struct BenchSide {
  BenchSide(const SubjectRequest& asked, ModelFile opened, std::unique_ptr<engine::Engine> runs)
      : request(asked), file(std::move(opened)), engine(std::move(runs)) {}

  SubjectRequest request;
  ModelFile file;
  std::unique_ptr<engine::Engine> engine;
  /// As the model declares them, and as they are measured.
  std::vector<engine::Port> declared;
  std::vector<engine::Port> inputs;
  std::int64_t batch = 1;
  std::vector<evaluate::BatchBuffer> feed;

  /// In a process of its own.
  Result<std::unique_ptr<engine::Session>> load() const {
    return engine->load(file.source(), request.options);
  }
};

/// Checks the model, and finds the engine.
Result<std::unique_ptr<BenchSide>> open_bench_side(const Application& application,
                                                   const SubjectRequest& request,
                                                   const std::string& engine_path);

/// The request's data as the model takes them, from their start; made up ones if none are named.
Result<std::unique_ptr<data::Dataset>> open_bench_data(const ModelBenchRequest& request,
                                                       const BenchSide& side);

/// Batches for the calls to rotate through. User error if one is more than an engine may be given.
Status fill_feed(BenchSide& side, data::Dataset& dataset);

/// What is known of it without a measurement. What can't be found out is a warning.
SubjectFacts bench_facts(BenchSide& side, std::vector<meter::Warning>& warnings);

}  // namespace joulery::app
