#include <gmock/gmock.h>

#include <sstream>

#include "app/bench_outcome_fixture.hpp"
#include "cli/bench_model.hpp"

namespace joulery::cli {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

constexpr std::size_t kWidth = 100;

/// The row of a table that begins with `name`, without the blanks around it.
std::string row_of(const std::string& text, const std::string& name) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    line.erase(0, line.find_first_not_of(" |"));
    while (line.ends_with(' ') || line.ends_with('|')) line.pop_back();
    if (line.starts_with(name + " ")) return line;
  }
  return {};
}

TEST(ModelBenchText, EachRowSaysHowItsOwnFigureIsKnown) {
  const app::ModelBenchOutcome outcome = app::outcome_of_one();
  for (const std::string& text : {model_bench_text(outcome, {}, kWidth), model_bench_markdown(outcome)}) {
    EXPECT_THAT(row_of(text, "energy"), EndsWith(" measured"));
    EXPECT_THAT(row_of(text, "without idle"), EndsWith(" derived"));
    EXPECT_THAT(row_of(text, "whole machine"), EndsWith(" modelled"));
    EXPECT_THAT(row_of(text, "carbon"), EndsWith(" assumed"));
  }
}

TEST(ModelBenchText, SidesThatAreKnownInOtherWaysAreBothTold) {
  app::ModelBenchOutcome outcome = app::outcome_of_two();
  evaluate::SubjectResult& b = outcome.measurement.subjects[1];
  b.energy.total = Quantity<Joules>(2, Provenance::modelled);
  b.cpu_seconds->provenance = Provenance::derived;
  std::string text = model_bench_text(outcome, {}, kWidth);
  EXPECT_THAT(row_of(text, "energy"), EndsWith(" measured / modelled"));
  EXPECT_THAT(row_of(text, "CPU time"), EndsWith(" measured / derived"));
  EXPECT_THAT(row_of(text, "carbon"), EndsWith(" assumed"));
  EXPECT_THAT(text, Not(HasSubstr("whole machine")));
  b.energy.known = false;
  text = model_bench_text(outcome, {}, kWidth);
  EXPECT_THAT(row_of(text, "carbon"), EndsWith(" assumed / no sensor and no model"));
}

TEST(ModelBenchText, ThroughputSaysWhatItIs) {
  const app::ModelBenchOutcome outcome = app::outcome_of_one();
  EXPECT_THAT(row_of(model_bench_text(outcome, {}, kWidth), "throughput"),
              EndsWith("50/s  inferences, from the mean wall time"));
}

}  // namespace
}  // namespace joulery::cli
