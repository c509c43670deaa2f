#include "footprint/sci.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "footprint/embodied.hpp"

namespace joulery::footprint {
namespace {

using testing::HasSubstr;

Quantity<GramsCo2e> grams(double value) {
  return {value, Provenance::derived};
}
std::string failure(Persona persona, const char* unit, const char* rationale = "effective, one epoch") {
  const Status checked = check_sci_for_ai({persona, rationale}, FunctionalUnit{1000, unit});
  return checked ? "" : checked.error().message;
}

TEST(Sci, IsOperationalAndEmbodiedPerUnit) {
  // 2 kWh at 400 g/kWh and an hour of the standard's server, over a thousand calls.
  const double embodied = embodied_share(1'000'000, 3600, 4, 1);
  EXPECT_NEAR(sci_score(grams(800), grams(embodied), 1000).value(), 0.8285, 5e-5);
}

TEST(SciForAi, AProviderCountsFlopsTrainingTokensOrParameters) {
  for (const char* unit : {"FLOP", "FLOPs", "exaFLOP", "training tokens", "billion training tokens",
                           "parameters", "billion parameters", "tokens"})
    EXPECT_EQ(failure(Persona::provider, unit), "") << unit;
  EXPECT_THAT(failure(Persona::provider, "images"),
              HasSubstr("per FLOP, per training token or per parameter"));
  EXPECT_THAT(failure(Persona::provider, "FLOP", ""), HasSubstr("why this unit"));
}

TEST(SciForAi, AConsumerCountsWorkDone) {
  for (const char* unit : {"tokens", "images", "seconds of audio", "pages", "inference"})
    EXPECT_EQ(failure(Persona::consumer, unit, ""), "") << unit;
  for (const char* unit : {"FLOP", "parameters", "training tokens"})
    EXPECT_THAT(failure(Persona::consumer, unit), HasSubstr("provider's unit")) << unit;
}

TEST(SciForAi, NeedsItsUnit) {
  EXPECT_FALSE(check_sci_for_ai({Persona::consumer, ""}, std::nullopt));
  EXPECT_FALSE(check_sci_for_ai({Persona::provider, "x"}, std::nullopt));
}

TEST(SciForAi, TheTwoScoresHaveDifferentBoundaries) {
  EXPECT_STRNE(persona_boundary(Persona::consumer), persona_boundary(Persona::provider));
  EXPECT_EQ(parse_persona("provider"), Persona::provider);
  EXPECT_EQ(parse_persona("both"), std::nullopt);
}

}  // namespace
}  // namespace joulery::footprint
