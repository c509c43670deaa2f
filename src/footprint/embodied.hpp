#pragma once

#include <string>
#include <vector>

#include "base/quantity.hpp"
#include "base/result.hpp"
#include "footprint/derivation.hpp"
#include "footprint/tables.hpp"

namespace joulery::footprint {

/// SCI's M = TE × (TiR / EL) × (RR / ToR): of `total` emissions of making a thing that lasts
/// `lifetime_years`, what falls on `seconds` of `resource_share` of it. A year has 365 days, as in the
/// standard's example.
double embodied_share(double total, double seconds, double lifetime_years, double resource_share);

/// What the machine is made of, as far as it can be seen.
struct Hardware {
  struct Drive {
    bool rotational = false;
    double gigabytes = 0;
  };
  int cpu_packages = 0;
  int cpu_threads = 0;
  double memory_gigabytes = 0;
  std::vector<Drive> drives = {};
  /// Names as the driver gives them.
  std::vector<std::string> gpus = {};
  /// A server by its CPU's name or number of packages.
  bool server = false;
  /// A slice of a host that can't be seen.
  bool virtual_machine = false;
};

/// Emissions of making one kind of part.
struct EmbodiedPart {
  /// "cpu", "memory", "drives", "gpus", "host".
  std::string key;
  std::string label;
  /// Of the whole part in this machine, or in the slice of a host that this machine is.
  Quantity<GramsCo2e> whole;
  double lifetime_years = 4;
  std::string basis;
  std::string source;
};
/// Low and high are what sources disagree by, not an interval of confidence. Bottom-up and flat figures are
/// never added for the same part.
Result<std::vector<EmbodiedPart>> embodied_parts(const DataSet& data, const Hardware& hardware);

}  // namespace joulery::footprint
