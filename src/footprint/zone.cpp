#include "footprint/zone.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "base/text.hpp"

namespace joulery::footprint {
namespace {

constexpr std::size_t kLongestZone = 80;

/// Names that people use and the table does not.
constexpr std::array<std::pair<std::string_view, std::string_view>, 16> kOtherNames = {{
    {"uk", "GBR"},
    {"great britain", "GBR"},
    {"england", "GBR"},
    {"america", "USA"},
    {"united states of america", "USA"},
    {"south korea", "KOR"},
    {"korea", "KOR"},
    {"north korea", "PRK"},
    {"russia", "RUS"},
    {"czech republic", "CZE"},
    {"turkey", "TUR"},
    {"vietnam", "VNM"},
    {"ivory coast", "CIV"},
    {"holland", "NLD"},
    {"iran", "IRN"},
    {"taiwan", "TWN"},
}};

class ZoneFinder {
 public:
  ZoneFinder(const Table& countries, const Table& states, const Table& subregions, const Table& provinces,
             const Table& regions, const Table* imported)
      : countries_(countries),
        states_(states),
        subregions_(subregions),
        provinces_(provinces),
        regions_(regions),
        imported_(imported) {}

  Result<Zone> find(std::string_view whole) const {
    const std::string word(trim(whole));
    const std::string lower = to_lower(word);
    if (word.empty()) return user_error("the zone is empty", "for example --zone FR, US-CA or aws:eu-west-3");
    if (word.size() > kLongestZone) return user_error(fmt::format("a zone of {} bytes", word.size()));
    if (lower == "world") return Zone{};
    if (word.find(':') != std::string::npos) return cloud(word);
    for (const auto& candidate :
         {imported(lower), part_of_country(lower), country(lower), part_by_name(lower)}) {
      if (candidate) return *candidate;
    }
    return std::unexpected(unknown(word));
  }

 private:
  std::optional<Zone> imported(const std::string& lower) const {
    if (imported_ == nullptr) return std::nullopt;
    for (const Table::Row& row : imported_->rows()) {
      if (to_lower(row.text("zone")) != lower) continue;
      Zone zone{.kind = Zone::Kind::imported,
                .id = row.text("zone"),
                .name = row.text("name"),
                .part = row.text("zone")};
      // Zone names of the field begin with the country's two letters.
      zone.country_iso3 = iso3_of(lower.substr(0, lower.find('-'))).value_or("WORLD");
      return zone;
    }
    return std::nullopt;
  }

  std::optional<std::string> iso3_of(const std::string& lower) const {
    for (const Table::Row& row : countries_.rows()) {
      if (row.text("iso3") == "WORLD") continue;
      if (to_lower(row.text("iso3")) == lower || (!lower.empty() && to_lower(row.text("iso2")) == lower))
        return row.text("iso3");
    }
    return std::nullopt;
  }

  std::optional<Zone> country(const std::string& lower) const {
    const auto other = std::find_if(kOtherNames.begin(), kOtherNames.end(),
                                    [&](const auto& pair) { return pair.first == lower; });
    for (const Table::Row& row : countries_.rows()) {
      const std::string& iso3 = row.text("iso3");
      if (iso3 == "WORLD") continue;
      const bool meant = to_lower(iso3) == lower || to_lower(row.text("iso2")) == lower ||
                         to_lower(row.text("name")) == lower ||
                         (other != kOtherNames.end() && other->second == iso3);
      if (!meant) continue;
      Zone zone{.kind = Zone::Kind::country, .id = iso3, .name = row.text("name"), .country_iso3 = iso3};
      for (const Table::Row& state : states_.rows()) {
        if (to_lower(state.text("state")) == lower || to_lower(state.text("name")) == lower) {
          zone.note = fmt::format("zone '{}' is taken for {}; for {} write US-{}",
                                  to_lower(row.text("iso2")) == lower ? row.text("iso2") : lower, zone.name,
                                  state.text("name"), state.text("state"));
        }
      }
      return zone;
    }
    return std::nullopt;
  }

  Zone state(const Table::Row& row) const {
    return {.kind = Zone::Kind::us_state,
            .id = "US-" + row.text("state"),
            .name = row.text("name"),
            .country_iso3 = "USA",
            .part = row.text("state")};
  }
  Zone subregion(const Table::Row& row) const {
    return {.kind = Zone::Kind::us_subregion,
            .id = "US-" + row.text("subregion"),
            .name = row.text("name"),
            .country_iso3 = "USA",
            .part = row.text("subregion")};
  }
  Zone province(const Table::Row& row) const {
    return {.kind = Zone::Kind::province,
            .id = "CA-" + row.text("province"),
            .name = row.text("name"),
            .country_iso3 = "CAN",
            .part = row.text("province")};
  }

  /// "us-ca", "usa-camx", "ca-qc".
  std::optional<Zone> part_of_country(const std::string& lower) const {
    const auto dash = lower.find('-');
    if (dash == std::string::npos) return std::nullopt;
    const std::string country = lower.substr(0, dash);
    const std::string part = lower.substr(dash + 1);
    if (country == "us" || country == "usa") {
      for (const Table::Row& row : states_.rows()) {
        if (to_lower(row.text("state")) == part) return state(row);
      }
      for (const Table::Row& row : subregions_.rows()) {
        if (row.text("subregion") != "US" && to_lower(row.text("subregion")) == part) return subregion(row);
      }
    }
    if (country == "ca" || country == "can") {
      for (const Table::Row& row : provinces_.rows()) {
        if (to_lower(row.text("province")) == part) return province(row);
      }
    }
    return std::nullopt;
  }

  std::optional<Zone> part_by_name(const std::string& lower) const {
    for (const Table::Row& row : states_.rows()) {
      if (to_lower(row.text("name")) == lower) return state(row);
    }
    for (const Table::Row& row : subregions_.rows()) {
      if (row.text("subregion") == "US") continue;
      if (to_lower(row.text("subregion")) == lower || to_lower(row.text("name")) == lower)
        return subregion(row);
    }
    for (const Table::Row& row : provinces_.rows()) {
      if (to_lower(row.text("name")) == lower) return province(row);
    }
    return std::nullopt;
  }

  Result<Zone> cloud(const std::string& word) const {
    const auto colon = word.find(':');
    const std::string provider = to_lower(word.substr(0, colon));
    const std::string region = to_lower(word.substr(colon + 1));
    std::vector<std::string> ids;
    std::set<std::string> providers;
    for (const Table::Row& row : regions_.rows()) {
      ids.push_back(row.text("provider") + ":" + row.text("region"));
      providers.insert(row.text("provider"));
      if (row.text("provider") != provider || row.text("region") != region) continue;
      return Zone{.kind = Zone::Kind::cloud_region,
                  .id = ids.back(),
                  .name = fmt::format("{} ({})", ids.back(), row.text("location")),
                  .country_iso3 = row.text("country_iso3"),
                  .part = row.text("us_subregion"),
                  .provider = row.text("provider"),
                  .cloud_region = row.text("region")};
    }
    if (providers.count(provider) == 0) {
      return user_error(
          fmt::format("no cloud '{}' is known, only {}", printable(provider), fmt::join(providers, ", ")),
          "write the country instead, such as --zone FR, and --pue if you know it");
    }
    const auto meant = did_you_mean(provider + ":" + region, ids);
    return user_error(fmt::format("{} has no region '{}' that the tables know", provider, printable(region)),
                      meant ? fmt::format("did you mean '{}'?", *meant)
                            : "write the country instead, such as --zone FR, and --pue if you know it");
  }

  Error unknown(const std::string& word) const {
    const std::string lower = to_lower(word);
    std::vector<std::string> names;
    for (const Table::Row& row : countries_.rows()) {
      names.push_back(row.text("name"));
    }
    for (const Table::Row& row : states_.rows())
      names.insert(names.end(), {row.text("name"), "US-" + row.text("state")});
    for (const Table::Row& row : subregions_.rows()) names.push_back(row.text("subregion"));
    for (const Table::Row& row : provinces_.rows())
      names.insert(names.end(), {row.text("name"), "CA-" + row.text("province")});
    std::string hint;
    std::vector<std::string> folded;
    for (const std::string& name : names) folded.push_back(to_lower(name));
    for (const Table::Row& row : regions_.rows()) {
      if (row.text("region") == lower)
        hint += (hint.empty() ? "" : " or ") + row.text("provider") + ":" + lower;
    }
    if (!hint.empty()) {
      hint = fmt::format("did you mean {}?", hint);
    } else if (const auto meant = did_you_mean(lower, folded)) {
      const auto place = std::find(folded.begin(), folded.end(), *meant) - folded.begin();
      hint = fmt::format("did you mean '{}'?", names[static_cast<std::size_t>(place)]);
    } else if (const auto dash = lower.find('-');
               dash != std::string::npos && iso3_of(lower.substr(0, dash))) {
      hint = fmt::format("the tables know '{}' as a whole; `joulery data import` brings finer zones",
                         word.substr(0, dash));
    } else {
      hint =
          "a country (FR, FRA, France), a state (US-CA), a province (CA-QC), or a cloud region "
          "(aws:eu-west-3)";
    }
    return {.kind = Error::Kind::user,
            .message = fmt::format("no zone '{}' is known", printable(word)),
            .hint = std::move(hint)};
  }

  const Table& countries_;
  const Table& states_;
  const Table& subregions_;
  const Table& provinces_;
  const Table& regions_;
  const Table* imported_;
};

}  // namespace

Result<Zone> find_zone(const DataSet& data, std::string_view text) {
  JOULERY_ASSIGN(const Table* countries, data.table(TableId::grid_country));
  JOULERY_ASSIGN(const Table* states, data.table(TableId::grid_us_state));
  JOULERY_ASSIGN(const Table* subregions, data.table(TableId::grid_us_egrid));
  JOULERY_ASSIGN(const Table* provinces, data.table(TableId::grid_canada));
  JOULERY_ASSIGN(const Table* regions, data.table(TableId::cloud_regions));
  JOULERY_ASSIGN(const Table* imported, data.table(TableId::grid_zone));
  return ZoneFinder(*countries, *states, *subregions, *provinces, *regions, imported).find(text);
}

}  // namespace joulery::footprint
