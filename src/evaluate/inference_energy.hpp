#pragma once

#include <optional>
#include <string>

#include "base/quantity.hpp"
#include "evaluate/grouped_mean.hpp"

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
};

/// What windows of one bench rest on is the same, each by a range of its own: one range for each source, by
/// the energy of the windows. What blocks differ by in CPU time (`cpu`), or the machine in wall time, they
/// differ by in energy: the random part of the ranges. `sum.inferences` > 0.
InferenceEnergy energy_per_inference(const EnergySum& sum, const std::optional<Figure>& cpu,
                                     const std::optional<Figure>& wall);

/// b's total over a's; what its random part is says the ratio of CPU times of pairs, where drift cancels.
/// Nothing if one of them is unknown, or a's is 0.
std::optional<Quantity<Ratio>> energy_ratio(const InferenceEnergy& a, const InferenceEnergy& b,
                                            const std::optional<Figure>& cpu_ratio);

}  // namespace joulery::evaluate
