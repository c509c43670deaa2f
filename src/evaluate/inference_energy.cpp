#include "evaluate/inference_energy.hpp"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "stats/distributions.hpp"

namespace joulery::evaluate {
namespace {

UncertainValue with_merged_sources(const UncertainValue& sum) {
  struct Weighed {
    SystematicSource source;
    double low = 0, high = 0, weight = 0;
  };
  std::map<std::string, Weighed> by_id;
  for (const UncertainValue::Part& part : sum.parts()) {
    for (const SystematicSource& source : part.sources) {
      Weighed& weighed = by_id[source.id];
      if (weighed.weight == 0) weighed.source = source;
      weighed.low += source.low * part.value;
      weighed.high += source.high * part.value;
      weighed.weight += part.value;
    }
  }
  const double value = sum.value();
  if (value <= 0) return sum;
  std::vector<SystematicSource> sources;
  for (auto& [id, weighed] : by_id) {
    // A part that does not rest on it counts with a factor of 1.
    weighed.source.low = std::clamp((weighed.low + value - weighed.weight) / value, 0.0, 1.0);
    weighed.source.high = std::max((weighed.high + value - weighed.weight) / value, 1.0);
    sources.push_back(std::move(weighed.source));
  }
  return {value, sum.provenance(), sum.standard_deviation(), sources};
}

UncertainValue without_random_part(const UncertainValue& value) {
  UncertainValue result;
  for (const UncertainValue::Part& part : value.parts())
    result.add({part.value, part.provenance, 0, part.sources});
  return result;
}

/// The relative standard deviation that makes an interval as wide as the figure's.
double relative_deviation(const std::optional<Figure>& figure) {
  if (!figure || !figure->has_interval) return 0;
  return figure->relative_half_width() / stats::normal_quantile(0.5 + figure->level / 2);
}

template <class Unit>
Quantity<Unit> per_inference(const Quantity<Unit>& sum, double inferences,
                             const std::optional<Figure>& repeated) {
  const Quantity<Unit> mean(with_merged_sources(sum.untyped()).scaled(1 / inferences));
  return mean + Quantity<Unit>(0, Provenance::measured, relative_deviation(repeated) * mean.value());
}

}  // namespace

void EnergySum::add(const meter::MeteredWindow& window, double window_inferences, double cpu_seconds) {
  // The window's own count: kept in ticks it is coarse, and so is then, by as much, its share of energy.
  if (window.cpu_seconds > 0 && cpu_seconds > 0) window_inferences *= window.cpu_seconds / cpu_seconds;
  inferences += window_inferences;
  active += window.energy_active;
  idle_share += window.energy_idle_share;
  total += window.energy;
  machine += window.energy_machine;
  carbon += window.carbon;
  totals.begin_group();
  totals.values.push_back(window_inferences > 0 ? window.energy.value() / window_inferences : 0);
}

std::optional<Figure> repeated_energy(const EnergySum& sum, const std::optional<Figure>& cpu, double level,
                                      std::uint64_t seed) {
  return sum.totals.groups() > 1 ? grouped_mean(sum.totals, level, seed) : cpu;
}

std::optional<Figure> repeated_energy_ratio(const EnergySum& a, const EnergySum& b,
                                            const std::optional<Figure>& cpu_ratio, double level,
                                            std::uint64_t seed) {
  const bool paired = a.totals.groups() > 1 && a.totals.groups() == b.totals.groups();
  return paired ? grouped_ratio(a.totals, b.totals, level, seed) : cpu_ratio;
}

InferenceEnergy energy_per_inference(const EnergySum& sum, const std::optional<Figure>& repeated,
                                     const std::optional<Figure>& wall) {
  return {.known = true,
          .active = per_inference(sum.active, sum.inferences, repeated),
          .idle_share = per_inference(sum.idle_share, sum.inferences, repeated),
          .total = per_inference(sum.total, sum.inferences, repeated),
          .machine_known = true,
          .machine = per_inference(sum.machine, sum.inferences, wall),
          .carbon = per_inference(sum.carbon, sum.inferences, repeated),
          .idle_basis = {}};
}

std::optional<Quantity<Ratio>> energy_ratio(const InferenceEnergy& a, const InferenceEnergy& b,
                                            const std::optional<Figure>& repeated) {
  if (!a.known || !b.known || !(a.total.value() > 0)) return std::nullopt;
  const auto systematic = [](const Quantity<Joules>& energy) {
    return Quantity<Joules>(without_random_part(energy.untyped()));
  };
  const Quantity<Ratio> quotient = ratio(systematic(b.total), systematic(a.total));
  return quotient + Quantity<Ratio>(0, Provenance::measured, relative_deviation(repeated) * quotient.value());
}

}  // namespace joulery::evaluate
