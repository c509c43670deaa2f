#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "footprint/tables.hpp"

namespace joulery::footprint {

/// Where electricity is taken from the grid.
struct Zone {
  enum class Kind { world, country, us_state, us_subregion, province, cloud_region, imported };
  Kind kind = Kind::world;
  /// "WORLD", "FRA", "US-CA", "US-CAMX", "CA-QC", "aws:eu-west-3", "SE-SE3": find_zone knows it again.
  std::string id = "WORLD";
  /// "France", "California", "aws:eu-west-3 (Paris)".
  std::string name = "World";
  std::string country_iso3 = "WORLD";
  /// Key of grid_us_state, grid_us_egrid or grid_canada; a cloud region in the US has its subregion here.
  std::string part = {};
  /// Of a cloud region.
  std::string provider = {};
  std::string cloud_region = {};
  /// What a person should know of how the word was understood; empty if nothing.
  std::string note = {};
};

/// Country names and codes (ISO 3166-1), states and eGRID subregions of the US ("US-CA", "CAMX",
/// "California"), provinces of Canada ("CA-QC", "Quebec"), cloud regions ("aws:eu-west-3"), zones of an
/// imported table, "world". Capitals don't matter. User error with the nearest zone if there is none of that
/// name.
Result<Zone> find_zone(const DataSet& data, std::string_view text);

}  // namespace joulery::footprint
