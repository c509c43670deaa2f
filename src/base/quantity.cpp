#include "base/quantity.hpp"

#include <algorithm>
#include <cmath>
#include <set>

namespace joulery {
namespace {

/// Factors are stated at this level.
constexpr double kSourceLevel = 0.9;
/// A part below this share of the sum does not decide how the sum is known.
constexpr double kProvenanceShare = 0.05;
/// Keeps the logarithm of a factor of zero finite.
constexpr double kSmallestFactor = 1e-6;

/// z with P(|Z| < z) = level for a standard normal Z, by bisection on erf: exact enough and without a table.
double normal_z(double level) {
  double low = 0;
  double high = 40;
  for (int i = 0; i < 80; ++i) {
    const double middle = (low + high) / 2;
    (std::erf(middle / std::sqrt(2.0)) < level ? low : high) = middle;
  }
  return (low + high) / 2;
}

void merge_sources(std::vector<SystematicSource>& into, const std::vector<SystematicSource>& from) {
  for (const SystematicSource& source : from) {
    const auto place = std::lower_bound(into.begin(), into.end(), source,
                                        [](const auto& a, const auto& b) { return a.id < b.id; });
    if (place != into.end() && place->id == source.id) {
      place->low *= source.low;
      place->high *= source.high;
      place->provenance = std::max(place->provenance, source.provenance);
    } else {
      into.insert(place, source);
    }
  }
}

bool same_sources(const std::vector<SystematicSource>& a, const std::vector<SystematicSource>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.id == y.id && x.low == y.low && x.high == y.high;
  });
}

std::set<std::string> source_ids(const std::vector<UncertainValue::Part>& parts) {
  std::set<std::string> ids;
  for (const auto& part : parts) {
    for (const auto& source : part.sources) ids.insert(source.id);
  }
  return ids;
}

}  // namespace

const char* provenance_name(Provenance provenance) {
  switch (provenance) {
    case Provenance::measured:
      return "measured";
    case Provenance::derived:
      return "derived";
    case Provenance::modelled:
      return "modelled";
    case Provenance::assumed:
      return "assumed";
  }
  return "assumed";
}

UncertainValue::UncertainValue(double value, Provenance provenance, double standard_deviation,
                               const std::vector<SystematicSource>& sources)
    : standard_deviation_(standard_deviation) {
  Part part{.value = value, .provenance = provenance, .sources = {}};
  merge_sources(part.sources, sources);
  parts_.push_back(std::move(part));
}

double UncertainValue::value() const {
  double sum = 0;
  for (const Part& part : parts_) sum += part.value;
  return sum;
}

Provenance UncertainValue::provenance() const {
  double total = 0;
  for (const Part& part : parts_) total += std::fabs(part.value);
  Provenance weakest = Provenance::measured;
  for (const Part& part : parts_) {
    // With nothing to weigh, every part counts.
    if (total > 0 && std::fabs(part.value) < kProvenanceShare * total) continue;
    weakest = std::max(weakest, part.provenance);
    for (const SystematicSource& source : part.sources) weakest = std::max(weakest, source.provenance);
  }
  return weakest;
}

std::string UncertainValue::basis() const {
  std::vector<std::string> seen;
  for (const Part& part : parts_) {
    for (const SystematicSource& source : part.sources) {
      if (!source.basis.empty() && std::find(seen.begin(), seen.end(), source.basis) == seen.end()) {
        seen.push_back(source.basis);
      }
    }
  }
  std::string text;
  for (const std::string& basis : seen) {
    if (!text.empty()) text += "; ";
    text += basis;
  }
  return text;
}

double UncertainValue::value_with(const std::string& id, bool low) const {
  double sum = 0;
  for (const Part& part : parts_) {
    double factor = 1;
    for (const SystematicSource& source : part.sources) {
      if (source.id == id) factor = low ? source.low : source.high;
    }
    sum += part.value * factor;
  }
  return sum;
}

Interval UncertainValue::interval(double level) const {
  const double total = value();
  const double level_scale = normal_z(level) / normal_z(kSourceLevel);
  double low_squares = 0;
  double high_squares = 0;
  bool systematic = false;
  for (const std::string& id : source_ids(parts_)) {
    if (total == 0) break;
    for (const bool low : {true, false}) {
      const double effect = std::log(std::max(value_with(id, low) / total, kSmallestFactor)) * level_scale;
      (effect < 0 ? low_squares : high_squares) += effect * effect;
      systematic = systematic || effect != 0;
    }
  }
  const double low = total * std::exp(-std::sqrt(low_squares));
  const double high = total * std::exp(std::sqrt(high_squares));
  const double random = normal_z(level) * standard_deviation_;
  Interval range;
  range.low = total - std::hypot(total - low, random);
  range.high = total + std::hypot(high - total, random);
  if (range.low > range.high) std::swap(range.low, range.high);
  range.level = level;
  range.is_confidence = !systematic && standard_deviation_ > 0;
  return range;
}

void UncertainValue::add(const UncertainValue& other) {
  // By value: `other` may be this.
  const std::vector<Part> others = other.parts_;
  const double other_deviation = other.standard_deviation_;
  for (const Part& part : others) {
    const auto twin = std::find_if(parts_.begin(), parts_.end(), [&](const Part& mine) {
      return mine.provenance == part.provenance && same_sources(mine.sources, part.sources);
    });
    if (twin == parts_.end()) {
      parts_.push_back(part);
    } else {
      twin->value += part.value;
    }
  }
  standard_deviation_ = std::hypot(standard_deviation_, other_deviation);
}

UncertainValue UncertainValue::scaled(double factor) const {
  UncertainValue result = *this;
  for (Part& part : result.parts_) part.value *= factor;
  result.standard_deviation_ *= std::fabs(factor);
  return result;
}

UncertainValue UncertainValue::times(const UncertainValue& other) const {
  UncertainValue product;
  for (const Part& a : parts_) {
    for (const Part& b : other.parts_) {
      Part part{.value = a.value * b.value,
                .provenance = std::max(a.provenance, b.provenance),
                .sources = a.sources};
      merge_sources(part.sources, b.sources);
      product.parts_.push_back(std::move(part));
    }
  }
  product.standard_deviation_ =
      std::hypot(standard_deviation_ * other.value(), other.standard_deviation_ * value());
  return product;
}

UncertainValue UncertainValue::ratio_to(const UncertainValue& other) const {
  const double below = other.value();
  const double quotient = value() / below;
  std::vector<SystematicSource> residual;
  std::set<std::string> ids = source_ids(parts_);
  ids.merge(source_ids(other.parts_));
  for (const std::string& id : ids) {
    if (quotient == 0 || !std::isfinite(quotient)) break;
    const double at_low = value_with(id, true) / other.value_with(id, true) / quotient;
    const double at_high = value_with(id, false) / other.value_with(id, false) / quotient;
    SystematicSource source{.id = id,
                            .low = std::min({at_low, at_high, 1.0}),
                            .high = std::max({at_low, at_high, 1.0}),
                            .provenance = Provenance::derived,
                            .basis = {}};
    constexpr double kCancels = 1e-12;
    if (source.high - source.low > kCancels) residual.push_back(std::move(source));
  }
  const double deviation = std::fabs(quotient) * std::hypot(value() == 0 ? 0 : standard_deviation_ / value(),
                                                            other.standard_deviation_ / below);
  return {quotient, std::max({provenance(), other.provenance(), Provenance::derived}), deviation, residual};
}

}  // namespace joulery
