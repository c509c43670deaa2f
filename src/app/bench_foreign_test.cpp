#include "app/bench_foreign.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "app/bench_outcome_fixture.hpp"

namespace joulery::app {
namespace {

using Json = nlohmann::json;

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
