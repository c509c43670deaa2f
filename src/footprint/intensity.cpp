#include "footprint/intensity.hpp"

namespace joulery::footprint {
namespace {

// Ember yearly electricity data, 2022-2024, CC BY 4.0 (data/SOURCES.md): world mean, and the 5th and 95th
// percentile of 209 countries and territories, in g CO2e per kWh.
constexpr double kWorldGramsPerKilowattHour = 472.94;
constexpr double kLowCountryGramsPerKilowattHour = 35.89;
constexpr double kHighCountryGramsPerKilowattHour = 784.01;
constexpr double kJoulesPerKilowattHour = 3.6e6;

}  // namespace

Quantity<GramsCo2ePerJoule> world_average_intensity() {
  return {kWorldGramsPerKilowattHour / kJoulesPerKilowattHour,
          Provenance::assumed,
          0,
          {{.id = "grid:world-2024-average-lifecycle-location",
            .low = kLowCountryGramsPerKilowattHour / kWorldGramsPerKilowattHour,
            .high = kHighCountryGramsPerKilowattHour / kWorldGramsPerKilowattHour,
            .provenance = Provenance::assumed,
            .basis = "world average grid 2024, 473 g/kWh (place unknown, countries 36 to 784)"}}};
}

}  // namespace joulery::footprint
