#include "app/bench_foreign.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "app/bench_outcome_fixture.hpp"

namespace joulery::app {
namespace {

using Json = nlohmann::json;

Json ours(const ModelBenchOutcome& outcome) {
  return Json::parse(model_bench_document({}, outcome));
}

TEST(BenchForeign, ThroughputIsWhatTheDocumentSays) {
  const ModelBenchOutcome outcome = outcome_of_one();
  const double throughput = ours(outcome).at("throughput_per_second").get<double>();
  ASSERT_DOUBLE_EQ(throughput, 50);
  const Json optimum = Json::parse(optimum_report(outcome)).at("forward");
  EXPECT_EQ(optimum.at("throughput").at("unit"), "samples/s");
  EXPECT_DOUBLE_EQ(optimum.at("throughput").at("value").get<double>(), throughput);
  const Json score = Json::parse(ai_energy_score_summary(outcome)).at("summary");
  EXPECT_DOUBLE_EQ(score.at("total_prompts").get<double>() / score.at("total_duration_seconds").get<double>(),
                   throughput);
}

TEST(BenchForeign, LatencyIsThatOfACall) {
  const ModelBenchOutcome outcome = outcome_of_one();
  const Json optimum = Json::parse(optimum_report(outcome)).at("forward");
  EXPECT_DOUBLE_EQ(optimum.at("latency").at("mean").get<double>(), 0.003);
  const Json score = Json::parse(ai_energy_score_summary(outcome)).at("summary");
  EXPECT_DOUBLE_EQ(score.at("avg_latency_seconds").get<double>(), 0.003);
}

TEST(BenchForeign, WhatWasNotMeasuredHasNoThroughput) {
  ModelBenchOutcome outcome = outcome_of_one();
  evaluate::SubjectResult& side = outcome.measurement.subjects[0];
  side.wall_seconds = {};
  side.latencies_ns = {};
  EXPECT_TRUE(Json::parse(optimum_report(outcome)).at("forward").at("throughput").is_null());
  const Json score = Json::parse(ai_energy_score_summary(outcome)).at("summary");
  EXPECT_EQ(score.at("avg_latency_seconds"), 0.0);
}

TEST(BenchForeign, TheMachinesEnergyIsOnlyToldWhereItIsKnown) {
  constexpr const char* kKey = "energy_machine_per_1000_queries_watt_hours";
  const auto own = [](const ModelBenchOutcome& outcome) {
    return Json::parse(ai_energy_score_summary(outcome)).at("joulery");
  };
  EXPECT_EQ(own(outcome_of_one()).at(kKey).at("provenance"), "modelled");
  EXPECT_TRUE(own(outcome_of_two()).at(kKey).is_null());
  EXPECT_FALSE(own(outcome_of_two()).at("energy_per_1000_queries_watt_hours").is_null());
}

}  // namespace
}  // namespace joulery::app
