#include "footprint/intensity.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.hpp"

namespace joulery::footprint {
namespace {

/// The state grids of the US moved to 0.6 to 1.35 of themselves from 2020 to 2023 (47 of 51).
constexpr double kThreeYearLow = 0.6;
constexpr double kThreeYearHigh = 1.35;
constexpr double kOldestTold = 6;
/// 208 countries' generation mix times the IPCC's medians over their value in the table, 5th to 95th
/// percentile.
constexpr double kMethodLow = 0.65;
constexpr double kMethodHigh = 1.36;
/// Direct values leave out what fuels and plants cost elsewhere: by the fuel factors wind least, gas most.
constexpr double kLeastUpstreamGrams = 11;
constexpr double kMostUpstreamGrams = 120;
/// Direct factors come from stack monitors and fuel reports.
constexpr double kDirectLow = 0.9;
constexpr double kDirectHigh = 1.1;

std::string range_id(const char* what, const IntensityKind& kind, const std::string& zone) {
  return fmt::format("grid:{}:{}:{}", what, kind_name(kind), zone);
}

SystematicSource method_range(const IntensityKind& kind, const std::string& zone) {
  return {.id = range_id("method", kind, zone),
          .low = kMethodLow,
          .high = kMethodHigh,
          .provenance = Provenance::derived,
          .basis =
              "methods differ: generation mix times IPCC medians gives 0.65 to 1.36 of the table for nine in "
              "ten countries"};
}

SystematicSource direct_range(const IntensityKind& kind, const std::string& zone) {
  return {.id = range_id("method", kind, zone),
          .low = kDirectLow,
          .high = kDirectHigh,
          .provenance = Provenance::derived,
          .basis = "direct emissions by stack and fuel: 10 % either way (assumed)"};
}

/// Nothing for a table of this very year.
std::vector<SystematicSource> year_range(const IntensityKind& kind, const std::string& zone, int table_year,
                                         int run_year) {
  const double age = std::clamp(double(run_year - table_year), 0.0, kOldestTold);
  if (age == 0 || table_year == 0) return {};
  return {{.id = range_id("year", kind, zone),
           .low = std::pow(kThreeYearLow, age / 3),
           .high = std::pow(kThreeYearHigh, age / 3),
           .provenance = Provenance::derived,
           .basis = fmt::format(
               "a value of {} for a run in {}: grids move to 0.6 to 1.35 of themselves in three years",
               table_year, run_year)}};
}

GridIntensity make(const IntensityKind& kind, const Zone& zone, double grams, Provenance provenance,
                   const std::vector<SystematicSource>& sources, const DataSet& data, const Table& table,
                   const Table::Row& row) {
  GridIntensity intensity;
  intensity.kind = kind;
  intensity.value = Quantity<GramsCo2ePerJoule>(grams / kJoulesPerKilowattHour, provenance, 0, sources);
  intensity.factor = make_factor("grid_intensity", fmt::format("grid intensity of {}", zone.name),
                                 intensity.value, kJoulesPerKilowattHour, "g/kWh");
  // The very number of the table, not one that went through joules.
  intensity.factor.value = grams;
  intensity.factor.source =
      fmt::format("{} [{}:{}]", data.describe_sources(row.text("source_id")), table.name(), row.line());
  intensity.factor.year = row.year();
  intensity.factor.basis =
      fmt::format("{}, {} mix{}{}", kind_name(kind), row.text("basis").empty() ? "grid" : row.text("basis"),
                  intensity.factor.basis.empty() ? "" : "; ", intensity.factor.basis);
  return intensity;
}

std::vector<SystematicSource> with_year(SystematicSource method, const IntensityKind& kind, const Zone& zone,
                                        int table_year, int run_year) {
  std::vector<SystematicSource> sources = year_range(kind, zone.id, table_year, run_year);
  sources.push_back(std::move(method));
  return sources;
}

std::unexpected<Error> no_value(const Zone& zone, const IntensityKind& kind) {
  return user_error(fmt::format("the tables have no {} intensity for {}", kind_name(kind), zone.name),
                    "leave --intensity at lifecycle, name a state of the US or a region of gcp, or bring a "
                    "table: joulery data import");
}

/// 5th and 95th percentile of countries, by rank.
std::pair<double, double> spread_of_countries(const Table& countries) {
  std::vector<double> all;
  for (const Table::Row& row : countries.rows()) {
    if (row.text("iso3") != "WORLD") all.push_back(row.number("gco2e_per_kwh").value_or(0));
  }
  std::sort(all.begin(), all.end());
  const auto rank = [&](double share) {
    return all[static_cast<std::size_t>(std::lround(share * double(all.size() - 1)))];
  };
  return {rank(0.05), rank(0.95)};
}

GridIntensity world(const DataSet& data, const Table& countries, const Table::Row& row,
                    const IntensityKind& kind) {
  const double grams = row.number("gco2e_per_kwh").value_or(0);
  const auto [low, high] = spread_of_countries(countries);
  std::vector<SystematicSource> sources = {
      {.id = range_id("place", kind, "WORLD"),
       .low = std::min(1.0, low / grams),
       .high = std::max(1.0, high / grams),
       .provenance = Provenance::assumed,
       .basis = fmt::format("world average grid {}, {:.0f} g/kWh (place unknown, countries {:.0f} to {:.0f})",
                            row.year(), grams, low, high)}};
  return make(kind, Zone{}, grams, Provenance::assumed, sources, data, countries, row);
}

/// The country's lifecycle value times zone direct over country direct.
Result<GridIntensity> derived_us(const DataSet& data, const Zone& zone, const IntensityKind& kind,
                                 const Table& part_table, const Table::Row& part, int year) {
  JOULERY_ASSIGN(const Table* countries, data.table(TableId::grid_country));
  JOULERY_ASSIGN(const Table* subregions, data.table(TableId::grid_us_egrid));
  const auto country = countries->find({"USA"});
  const auto country_direct = subregions->find({"US"});
  if (!country || !country_direct) return no_value(zone, kind);
  const double lifecycle = country->number("gco2e_per_kwh").value_or(0);
  const double direct = country_direct->number("gco2e_per_kwh").value_or(0);
  const double part_direct = part.number("gco2e_per_kwh").value_or(0);
  if (direct <= 0) return no_value(zone, kind);
  const double grams = lifecycle * part_direct / direct;
  // A grid of hydro and wind has next to no direct emissions, and some from building it.
  SystematicSource method{
      .id = range_id("method", kind, zone.id),
      .low = grams > 0 ? std::min(1.0, (part_direct + kLeastUpstreamGrams) / grams) : 1.0,
      .high = grams > 0 ? std::max(1.0, (part_direct + kMostUpstreamGrams) / grams) : 1.0,
      .provenance = Provenance::derived,
      .basis =
          fmt::format("lifecycle derived from direct values: {:.0f} to {:.0f} g/kWh above {:.0f} by fuel",
                      kLeastUpstreamGrams, kMostUpstreamGrams, part_direct)};
  GridIntensity intensity =
      make(kind, zone, grams, Provenance::derived,
           with_year(std::move(method), kind, zone, part.year(), year), data, part_table, part);
  Derivation rule;
  rule.figure = "grid_intensity";
  rule.label = intensity.factor.label;
  rule.words = "country lifecycle × zone direct / country direct";
  const auto factor = [&](const char* key, const char* label, const Table& table, const Table::Row& row) {
    const double value = row.number("gco2e_per_kwh").value_or(0);
    rule.factors.push_back({.key = key,
                            .label = label,
                            .value = value,
                            .unit = "g/kWh",
                            .low = value,
                            .high = value,
                            .provenance = Provenance::derived,
                            .basis = row.text("method") + ", " + row.text("basis") + " mix",
                            .source = fmt::format("{} [{}:{}]", data.describe_sources(row.text("source_id")),
                                                  table.name(), row.line()),
                            .year = row.year()});
  };
  factor("country_lifecycle", "United States, lifecycle", *countries, *country);
  factor("zone_direct", "the zone, direct", part_table, part);
  factor("country_direct", "United States, direct", *subregions, *country_direct);
  rule.terms = {{.times = {"country_lifecycle", "zone_direct"}, .over = {"country_direct"}}};
  rule.value = grams;
  rule.unit = "g/kWh";
  rule.low = intensity.factor.low;
  rule.high = intensity.factor.high;
  rule.provenance = Provenance::derived;
  intensity.factor.basis = rule.words + "; " + intensity.factor.basis;
  intensity.derived = std::move(rule);
  return intensity;
}

Result<GridIntensity> of_imported(const DataSet& data, const Zone& zone, const IntensityKind& kind,
                                  int year) {
  JOULERY_ASSIGN(const Table* imported, data.table(TableId::grid_zone));
  if (imported == nullptr) return no_value(zone, kind);
  const auto row = imported->find({zone.part, kind.signal == Signal::average ? "average" : "marginal",
                                   kind.boundary == Boundary::lifecycle ? "lifecycle" : "direct",
                                   kind.accounting == Accounting::location ? "location" : "market"});
  if (!row) return no_value(zone, kind);
  const SystematicSource method =
      kind.boundary == Boundary::lifecycle ? method_range(kind, zone.id) : direct_range(kind, zone.id);
  return make(kind, zone, row->number("gco2e_per_kwh").value_or(0), Provenance::derived,
              with_year(method, kind, zone, row->year(), year), data, *imported, *row);
}

/// Of parts of the US, their own figure; of a GCP region Google's; of the US the eGRID mean.
Result<GridIntensity> direct_value(const DataSet& data, const Zone& zone, const IntensityKind& kind,
                                   int year) {
  JOULERY_ASSIGN(const Table* subregions, data.table(TableId::grid_us_egrid));
  JOULERY_ASSIGN(const Table* states, data.table(TableId::grid_us_state));
  JOULERY_ASSIGN(const Table* regions, data.table(TableId::cloud_regions));
  const Table* table = nullptr;
  std::optional<Table::Row> row;
  if (zone.kind == Zone::Kind::cloud_region) {
    row = regions->find({zone.provider, zone.cloud_region});
    table = regions;
    if (!row || !row->number("gco2e_per_kwh")) {
      row = zone.part.empty() ? std::nullopt : subregions->find({zone.part});
      table = subregions;
    }
  } else if (zone.kind == Zone::Kind::us_state) {
    row = states->find({zone.part});
    table = states;
  } else if (zone.kind == Zone::Kind::us_subregion) {
    row = subregions->find({zone.part});
    table = subregions;
  } else if (zone.kind == Zone::Kind::country && zone.id == "USA") {
    row = subregions->find({"US"});
    table = subregions;
  }
  if (!row) return no_value(zone, kind);
  constexpr int kGoogleYear = 2024;
  const int table_year = table == regions ? kGoogleYear : row->year();
  GridIntensity intensity =
      make(kind, zone, row->number("gco2e_per_kwh").value_or(0), Provenance::derived,
           with_year(direct_range(kind, zone.id), kind, zone, table_year, year), data, *table, *row);
  intensity.factor.year = table_year;
  return intensity;
}

}  // namespace

std::string kind_name(const IntensityKind& kind) {
  return fmt::format("{} {} {}-based", kind.signal == Signal::average ? "average" : "marginal",
                     kind.boundary == Boundary::lifecycle ? "lifecycle" : "direct",
                     kind.accounting == Accounting::location ? "location" : "market");
}

std::optional<IntensityKind> parse_kind(std::string_view name) {
  for (const Signal signal : {Signal::average, Signal::marginal}) {
    for (const Boundary boundary : {Boundary::lifecycle, Boundary::direct}) {
      for (const Accounting accounting : {Accounting::location, Accounting::market}) {
        const IntensityKind kind{signal, boundary, accounting};
        if (kind_name(kind) == name) return kind;
      }
    }
  }
  return std::nullopt;
}

Result<Emissions> Emissions::plus(const Emissions& other) const {
  if (!(kind_ == other.kind_)) {
    return user_error(fmt::format("{} and {} emissions don't add: they answer different questions",
                                  kind_name(kind_), kind_name(other.kind_)),
                      "compute both with the same --intensity");
  }
  return Emissions(kind_, grams_ + other.grams_);
}

Emissions operator*(const Quantity<Joules>& energy, const GridIntensity& intensity) {
  return {intensity.kind, energy * intensity.value};
}

Result<GridIntensity> find_intensity(const DataSet& data, const Zone& zone, const IntensityKind& kind,
                                     int year) {
  if (zone.kind == Zone::Kind::imported) return of_imported(data, zone, kind, year);
  if (kind.signal != Signal::average || kind.accounting != Accounting::location) return no_value(zone, kind);
  if (kind.boundary == Boundary::direct) return direct_value(data, zone, kind, year);
  JOULERY_ASSIGN(const Table* countries, data.table(TableId::grid_country));
  if (zone.kind == Zone::Kind::province) {
    JOULERY_ASSIGN(const Table* provinces, data.table(TableId::grid_canada));
    const auto row = provinces->find({zone.part});
    if (!row) return no_value(zone, kind);
    return make(kind, zone, row->number("gco2e_per_kwh").value_or(0), Provenance::derived,
                with_year(method_range(kind, zone.id), kind, zone, row->year(), year), data, *provinces,
                *row);
  }
  const bool has_part = !zone.part.empty() && zone.country_iso3 == "USA";
  if (has_part) {
    const TableId id = zone.kind == Zone::Kind::us_state ? TableId::grid_us_state : TableId::grid_us_egrid;
    JOULERY_ASSIGN(const Table* parts, data.table(id));
    const auto row = parts->find({zone.part});
    if (!row) return no_value(zone, kind);
    return derived_us(data, zone, kind, *parts, *row, year);
  }
  const auto row = countries->find({zone.country_iso3});
  if (!row) return no_value(zone, kind);
  if (zone.kind == Zone::Kind::world) return world(data, *countries, *row, kind);
  return make(kind, zone, row->number("gco2e_per_kwh").value_or(0), Provenance::derived,
              with_year(method_range(kind, zone.id), kind, zone, row->year(), year), data, *countries, *row);
}

}  // namespace joulery::footprint
