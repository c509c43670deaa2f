#pragma once

#include <optional>
#include <string>
#include <vector>

#include "footprint/embodied.hpp"
#include "footprint/sci.hpp"
#include "footprint/site.hpp"

namespace joulery::footprint {

/// What a run used, as the meter found it.
struct Usage {
  Quantity<Joules> energy;
  /// Active and idle of what is reserved: SCI's E.
  Quantity<Joules> sci_energy;
  double duration_seconds = 0;
  /// Of the machine's busy time, and how that is called: what falls on the run of making the machine.
  double resource_share = 1;
  std::string resource_share_basis;
  /// Of the GPUs, where it is known who used them; else the machine's share holds for them too.
  std::optional<double> gpu_share = {};
  std::string gpu_share_basis = {};
  bool reserved = false;
  Hardware hardware;
  std::optional<FunctionalUnit> per;
  std::optional<SciForAi> sci_for_ai;
};

struct Water {
  Quantity<Litres> total;
  Quantity<Litres> on_site;
  Quantity<Litres> cooling;
  /// From reservoirs of hydro power.
  Quantity<Litres> evaporation;
};

/// What a run cost beyond joules. Sums hold: water is its three parts, embodied that of its parts, SCI carbon
/// and embodied over the unit.
struct Footprint {
  Site site;
  Quantity<GramsCo2e> carbon;
  Water water;
  Quantity<GramsCo2e> embodied;
  std::optional<Quantity<Money>> cost;
  /// E × I of SCI: differs from `carbon` if the machine is reserved.
  Quantity<GramsCo2e> sci_operational;
  Quantity<GramsCo2e> sci;
  FunctionalUnit per;
  bool reserved = false;
  std::optional<SciForAi> sci_for_ai;
  std::vector<Derivation> derivations;
};

/// carbon = E·PUE·I, water = E·(WUE + PUE·EWIF), cost = E·PUE·price, embodied and SCI as in ISO/IEC 21031.
/// User error only for a broken table of the user's.
Result<Footprint> compute_footprint(const DataSet& data, Site site, const Usage& usage);

/// "as much as driving 3.1 km in an average car": what a number of grams compares with, each with its source.
struct Equivalence {
  std::string text;
  std::string source;
};
Result<std::vector<Equivalence>> equivalences(const DataSet& data, double grams);

}  // namespace joulery::footprint
