#include <array>

#include "footprint/tables.hpp"

// cmake/embed.cmake makes these symbols.
#define JOULERY_TABLES(X) \
  X(cloud_regions)        \
  X(electricity_price)    \
  X(embodied_components)  \
  X(equivalences)         \
  X(fuel_factors)         \
  X(gpu_specs)            \
  X(grid_canada) X(grid_country) X(grid_mix) X(grid_us_egrid) X(grid_us_state) X(provider_pue) X(sources)

extern "C" {
#define JOULERY_DECLARE(name)                          \
  extern const char joulery_embedded_##name##_begin[]; \
  extern const char joulery_embedded_##name##_end[];
JOULERY_TABLES(JOULERY_DECLARE)
#undef JOULERY_DECLARE
}

namespace joulery::footprint {
namespace {

using Kind = ColumnRule::Kind;

constexpr double kFirstYear = 1990;
constexpr double kLastYear = 2100;
/// No grid emits more than a lignite plant of the worst kind.
constexpr double kMostGrams = 2000;

ColumnRule text(std::string_view name) {
  return {.name = name};
}
ColumnRule optional_text(std::string_view name) {
  return {.name = name, .required = false};
}
ColumnRule number(std::string_view name, double minimum, double maximum) {
  return {.name = name, .kind = Kind::number, .minimum = minimum, .maximum = maximum};
}
ColumnRule optional_number(std::string_view name, double minimum, double maximum) {
  return {.name = name, .kind = Kind::number, .required = false, .minimum = minimum, .maximum = maximum};
}
ColumnRule choice(std::string_view name, std::vector<std::string> choices) {
  return {.name = name, .kind = Kind::choice, .choices = std::move(choices)};
}
ColumnRule year() {
  return number("year", kFirstYear, kLastYear);
}
ColumnRule source() {
  return text("source_id");
}
ColumnRule grams() {
  return number("gco2e_per_kwh", 0, kMostGrams);
}
ColumnRule grams_by_boundary() {
  ColumnRule rule = grams();
  rule.lifecycle_minimum = kLeastLifecycleGrams;
  return rule;
}
ColumnRule lifecycle_grams() {
  return number("gco2e_per_kwh", kLeastLifecycleGrams, kMostGrams);
}
ColumnRule method(const char* only) {
  return choice("method", {only});
}
ColumnRule basis() {
  return choice("basis", {"production"});
}

std::vector<TableDefinition> grid_definitions() {
  std::vector<TableDefinition> all;
  all.push_back(
      {TableId::grid_canada,
       "grid_canada",
       "grid intensity of Canada's provinces",
       1,
       {text("province"), text("name"), year(), lifecycle_grams(), method("lifecycle"), basis(), source()}});
  all.push_back({TableId::grid_country,
                 "grid_country",
                 "grid intensity of countries and the world",
                 1,
                 {text("iso3"), optional_text("iso2"), text("name"), year(), lifecycle_grams(),
                  method("lifecycle"), basis(), source()}});
  std::vector<ColumnRule> mix = {text("iso3"), year()};
  for (const char* share : {"coal_pct", "gas_pct", "oil_pct", "nuclear_pct", "hydro_pct", "wind_pct",
                            "solar_pct", "biomass_pct", "other_pct"}) {
    mix.push_back(number(share, 0, 100));
  }
  mix.push_back(source());
  all.push_back(
      {TableId::grid_mix, "grid_mix", "what electricity is made from, by country", 1, std::move(mix)});
  all.push_back({TableId::grid_us_egrid,
                 "grid_us_egrid",
                 "grid intensity of eGRID subregions",
                 1,
                 {text("subregion"), text("name"), year(), grams(), number("grid_loss_pct", 0, 50),
                  method("direct"), basis(), source()}});
  all.push_back({TableId::grid_us_state,
                 "grid_us_state",
                 "grid intensity of states of the US",
                 1,
                 {text("state"), text("name"), year(), grams(), method("direct"), basis(), source()}});
  all.push_back(
      {TableId::grid_zone,
       "grid_zone",
       "grid intensity of zones that a user imported",
       4,
       {text("zone"), choice("signal", {"average", "marginal"}), choice("boundary", {"lifecycle", "direct"}),
        choice("accounting", {"location", "market"}), text("name"), year(), grams_by_boundary(),
        choice("basis", {"production", "consumption", "unknown"}), source()}});
  return all;
}

std::vector<TableDefinition> make_definitions() {
  constexpr double kMostKilograms = 100'000;
  std::vector<TableDefinition> all;
  all.push_back(
      {TableId::cloud_regions,
       "cloud_regions",
       "regions of clouds: place, PUE, WUE",
       2,
       {choice("provider", {"aws", "azure", "gcp"}), text("region"), text("location"), text("country_iso3"),
        optional_text("us_subregion"), number("latitude", -90, 90), number("longitude", -180, 180),
        optional_number("pue", 1, 3), optional_number("wue_l_per_kwh", 0, 20),
        optional_number("cfe_pct", 0, 100), optional_number("gco2e_per_kwh", 0, kMostGrams), source()}});
  all.push_back({TableId::electricity_price,
                 "electricity_price",
                 "price of electricity",
                 2,
                 {text("country_iso3"), optional_text("region"), text("name"),
                  number("usd_per_kwh", 0.001, 10), year(), text("sector"), source()}});
  all.push_back(
      {TableId::embodied_components,
       "embodied_components",
       "emissions of making hardware",
       1,
       {text("component"), text("unit"), optional_number("kg_co2e_low", 0, kMostKilograms),
        number("kg_co2e_central", 0.001, kMostKilograms), optional_number("kg_co2e_high", 0, kMostKilograms),
        number("lifetime_years", 0.5, 30), source()}});
  all.push_back({TableId::equivalences,
                 "equivalences",
                 "what a gram of CO2e compares with",
                 1,
                 {text("name"), text("unit"), number("gco2e_per_unit", 0.001, 1e9), source()}});
  all.push_back({TableId::fuel_factors,
                 "fuel_factors",
                 "emissions and water of fuels",
                 1,
                 {text("fuel"), number("lifecycle_gco2e_per_kwh", kLeastLifecycleGrams, kMostGrams),
                  optional_number("direct_gco2e_per_kwh", 0, kMostGrams),
                  optional_number("water_l_per_kwh", 0, 200), source()}});
  all.push_back(
      {TableId::gpu_specs,
       "gpu_specs",
       "GPUs: power, memory, speed, emissions of making",
       2,
       {text("vendor"), text("model"), optional_text("aliases"), optional_number("tdp_watts", 1, 5000),
        optional_number("memory_gb", 0.1, 10000), optional_number("peak_fp32_tflops", 0, 1e6),
        optional_number("peak_fp16_tflops", 0, 1e6), optional_number("embodied_kg_low", 0, kMostKilograms),
        optional_number("embodied_kg_central", 0, kMostKilograms),
        optional_number("embodied_kg_high", 0, kMostKilograms), source()}});
  for (TableDefinition& definition : grid_definitions()) all.push_back(std::move(definition));
  all.push_back({TableId::provider_pue,
                 "provider_pue",
                 "PUE and WUE of providers' fleets",
                 1,
                 {text("provider"),
                  number("pue", 1, 3),
                  optional_number("wue_l_per_kwh", 0, 20),
                  {.name = "year",
                   .kind = Kind::number,
                   .required = false,
                   .minimum = kFirstYear,
                   .maximum = kLastYear},
                  source()}});
  all.push_back({TableId::sources,
                 "sources",
                 "who published the values",
                 1,
                 {text("source_id"), text("title"), optional_text("licence")}});
  return all;
}

}  // namespace

const std::vector<TableDefinition>& table_definitions() {
  static const std::vector<TableDefinition> kDefinitions = make_definitions();
  return kDefinitions;
}

const TableDefinition& definition_of(TableId id) {
  for (const TableDefinition& definition : table_definitions()) {
    if (definition.id == id) return definition;
  }
  __builtin_unreachable();
}

const TableDefinition* find_definition(std::string_view name) {
  for (const TableDefinition& definition : table_definitions()) {
    if (definition.name == name) return &definition;
  }
  return nullptr;
}

std::string_view embedded_table(TableId id) {
  switch (id) {
#define JOULERY_CASE(name)                   \
  case TableId::name:                        \
    return {joulery_embedded_##name##_begin, \
            static_cast<std::size_t>(joulery_embedded_##name##_end - joulery_embedded_##name##_begin)};
    JOULERY_TABLES(JOULERY_CASE)
#undef JOULERY_CASE
    case TableId::grid_zone:
      return {};
  }
  return {};
}

}  // namespace joulery::footprint
