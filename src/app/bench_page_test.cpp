#include "app/bench_page.hpp"

#include <gmock/gmock.h>

#include "app/bench_outcome_fixture.hpp"

namespace joulery::app {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(BenchPage, TheMachinesEnergyIsOnlyShownWhereItIsKnown) {
  constexpr const char* kKey = "energy_machine_per_inference_joules";
  EXPECT_THAT(bench_page(outcome_of_one()), HasSubstr(kKey));
  EXPECT_THAT(bench_page(outcome_of_two()), Not(HasSubstr(kKey)));
  EXPECT_THAT(bench_page(outcome_of_two()), HasSubstr("versus_energy_per_inference_joules"));
}

TEST(BenchPage, TimesAreSaidToBeKnownAsTheirTagsSay) {
  ModelBenchOutcome outcome = outcome_of_one();
  EXPECT_THAT(bench_page(outcome), HasSubstr("Times are measured."));
  evaluate::SubjectResult& side = outcome.measurement.subjects[0];
  for (auto* figure : {&side.cpu_seconds, &side.wall_seconds}) (*figure)->provenance = Provenance::derived;
  const std::string page = bench_page(outcome);
  EXPECT_THAT(page, Not(HasSubstr("Times are measured.")));
  EXPECT_THAT(page, HasSubstr("Times are derived: measured, and scaled to the machine\u2019s usual clock."));
  for (auto* figure : {&side.cpu_seconds, &side.wall_seconds}) figure->reset();
  EXPECT_THAT(bench_page(outcome), HasSubstr("Times are unknown."));
}

TEST(BenchPage, OneSideThatIsDerivedMakesTimesDerived) {
  ModelBenchOutcome outcome = outcome_of_two();
  outcome.measurement.subjects[1].cpu_seconds->provenance = Provenance::derived;
  EXPECT_THAT(bench_page(outcome), HasSubstr("Times are derived:"));
}

}  // namespace
}  // namespace joulery::app
