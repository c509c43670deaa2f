#pragma once

#include "base/quantity.hpp"

namespace joulery::footprint {

/// Carbon intensity of electricity where nothing is known of the place: the world's average, lifecycle,
/// location-based production mix of 2024. The range spans the 5th to 95th percentile of countries.
Quantity<GramsCo2ePerJoule> world_average_intensity();

}  // namespace joulery::footprint
