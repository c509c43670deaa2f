#include "footprint/derivation.hpp"

#include <algorithm>
#include <cmath>

namespace joulery::footprint {

double evaluate(const Derivation& derivation) {
  const auto value_of = [&](const std::string& key) {
    const auto found = std::find_if(derivation.factors.begin(), derivation.factors.end(),
                                    [&](const Factor& factor) { return factor.key == key; });
    return found == derivation.factors.end() ? std::nan("") : found->value;
  };
  double sum = 0;
  for (const Term& term : derivation.terms) {
    double product = 1;
    for (const std::string& key : term.times) product *= value_of(key);
    for (const std::string& key : term.over) product /= value_of(key);
    sum += product;
  }
  return sum;
}

}  // namespace joulery::footprint
