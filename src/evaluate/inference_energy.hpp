#pragma once

#include <optional>
#include <string>

#include "base/quantity.hpp"
#include "evaluate/grouped_mean.hpp"
#include "meter/window_meter.hpp"

namespace joulery::evaluate {

/// Energy per inference, in the parts that a run has.
struct InferenceEnergy {
  bool known = false;
  Quantity<Joules> active;
  /// Its part of what the machine draws with nothing to do.
  Quantity<Joules> idle_share;
  Quantity<Joules> total;
  /// All that the machine drew meanwhile. Unknown of one that was measured in turn with another.
  bool machine_known = false;
  Quantity<Joules> machine;
  Quantity<GramsCo2e> carbon;
  std::string idle_basis;
};

/// Sums over the windows of one subject, and the inferences that were made in them.
struct EnergySum {
  double inferences = 0;
  Quantity<Joules> active, idle_share, total, machine;
  Quantity<GramsCo2e> carbon;
  /// Total energy per inference, a group for each window.
  GroupedValues totals;

  /// `inferences` were made in `cpu_seconds` of the window's, both in its blocks; the rest of its CPU time
  /// went into looks at the core and into messages, and its energy goes with CPU time. Without any CPU time,
  /// all of its energy is theirs.
  void add(const meter::MeteredWindow& window, double window_inferences, double cpu_seconds);
};

/// How well energy per inference is known from repetition: by its windows, which differ by what blocks differ
/// by and by how energy is shared out besides. Of a single window only `cpu` tells.
std::optional<Figure> repeated_energy(const EnergySum& sum, const std::optional<Figure>& cpu, double level,
                                      std::uint64_t seed);
/// Of b's over a's, window by window in pairs; of a single pair `cpu_ratio` tells.
std::optional<Figure> repeated_energy_ratio(const EnergySum& a, const EnergySum& b,
                                            const std::optional<Figure>& cpu_ratio, double level,
                                            std::uint64_t seed);

/// What windows of one bench rest on is the same, each by a range of its own: one range for each source, by
/// the energy of the windows. The random part of the ranges is as `repeated` and, for what the machine drew,
/// `wall` say. `sum.inferences` > 0.
InferenceEnergy energy_per_inference(const EnergySum& sum, const std::optional<Figure>& repeated,
                                     const std::optional<Figure>& wall);

/// b's total over a's, with the random part of `repeated`. Nothing if one of them is unknown, or a's is 0.
std::optional<Quantity<Ratio>> energy_ratio(const InferenceEnergy& a, const InferenceEnergy& b,
                                            const std::optional<Figure>& repeated);

}  // namespace joulery::evaluate
