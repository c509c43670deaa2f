#pragma once

#include <algorithm>
#include <string>
#include <vector>

namespace joulery {

/// How a figure is known, from best to worst.
enum class Provenance { measured, derived, modelled, assumed };
const char* provenance_name(Provenance provenance);

/// A reason why a figure may be off as a whole: a power model, a grid factor, a sensor's gain. Two quantities
/// that rest on the same source (same id) are wrong together, so it cancels in their ratio.
struct SystematicSource {
  /// Stable, such as "host-power-model:<host>".
  std::string id;
  /// The true value lies between value*low and value*high at level 0.9. 0 <= low <= 1 <= high.
  double low = 1.0;
  double high = 1.0;
  Provenance provenance = Provenance::measured;
  /// Where the range comes from, in a few words.
  std::string basis;
};

/// A range at a level. `is_confidence` is true if sampling alone made it; otherwise it is a plausible range.
struct Interval {
  double low = 0;
  double high = 0;
  double level = 0.9;
  bool is_confidence = false;
};

/// The algebra of figures that know how they are known (DESIGN §10), without the unit. Use Quantity<Unit>.
///
/// A figure is a sum of parts; each part is a value that rests on systematic sources, and the figure has one
/// random standard deviation. Value adds. The factor of a source applies to the sum of the parts that rest on
/// it; effects of different sources combine in quadrature of log factors; random parts add in quadrature.
class UncertainValue {
 public:
  struct Part {
    double value = 0;
    Provenance provenance = Provenance::measured;
    std::vector<SystematicSource> sources;  // sorted by id, no id twice
  };

  UncertainValue() = default;
  UncertainValue(double value, Provenance provenance, double standard_deviation = 0,
                 const std::vector<SystematicSource>& sources = {});

  double value() const;
  double standard_deviation() const { return standard_deviation_; }
  const std::vector<Part>& parts() const { return parts_; }
  /// The weakest provenance among parts that make at least 5 % of the sum of absolute values.
  Provenance provenance() const;
  /// Bases of all sources that matter, joined with "; ".
  std::string basis() const;
  /// Range at `level` (0 < level < 1): systematic factors scaled from their level 0.9, combined with the
  /// random part.
  Interval interval(double level = 0.9) const;

  void add(const UncertainValue& other);
  /// Times an exact number (such as a share or a unit conversion).
  UncertainValue scaled(double factor) const;
  /// Times another figure, such as joules times grams per joule. Sources of both are kept; one that both rest
  /// on applies once with its factors squared.
  UncertainValue times(const UncertainValue& other) const;
  /// This over `other`: a source that both rest on cancels as far as it weighs the same in both.
  UncertainValue ratio_to(const UncertainValue& other) const;

 private:
  /// The value if the source `id` stood at its low (or high) factor.
  double value_with(const std::string& id, bool low) const;
  std::vector<Part> parts_;
  double standard_deviation_ = 0;
};

struct Joules {};
struct Watts {};
struct GramsCo2e {};
struct GramsCo2ePerJoule {};
struct Litres {};
struct LitresPerJoule {};
/// Of one currency, which stands beside the quantity.
struct Money {};
struct MoneyPerJoule {};
struct Ratio {};

/// An uncertain value with a unit in its type: joules and grams do not add.
template <class Unit>
class Quantity {
 public:
  Quantity() = default;
  explicit Quantity(UncertainValue value) : inner_(std::move(value)) {}
  Quantity(double value, Provenance provenance, double standard_deviation = 0,
           const std::vector<SystematicSource>& sources = {})
      : inner_(value, provenance, standard_deviation, sources) {}

  double value() const { return inner_.value(); }
  double standard_deviation() const { return inner_.standard_deviation(); }
  Provenance provenance() const { return inner_.provenance(); }
  std::string basis() const { return inner_.basis(); }
  /// An amount that is not negative itself isn't so at its low end either, whatever random error adds.
  Interval interval(double level = 0.9) const {
    Interval range = inner_.interval(level);
    if (value() >= 0) range.low = std::max(range.low, 0.0);
    return range;
  }
  const UncertainValue& untyped() const { return inner_; }

  Quantity& operator+=(const Quantity& other) {
    inner_.add(other.inner_);
    return *this;
  }
  friend Quantity operator+(Quantity a, const Quantity& b) { return a += b; }
  friend Quantity operator*(const Quantity& a, double factor) { return Quantity(a.inner_.scaled(factor)); }

 private:
  UncertainValue inner_;
};

template <class Unit>
Quantity<Ratio> ratio(const Quantity<Unit>& numerator, const Quantity<Unit>& denominator) {
  return Quantity<Ratio>(numerator.untyped().ratio_to(denominator.untyped()));
}
inline Quantity<GramsCo2e> operator*(const Quantity<Joules>& energy,
                                     const Quantity<GramsCo2ePerJoule>& intensity) {
  return Quantity<GramsCo2e>(energy.untyped().times(intensity.untyped()));
}
inline Quantity<Litres> operator*(const Quantity<Joules>& energy, const Quantity<LitresPerJoule>& water) {
  return Quantity<Litres>(energy.untyped().times(water.untyped()));
}
inline Quantity<Money> operator*(const Quantity<Joules>& energy, const Quantity<MoneyPerJoule>& price) {
  return Quantity<Money>(energy.untyped().times(price.untyped()));
}
/// A ratio that is itself uncertain, such as a PUE. A template, so that no number turns into a ratio unasked.
template <class Unit>
Quantity<Unit> operator*(const Quantity<Unit>& figure, const Quantity<Ratio>& factor) {
  return Quantity<Unit>(figure.untyped().times(factor.untyped()));
}

}  // namespace joulery
