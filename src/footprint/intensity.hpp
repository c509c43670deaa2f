#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/quantity.hpp"
#include "base/result.hpp"
#include "footprint/derivation.hpp"
#include "footprint/tables.hpp"
#include "footprint/zone.hpp"

namespace joulery::footprint {

enum class Signal { average, marginal };
enum class Boundary { lifecycle, direct };
enum class Accounting { location, market };

/// What a grid intensity means. Figures of different kinds answer different questions and never add.
struct IntensityKind {
  Signal signal = Signal::average;
  Boundary boundary = Boundary::lifecycle;
  Accounting accounting = Accounting::location;
  bool operator==(const IntensityKind&) const = default;
};
/// "average lifecycle location-based"
std::string kind_name(const IntensityKind& kind);
/// The same backwards, for tags of the record.
std::optional<IntensityKind> parse_kind(std::string_view name);

/// Carbon per energy of one place and one kind.
struct GridIntensity {
  IntensityKind kind;
  Quantity<GramsCo2ePerJoule> value;
  /// The factor `grid_intensity` in g/kWh and, where it was derived, what from.
  Factor factor;
  std::optional<Derivation> derived;
};

/// Grams that know which kind of intensity made them. There is no operator +: a sum is asked for, and refused
/// if the kinds differ.
class Emissions {
 public:
  Emissions(IntensityKind kind, Quantity<GramsCo2e> grams) : kind_(kind), grams_(std::move(grams)) {}
  const IntensityKind& kind() const { return kind_; }
  const Quantity<GramsCo2e>& grams() const { return grams_; }
  /// User error if `other` is of another kind.
  Result<Emissions> plus(const Emissions& other) const;

 private:
  IntensityKind kind_;
  Quantity<GramsCo2e> grams_;
};
Emissions operator*(const Quantity<Joules>& energy, const GridIntensity& intensity);

/// The intensity of a zone for a run in `year`, by the rules of docs/guide/footprint.md: lifecycle values of
/// countries and Canada's provinces as they are; for parts of the US the country's lifecycle value times zone
/// direct over country direct; direct values only if `kind` asks for them. User error if the tables have no
/// value of that kind: no other kind takes its place.
Result<GridIntensity> find_intensity(const DataSet& data, const Zone& zone, const IntensityKind& kind,
                                     int year);

}  // namespace joulery::footprint
