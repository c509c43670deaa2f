#include "footprint/footprint.hpp"

#include <fmt/format.h>

#include <array>

#include "base/text.hpp"

namespace joulery::footprint {
namespace {

constexpr double kSecondsPerYear = 365.0 * 24 * 3600;

Factor plain(std::string key, std::string label, double value, std::string unit, Provenance provenance,
             std::string basis = {}, std::string source = {}) {
  return {.key = std::move(key),
          .label = std::move(label),
          .value = value,
          .unit = std::move(unit),
          .low = value,
          .high = value,
          .provenance = provenance,
          .basis = std::move(basis),
          .source = std::move(source)};
}

Factor energy_factor(const Quantity<Joules>& energy) {
  return make_factor("energy", "energy of the run", energy, 1 / kJoulesPerKilowattHour, "kWh");
}

class Calculation {
 public:
  Calculation(Site site, const Usage& usage) : usage_(usage) { footprint_.site = std::move(site); }

  Result<Footprint> run(const DataSet& data) {
    carbon();
    water();
    JOULERY_ASSIGN(const std::vector<EmbodiedPart> parts, embodied_parts(data, usage_.hardware));
    embodied(parts);
    cost();
    sci();
    return std::move(footprint_);
  }

 private:
  const Site& site() const { return footprint_.site; }

  void carbon() {
    footprint_.carbon = (usage_.energy * site().pue * site().intensity).grams();
    Derivation why{.figure = "carbon",
                   .label = "carbon of the electricity",
                   .words = "energy × PUE × grid intensity",
                   .factors = {energy_factor(usage_.energy), site().pue_factor, site().intensity.factor},
                   .terms = {{.times = {"energy", "pue", "grid_intensity"}, .over = {}}},
                   .unit = {}};
    conclude(why, footprint_.carbon, "g");
    footprint_.derivations.push_back(std::move(why));
    if (site().intensity.derived) footprint_.derivations.push_back(*site().intensity.derived);
  }

  void water() {
    const Quantity<Joules> facility = usage_.energy * site().pue;
    Water& water = footprint_.water;
    // WUE is per kWh of the machine, so PUE stays out of it (Li et al. 2023).
    water.on_site = usage_.energy * site().wue;
    water.cooling = facility * site().cooling_water;
    water.evaporation = facility * site().hydro_water;
    water.total = water.on_site + water.cooling + water.evaporation;
    Derivation why{.figure = "water",
                   .label = "water that evaporates, here and at power plants",
                   .words = "energy × (WUE + PUE × water of electricity)",
                   .factors = {energy_factor(usage_.energy), site().pue_factor, site().wue_factor,
                               site().cooling_factor, site().hydro_factor},
                   .terms = {{.times = {"energy", "wue"}, .over = {}},
                             {.times = {"energy", "pue", "ewif_cooling"}, .over = {}},
                             {.times = {"energy", "pue", "ewif_hydro"}, .over = {}}},
                   .unit = {}};
    conclude(why, water.total, "l");
    footprint_.derivations.push_back(std::move(why));
  }

  void embodied(const std::vector<EmbodiedPart>& parts) {
    Derivation why{
        .figure = "embodied",
        .label = "share of making the machine",
        .words = "for each part: emissions of making it × time used / lifetime × share of the machine",
        .factors = {plain("seconds", "time used", usage_.duration_seconds, "s", Provenance::measured),
                    plain("share", "share of the machine", usage_.resource_share, "", Provenance::derived,
                          usage_.resource_share_basis)},
        .terms = {},
        .unit = {}};
    for (const EmbodiedPart& part : parts) {
      const bool by_gpu_use = part.key == "gpus" && usage_.gpu_share;
      const double resource_share = by_gpu_use ? *usage_.gpu_share : usage_.resource_share;
      if (by_gpu_use) {
        why.factors.push_back(plain("gpu_share", "share of the GPUs", resource_share, "", Provenance::derived,
                                    usage_.gpu_share_basis));
      }
      const double share = embodied_share(1, usage_.duration_seconds, part.lifetime_years, resource_share);
      footprint_.embodied = first_part_ ? part.whole * share : footprint_.embodied + part.whole * share;
      first_part_ = false;
      Factor whole = make_factor(part.key, part.label, part.whole, 1, "g");
      whole.basis = part.basis + "; " + whole.basis;
      whole.source = part.source;
      why.factors.push_back(std::move(whole));
      why.factors.push_back(plain("life_" + part.key, "lifetime of it", part.lifetime_years * kSecondsPerYear,
                                  "s", Provenance::assumed,
                                  fmt::format("{} years of 365 days", part.lifetime_years)));
      why.terms.push_back(
          {.times = {part.key, "seconds", by_gpu_use ? "gpu_share" : "share"}, .over = {"life_" + part.key}});
    }
    conclude(why, footprint_.embodied, "g");
    footprint_.derivations.push_back(std::move(why));
  }

  void cost() {
    if (!site().price) return;
    footprint_.cost = usage_.energy * site().pue * *site().price;
    Derivation why{.figure = "cost",
                   .label = "price of the electricity",
                   .words = "energy × PUE × price",
                   .factors = {energy_factor(usage_.energy), site().pue_factor, site().price_factor},
                   .terms = {{.times = {"energy", "pue", "price"}, .over = {}}},
                   .unit = {}};
    conclude(why, *footprint_.cost, site().currency);
    footprint_.derivations.push_back(std::move(why));
  }

  void sci() {
    footprint_.reserved = usage_.reserved;
    footprint_.sci_for_ai = usage_.sci_for_ai;
    if (usage_.per) footprint_.per = *usage_.per;
    footprint_.sci_operational = (usage_.sci_energy * site().pue * site().intensity).grams();
    footprint_.sci = sci_score(footprint_.sci_operational, footprint_.embodied, footprint_.per.count);
    Factor energy =
        make_factor("energy", usage_.reserved ? "energy of what is reserved" : "energy of the run's share",
                    usage_.sci_energy, 1 / kJoulesPerKilowattHour, "kWh");
    energy.basis = (usage_.reserved ? "the whole machine, active and idle"
                                    : "active energy and the proportional share of idle") +
                   (energy.basis.empty() ? std::string() : "; " + energy.basis);
    Derivation why{
        .figure = "sci",
        .label = "software carbon intensity (ISO/IEC 21031)",
        .words = "(energy × PUE × grid intensity + embodied) / functional units",
        .factors = {std::move(energy), site().pue_factor, site().intensity.factor,
                    make_factor("embodied", "share of making the machine", footprint_.embodied, 1, "g"),
                    plain("units", "functional units (R)", footprint_.per.count, footprint_.per.unit,
                          Provenance::measured, usage_.per ? "as given by --per" : "the run is the unit")},
        .terms = {{.times = {"energy", "pue", "grid_intensity"}, .over = {"units"}},
                  {.times = {"embodied"}, .over = {"units"}}},
        .unit = {}};
    conclude(why, footprint_.sci, "g per unit (" + footprint_.per.unit + ")");
    footprint_.derivations.push_back(std::move(why));
  }

  Footprint footprint_;
  const Usage& usage_;
  bool first_part_ = true;
};

}  // namespace

Result<Footprint> compute_footprint(const DataSet& data, Site site, const Usage& usage) {
  return Calculation(std::move(site), usage).run(data);
}

Result<std::vector<Equivalence>> equivalences(const DataSet& data, double grams) {
  JOULERY_ASSIGN(const Table* table, data.table(TableId::equivalences));
  // Distances only: what a person can picture, and what two sources agree on.
  static constexpr std::array<std::pair<const char*, const char*>, 2> kShown = {{
      {"car_eu_km", "driving {} in an average car of the EU"},
      {"train_passenger_km", "riding {} on a train"},
  }};
  std::vector<Equivalence> all;
  for (const auto& [name, words] : kShown) {
    const auto row = table->find({name});
    if (!row) continue;
    const double kilometres = grams / row->number("gco2e_per_unit").value_or(1);
    // Nobody can picture a drive of micrometres.
    constexpr double kLeastKilometres = 1e-3;
    if (kilometres < kLeastKilometres) continue;
    const std::string distance =
        kilometres < 1 ? format_si(kilometres * 1000, "m") : fmt::format("{:.3g} km", kilometres);
    all.push_back({.text = fmt::format(fmt::runtime(words), distance),
                   .source = fmt::format("{} g/{}, {}", row->text("gco2e_per_unit"), row->text("unit"),
                                         data.describe_sources(row->text("source_id")))});
  }
  return all;
}

}  // namespace joulery::footprint
