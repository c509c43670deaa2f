#pragma once

#include <string>
#include <vector>

#include "base/quantity.hpp"

namespace joulery::footprint {

constexpr double kJoulesPerKilowattHour = 3.6e6;

/// One number that a figure is made from, with all that there is to say of it.
struct Factor {
  /// Names it in a Term: "pue".
  std::string key;
  /// What a person calls it: "power usage effectiveness (PUE)".
  std::string label;
  double value = 0;
  std::string unit;
  double low = 0;
  double high = 0;
  Provenance provenance = Provenance::measured;
  /// Why the value and the range are what they are.
  std::string basis;
  /// Who published it; empty if it was measured here or given by the user.
  std::string source;
  /// The year that it is for; 0 if it has none.
  int year = 0;
};

/// The product of factors, over the product of others.
struct Term {
  std::vector<std::string> times;
  std::vector<std::string> over;
};

/// How a figure comes about: the sum of its terms is the value, so that anybody can compute it again.
struct Derivation {
  /// "carbon", "water" …: what `joulery show --why RUN FIGURE` asks for.
  std::string figure;
  std::string label;
  /// The rule in plain words.
  std::string words;
  std::vector<Factor> factors;
  std::vector<Term> terms;
  double value = 0;
  std::string unit;
  double low = 0;
  double high = 0;
  Provenance provenance = Provenance::measured;
};

/// The sum of the terms; not a number if a term names a factor that is not there.
double evaluate(const Derivation& derivation);

/// A factor that shows `figure`, in `scale` times its unit.
template <class Unit>
Factor make_factor(const std::string& key, const std::string& label, const Quantity<Unit>& figure,
                   double scale, const std::string& unit) {
  const Interval range = figure.interval();
  return {.key = key,
          .label = label,
          .value = figure.value() * scale,
          .unit = unit,
          .low = range.low * scale,
          .high = range.high * scale,
          .provenance = figure.provenance(),
          .basis = figure.basis(),
          .source = {}};
}
/// Fills in what `figure` says: value, range, provenance.
template <class Unit>
void conclude(Derivation& derivation, const Quantity<Unit>& figure, const std::string& unit) {
  const Interval range = figure.interval();
  derivation.value = figure.value();
  derivation.unit = unit;
  derivation.low = range.low;
  derivation.high = range.high;
  derivation.provenance = figure.provenance();
}

}  // namespace joulery::footprint
