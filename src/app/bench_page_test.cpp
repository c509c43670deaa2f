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

}  // namespace
}  // namespace joulery::app
