#include "footprint/site.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/text.hpp"

namespace joulery::footprint {
namespace {

constexpr double kHighestPue = 5;
/// Thermal plants without a cooling tower take a third (coal, nuclear once-through), dry or old ones more.
constexpr double kCoolingLow = 0.35;
constexpr double kCoolingHigh = 1.8;
/// Evaporation per kWh of hydro power is put at 0 to 68 litres.
constexpr double kHydroHighLitres = 68;
/// A provider's PUE moves by hundredths from year to year.
constexpr double kPublishedPueLow = 0.97;
constexpr double kPublishedPueHigh = 1.05;
/// Industry pays least: households of the US paid about twice as much in 2024.
constexpr double kPriceLow = 0.8;
constexpr double kPriceHigh = 2.1;

std::string cite(const DataSet& data, const Table& table, const Table::Row& row) {
  return fmt::format("{} [{}:{}]", data.describe_sources(row.text("source_id")), table.name(), row.line());
}

/// Lowest and highest value of a provider's regions.
std::optional<std::pair<double, double>> spread(const Table& regions, const std::string& provider,
                                                std::string_view column) {
  std::optional<std::pair<double, double>> range;
  for (const Table::Row& row : regions.rows()) {
    const auto value = row.number(column);
    if (row.text("provider") != provider || !value) continue;
    if (!range) range = {*value, *value};
    range->first = std::min(range->first, *value);
    range->second = std::max(range->second, *value);
  }
  return range;
}

/// A value with a plausible range around it, as one systematic source.
template <class Unit>
Quantity<Unit> ranged(double value, double low, double high, std::string id, Provenance provenance,
                      std::string basis) {
  SystematicSource source{.id = std::move(id), .provenance = provenance, .basis = std::move(basis)};
  if (value > 0) {
    source.low = std::min(1.0, low / value);
    source.high = std::max(1.0, high / value);
  }
  return {value, provenance, 0, {source}};
}

class SiteFinder {
 public:
  SiteFinder(const DataSet& data, const SiteRequest& request, int year)
      : data_(data), request_(request), year_(year) {}

  Result<Site> find() {
    if (!request_.zone.empty()) {
      JOULERY_ASSIGN(site_.zone, find_zone(data_, request_.zone));
    }
    JOULERY_ASSIGN(site_.intensity, find_intensity(data_, site_.zone, request_.kind, year_));
    JOULERY_ASSIGN(regions_, data_.table(TableId::cloud_regions));
    JOULERY_ASSIGN(providers_, data_.table(TableId::provider_pue));
    if (site_.zone.kind == Zone::Kind::cloud_region) {
      region_ = regions_->find({site_.zone.provider, site_.zone.cloud_region});
      fleet_ = providers_->find({site_.zone.provider});
    }
    find_pue();
    find_wue();
    JOULERY_CHECK_OK(find_water());
    JOULERY_CHECK_OK(find_price());
    return std::move(site_);
  }

 private:
  void find_pue() {
    const std::string id = "pue:" + site_.zone.id;
    Provenance provenance = Provenance::derived;
    double low = 1;
    double high = 1;
    double value = 1;
    std::string basis;
    std::string source;
    int year = 0;
    if (request_.pue) {
      value = low = high = *request_.pue;
      basis = fmt::format("PUE {} as given", value);
    } else if (region_ && region_->number("pue")) {
      value = *region_->number("pue");
      low = std::max(1.0, value * kPublishedPueLow);
      high = value * kPublishedPueHigh;
      basis = fmt::format("PUE {} of {} as its provider published it", value, site_.zone.id);
      source = cite(data_, *regions_, *region_);
    } else if (fleet_) {
      value = fleet_->number("pue").value_or(1);
      const auto range = spread(*regions_, site_.zone.provider, "pue");
      low = range ? std::min(range->first, value) : 1;
      high = range ? std::max(range->second, value) : value * kPublishedPueHigh;
      basis = fmt::format("PUE {} is the mean of {}'s fleet, regions {} to {}", value, site_.zone.provider,
                          low, high);
      source = cite(data_, *providers_, *fleet_);
      year = fleet_->year();
    } else {
      const auto typical = providers_->find({"default"});
      high = typical ? typical->number("pue").value_or(1) : 1;
      provenance = Provenance::assumed;
      basis = fmt::format(
          "no data centre is named, so nothing for its cooling and power supply; {} on average if this is "
          "one",
          high);
      if (typical) source = cite(data_, *providers_, *typical);
      year = typical ? typical->year() : 0;
    }
    site_.pue = ranged<Ratio>(value, low, high, id, provenance, std::move(basis));
    site_.pue_factor = make_factor("pue", "power usage effectiveness (PUE)", site_.pue, 1, "");
    site_.pue_factor.source = std::move(source);
    site_.pue_factor.year = year;
  }

  void find_wue() {
    const std::string id = "wue:" + site_.zone.id;
    double value = 0;
    double low = 0;
    double high = 0;
    Provenance provenance = Provenance::derived;
    std::string basis;
    std::string source;
    if (region_ && region_->number("wue_l_per_kwh")) {
      value = *region_->number("wue_l_per_kwh");
      // Published once a year, and weather decides: half to twice.
      low = value / 2;
      high = value * 2;
      basis = "water on site as the provider published it; half to twice by weather (assumed)";
      source = cite(data_, *regions_, *region_);
    } else if (fleet_ && fleet_->number("wue_l_per_kwh")) {
      value = *fleet_->number("wue_l_per_kwh");
      const auto range = spread(*regions_, site_.zone.provider, "wue_l_per_kwh");
      low = range ? range->first : value / 2;
      high = range ? range->second : value * 2;
      basis = fmt::format("water on site: mean of {}'s fleet", site_.zone.provider);
      source = cite(data_, *providers_, *fleet_);
    } else {
      provenance = Provenance::assumed;
      basis = "no water for cooling on site: no data centre is named";
    }
    site_.wue = ranged<LitresPerJoule>(value / kJoulesPerKilowattHour, low / kJoulesPerKilowattHour,
                                       high / kJoulesPerKilowattHour, id, provenance, std::move(basis));
    site_.wue_factor = make_factor("wue", "water on site per kWh of the machine (WUE)", site_.wue,
                                   kJoulesPerKilowattHour, "l/kWh");
    site_.wue_factor.source = std::move(source);
  }

  Status find_water() {
    JOULERY_ASSIGN(const Table* mixes, data_.table(TableId::grid_mix));
    JOULERY_ASSIGN(const Table* fuels, data_.table(TableId::fuel_factors));
    auto mix = mixes->find({site_.zone.country_iso3});
    const bool own = mix.has_value();
    if (!mix) mix = mixes->find({"WORLD"});
    double cooling = 0;
    double hydro = 0;
    double hydro_share = 0;
    std::string shares;
    if (mix) {
      for (const char* fuel :
           {"coal", "gas", "oil", "nuclear", "hydro", "wind", "solar", "biomass", "other"}) {
        const double share = mix->number(std::string(fuel) + "_pct").value_or(0) / 100;
        // The rest is geothermal for the most part.
        const auto row = fuels->find({std::string_view(fuel) == "other" ? "geothermal" : fuel});
        const double litres = row ? row->number("water_l_per_kwh").value_or(0) : 0;
        if (std::string_view(fuel) == "hydro") {
          hydro = share * litres;
          hydro_share = share;
        } else {
          cooling += share * litres;
        }
        if (share >= 0.005)
          shares += fmt::format("{}{} {:.0f} %", shares.empty() ? "" : ", ", fuel, 100 * share);
      }
    }
    const bool whole = own && site_.zone.kind == Zone::Kind::country;
    const Provenance provenance = whole ? Provenance::derived : Provenance::assumed;
    const bool world = site_.zone.kind == Zone::Kind::world;
    const std::string place = !own    ? "the world, as that of the place is not known"
                              : world ? "the world"
                              : whole ? "the country"
                                      : "the whole country, as that of the zone is not known";
    const double per_joule = 1 / kJoulesPerKilowattHour;
    site_.cooling_water = ranged<LitresPerJoule>(
        cooling * per_joule, kCoolingLow * cooling * per_joule, kCoolingHigh * cooling * per_joule,
        "water:cooling:" + site_.zone.id, provenance,
        "water of cooling towers by fuel; once-through cooling takes a third, some plants twice");
    site_.hydro_water = ranged<LitresPerJoule>(
        hydro * per_joule, 0, hydro_share * kHydroHighLitres * per_joule, "water:hydro:" + site_.zone.id,
        provenance, "evaporation from reservoirs is put at 0 to 68 l/kWh of hydro power");
    const auto describe = [&](const char* key, const char* label, const Quantity<LitresPerJoule>& water) {
      Factor factor = make_factor(key, label, water, kJoulesPerKilowattHour, "l/kWh");
      factor.basis = fmt::format("mix of {} ({}); {}", place, shares, factor.basis);
      if (mix) factor.source = cite(data_, *mixes, *mix) + "; " + data_.describe_sources("macknick-2012");
      factor.year = mix ? mix->year() : 0;
      return factor;
    };
    site_.cooling_factor = describe("ewif_cooling", "water of cooling at power plants per kWh of electricity",
                                    site_.cooling_water);
    site_.hydro_factor = describe(
        "ewif_hydro", "water that evaporates from reservoirs per kWh of electricity", site_.hydro_water);
    return {};
  }

  Status find_price() {
    if (request_.price) {
      site_.currency = request_.price->currency;
      site_.price = Quantity<MoneyPerJoule>(request_.price->per_kilowatt_hour / kJoulesPerKilowattHour,
                                            Provenance::derived);
      site_.price_factor = make_factor("price", "price of electricity", *site_.price, kJoulesPerKilowattHour,
                                       site_.currency + "/kWh");
      site_.price_factor.basis = "as given";
      return {};
    }
    JOULERY_ASSIGN(const Table* prices, data_.table(TableId::electricity_price));
    auto row = prices->find({site_.zone.country_iso3, site_.zone.part});
    if (!row) row = prices->find({site_.zone.country_iso3, ""});
    if (!row) return {};
    const double price = row->number("usd_per_kwh").value_or(0) / kJoulesPerKilowattHour;
    site_.currency = "USD";
    site_.price = ranged<MoneyPerJoule>(
        price, kPriceLow * price, kPriceHigh * price,
        fmt::format("price:{}:{}", row->text("country_iso3"), row->text("region")), Provenance::derived,
        fmt::format("mean {} price of {} in {}; others pay up to twice as much", row->text("sector"),
                    row->text("name"), row->year()));
    site_.price_factor =
        make_factor("price", "price of electricity", *site_.price, kJoulesPerKilowattHour, "USD/kWh");
    site_.price_factor.value = row->number("usd_per_kwh").value_or(0);
    site_.price_factor.source = cite(data_, *prices, *row);
    site_.price_factor.year = row->year();
    return {};
  }

  const DataSet& data_;
  const SiteRequest& request_;
  int year_;
  Site site_;
  const Table* regions_ = nullptr;
  const Table* providers_ = nullptr;
  std::optional<Table::Row> region_;
  std::optional<Table::Row> fleet_;
};

Status check_pue(const SiteRequest& request) {
  if (!request.pue || (*request.pue >= 1 && *request.pue <= kHighestPue)) return {};
  return user_error(
      fmt::format("a PUE of {} can't be", *request.pue),
      "it is all the energy of a data centre over that of its machines: 1 to 5, 1.56 on average");
}

}  // namespace

Result<Price> parse_price(std::string_view text) {
  const std::string_view whole = trim(text);
  const auto end = whole.find_first_not_of("+-.0123456789eE");
  const auto split_at = std::min(end == std::string_view::npos ? whole.size() : end, whole.find(' '));
  const std::string_view digits = trim(whole.substr(0, split_at));
  const auto number = parse_double(digits);
  std::string currency(trim(whole.substr(std::min(split_at, whole.size()))));
  // "0.3EUR": the E was taken for an exponent.
  std::string_view mantissa = digits;
  const auto value = number ? number : [&]() -> std::optional<double> {
    while (!mantissa.empty() && (mantissa.back() == 'E' || mantissa.back() == 'e')) mantissa.remove_suffix(1);
    return parse_double(mantissa);
  }();
  if (!number && value) currency = std::string(digits.substr(mantissa.size())) + currency;
  const std::string example =
      "for example --price \"0.25 EUR\": what a kWh costs, and the currency's three letters";
  if (!value)
    return user_error(fmt::format("the price '{}' doesn't begin with a number", printable(text)), example);
  if (currency.ends_with("/kWh")) currency.resize(currency.size() - 4);
  const bool letters = currency.size() == 3 && std::all_of(currency.begin(), currency.end(), [](char c) {
                         return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
                       });
  if (!letters)
    return user_error(fmt::format("the price '{}' has no currency of three letters", printable(text)),
                      example);
  for (char& c : currency) {
    if (c >= 'a') c = static_cast<char>(c - 'a' + 'A');
  }
  if (*value < 0) return user_error(fmt::format("the price '{}' is negative", printable(text)), example);
  static constexpr std::array<std::string_view, 8> kStrong = {"USD", "EUR", "GBP", "CHF",
                                                              "CAD", "AUD", "NZD", "SGD"};
  const bool strong = std::find(kStrong.begin(), kStrong.end(), currency) != kStrong.end();
  const double most = strong ? 10 : 1e6;
  if (*value > most) {
    return user_error(fmt::format("the price '{}' is more than a kWh costs anywhere", printable(text)),
                      example);
  }
  return Price{*value, std::move(currency)};
}

Status check_site(const DataSet& data, const SiteRequest& request) {
  JOULERY_CHECK_OK(check_pue(request));
  Zone zone;
  if (!request.zone.empty()) {
    JOULERY_ASSIGN(zone, find_zone(data, request.zone));
  }
  // The year matters to ranges only.
  constexpr int kAnyYear = 2024;
  const auto intensity = find_intensity(data, zone, request.kind, kAnyYear);
  return intensity ? Status() : Status(std::unexpected(intensity.error()));
}

Result<Site> find_site(const DataSet& data, const SiteRequest& request, int year) {
  JOULERY_CHECK_OK(check_pue(request));
  return SiteFinder(data, request, year).find();
}

}  // namespace joulery::footprint
