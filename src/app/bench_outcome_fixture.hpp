#pragma once

#include "app/model_bench.hpp"

namespace joulery::app {

/// A side of a bench whose figures are each known in another way, so that it shows which one a mark is of.
inline evaluate::SubjectResult side_known_in_many_ways() {
  evaluate::SubjectResult side;
  side.label = "a model";
  side.batch = 2;
  side.calls = 4;
  side.cpu_blocks = {.values = {0.011, 0.009}, .group_starts = {0, 1}};
  side.wall_blocks = {.values = {0.021, 0.019}, .group_starts = {0, 1}};
  side.cpu_seconds = evaluate::Figure{.value = 0.01, .blocks = 2, .groups = 2};
  // Calls come every 0.04 s, or several at a time: this is not their latency by two.
  side.wall_seconds = evaluate::Figure{.value = 0.02, .blocks = 2, .groups = 2};
  side.cpu_seconds_as_run = side.cpu_seconds;
  side.wall_seconds_as_run = evaluate::Figure{.value = 0.025, .blocks = 2, .groups = 2};
  side.latencies_ns = {1'000'000, 2'000'000, 3'000'000, 6'000'000};
  side.energy = {.known = true,
                 .active = Quantity<Joules>(1, Provenance::derived),
                 .idle_share = Quantity<Joules>(1, Provenance::derived),
                 .total = Quantity<Joules>(2, Provenance::measured),
                 .machine_known = true,
                 .machine = Quantity<Joules>(4, Provenance::modelled),
                 .carbon = Quantity<GramsCo2e>(0.5, Provenance::assumed),
                 .idle_basis = "a quiet minute"};
  side.cold_starts = {{.wall_seconds = 0.5, .cpu_seconds = 0.4, .first_call_seconds = 0.1}};
  side.peak_resident_bytes = 1e6;
  return side;
}

inline SubjectFacts facts_of(const std::string& name) {
  SubjectFacts facts;
  facts.model = facts.name = name;
  facts.engine.name = "an engine";
  return facts;
}

inline ModelBenchOutcome outcome_of_one() {
  ModelBenchOutcome outcome;
  outcome.run_id = "0123456789abcdef";
  outcome.data.synthetic = true;
  outcome.subjects = {facts_of("a.onnx")};
  outcome.measurement.subjects = {side_known_in_many_ways()};
  return outcome;
}

/// Two that were measured in turn: nobody knows what the machine drew for each.
inline ModelBenchOutcome outcome_of_two() {
  ModelBenchOutcome outcome = outcome_of_one();
  outcome.subjects.push_back(facts_of("b.onnx"));
  outcome.measurement.subjects.push_back(side_known_in_many_ways());
  for (evaluate::SubjectResult& side : outcome.measurement.subjects) side.energy.machine_known = false;
  return outcome;
}

}  // namespace joulery::app
