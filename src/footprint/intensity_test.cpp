#include "footprint/intensity.hpp"

#include <gtest/gtest.h>

namespace joulery::footprint {
namespace {

TEST(Intensity, OneKilowattHourIsAboutHalfAKilogramAndSaysThatItIsAssumed) {
  const Quantity<GramsCo2e> carbon =
      Quantity<Joules>(3.6e6, Provenance::measured) * world_average_intensity();
  EXPECT_NEAR(carbon.value(), 472.94, 1e-6);
  EXPECT_NEAR(carbon.interval().low, 35.89, 1e-6);
  EXPECT_NEAR(carbon.interval().high, 784.01, 1e-6);
  EXPECT_EQ(carbon.provenance(), Provenance::assumed);
}

}  // namespace
}  // namespace joulery::footprint
