#pragma once

#include <optional>
#include <string>

#include "footprint/intensity.hpp"

namespace joulery::footprint {

/// What the user gives a price as: "0.25 EUR" per kWh.
struct Price {
  double per_kilowatt_hour = 0;
  std::string currency;  // ISO 4217
};
/// User error if it is no number and currency, negative, or beyond what electricity costs anywhere.
Result<Price> parse_price(std::string_view text);

/// What is asked for; empty parts are looked up.
struct SiteRequest {
  std::string zone = {};
  IntensityKind kind = {};
  std::optional<double> pue = {};
  std::optional<Price> price = {};
};

/// All that turns a joule at one place into grams, litres and money.
struct Site {
  Zone zone;
  GridIntensity intensity;
  Quantity<Ratio> pue;
  Factor pue_factor;
  /// Water at the site, per joule of the machine.
  Quantity<LitresPerJoule> wue;
  Factor wue_factor;
  /// Water at the power plants, per joule of electricity: by cooling, and by evaporation from reservoirs,
  /// which is told apart because methods disagree on it by all of it.
  Quantity<LitresPerJoule> cooling_water;
  Factor cooling_factor;
  Quantity<LitresPerJoule> hydro_water;
  Factor hydro_factor;
  /// Nothing: no price is known.
  std::optional<Quantity<MoneyPerJoule>> price;
  Factor price_factor;
  std::string currency;
};

/// User error for an unknown zone, a kind of intensity that the tables don't have for it, or a broken table
/// of the user's. `year` is the run's.
Result<Site> find_site(const DataSet& data, const SiteRequest& request, int year);

/// The same errors from fewer tables: what is worth knowing before a command runs.
Status check_site(const DataSet& data, const SiteRequest& request);

}  // namespace joulery::footprint
