#include "footprint/import.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>

#include "base/text.hpp"

namespace joulery::footprint {
namespace {

using Json = nlohmann::json;

std::string csv_field(std::string_view field) {
  if (field.find_first_of(",\"\n\r") == std::string_view::npos) return std::string(field);
  std::string text = "\"";
  for (const char c : field) {
    if (c == '"') text += '"';
    text += c;
  }
  return text + "\"";
}

/// A source of a table is one id among others, divided by semicolons.
std::string as_source_id(const ImportRequest& request) {
  std::string id = fmt::format("{} ({})", request.source, request.licence);
  std::replace(id.begin(), id.end(), ';', ',');
  return id;
}

/// Means per zone of lifecycle and direct intensity.
struct ZoneMean {
  std::string name;
  int year = 0;
  double lifecycle_sum = 0;
  double direct_sum = 0;
  std::size_t lifecycle_count = 0;
  std::size_t direct_count = 0;
};

Result<ImportedTable> make_zone_table(const std::map<std::string, ZoneMean>& zones, const std::string& name,
                                      const ImportRequest& request) {
  std::string csv = "zone,signal,boundary,accounting,name,year,gco2e_per_kwh,basis,source_id\n";
  const std::string source = csv_field(as_source_id(request));
  std::size_t rows = 0;
  for (const auto& [zone, mean] : zones) {
    const auto add = [&](const char* boundary, double sum, std::size_t count) {
      if (count == 0) return;
      csv += fmt::format("{},average,{},location,{},{},{:.6g},consumption,{}\n", csv_field(zone), boundary,
                         csv_field(mean.name.empty() ? zone : mean.name), mean.year, sum / double(count),
                         source);
      ++rows;
    };
    add("direct", mean.direct_sum, mean.direct_count);
    add("lifecycle", mean.lifecycle_sum, mean.lifecycle_count);
  }
  if (rows == 0) return user_error(fmt::format("{}: there is no zone with an intensity in it", name));
  // The same checks as for any table of a user.
  const auto table = Table::parse(TableId::grid_zone, csv, name + " as grid_zone.csv");
  if (!table) return std::unexpected(table.error());
  return ImportedTable{.id = TableId::grid_zone, .csv = std::move(csv), .rows = rows};
}

constexpr const char* kZeroHint =
    "making a power plant emits, too: where the value is not known, leave it empty";

struct ElectricityMapsColumns {
  std::optional<std::size_t> time, zone, name, lifecycle, direct;
  bool complete() const { return zone && (lifecycle || direct); }
};

ElectricityMapsColumns find_columns(const CsvTable& table) {
  ElectricityMapsColumns columns;
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    const std::string column = to_lower(table.columns[i]);
    if (column.starts_with("datetime")) columns.time = i;
    if (column == "zone id") columns.zone = i;
    if (column == "zone name") columns.name = i;
    if (!column.starts_with("carbon intensity")) continue;
    if (column.find("life cycle") != std::string::npos || column.find("lca") != std::string::npos)
      columns.lifecycle = i;
    if (column.find("direct") != std::string::npos) columns.direct = i;
  }
  return columns;
}

Result<ImportedTable> import_electricity_maps(const CsvTable& table, const ElectricityMapsColumns& columns,
                                              const std::string& name, const ImportRequest& request) {
  std::map<std::string, ZoneMean> zones;
  for (const CsvTable::Row& row : table.rows) {
    const auto where = [&] { return fmt::format("{}:{}", name, row.line); };
    const std::string& id = row.fields[*columns.zone];
    if (id.empty()) return user_error(where() + ": the zone is empty");
    ZoneMean& mean = zones[id];
    if (columns.name) mean.name = row.fields[*columns.name];
    std::optional<std::int64_t> year;
    if (columns.time) year = parse_int64(std::string_view(row.fields[*columns.time]).substr(0, 4));
    if (request.year) year = *request.year;
    if (!year) return user_error(where() + ": the row has no year", "give it: --year 2025");
    if (mean.year != 0 && mean.year != *year) {
      return user_error(fmt::format("{}: the zone '{}' is of {} here and of {} before", where(),
                                    printable(id), *year, mean.year),
                        "import one year at a time");
    }
    mean.year = static_cast<int>(std::clamp<std::int64_t>(*year, 0, 9999));
    const auto add = [&](std::optional<std::size_t> column, double least, double& sum,
                         std::size_t& count) -> Status {
      if (!column || row.fields[*column].empty()) return {};
      const auto value = parse_double(row.fields[*column]);
      if (!value || *value < least || *value > 2000) {
        return user_error(fmt::format("{}: {} is '{}', which can't be", where(),
                                      printable(table.columns[*column]), printable(row.fields[*column])),
                          value && *value == 0 ? kZeroHint : "");
      }
      sum += *value;
      ++count;
      return {};
    };
    JOULERY_CHECK_OK(add(columns.lifecycle, kLeastLifecycleGrams, mean.lifecycle_sum, mean.lifecycle_count));
    JOULERY_CHECK_OK(add(columns.direct, 0, mean.direct_sum, mean.direct_count));
  }
  return make_zone_table(zones, name, request);
}

/// {"SE-SE3": {"carbonIntensity": {"value": 18, "unit": "gCO2eq/kWh"}, …}, …}
Result<ImportedTable> import_zone_json(std::string_view text, const std::string& name,
                                       const ImportRequest& request) {
  const Json document = Json::parse(text, nullptr, false);
  if (document.is_discarded()) return user_error(name + ": this is neither JSON nor CSV");
  if (!document.is_object()) return user_error(name + ": the JSON is no object of zones");
  if (!request.year) return user_error(name + ": the file doesn't say its year", "give it: --year 2025");
  std::map<std::string, ZoneMean> zones;
  for (const auto& [id, entry] : document.items()) {
    const auto intensity = entry.is_object() ? entry.find("carbonIntensity") : entry.end();
    const bool there = entry.is_object() && intensity != entry.end() && intensity->is_object() &&
                       intensity->contains("value") && intensity->contains("unit");
    if (!there)
      return user_error(
          fmt::format("{}: zone '{}' has no carbonIntensity with value and unit", name, printable(id)));
    const Json& value = intensity->at("value");
    const Json& unit = intensity->at("unit");
    if (value.is_null()) continue;
    if (!value.is_number() || !unit.is_string())
      return user_error(fmt::format("{}: zone '{}' has no number", name, printable(id)));
    if (unit.get_ref<const std::string&>() != "gCO2eq/kWh") {
      return user_error(fmt::format("{}: zone '{}' is in '{}', not gCO2eq/kWh", name, printable(id),
                                    printable(unit.get_ref<const std::string&>())));
    }
    if (const double grams = value.get<double>(); grams >= 0 && grams < kLeastLifecycleGrams) {
      return user_error(fmt::format("{}: the life cycle of zone '{}' is {} gCO2e/kWh, which can't be", name,
                                    printable(id), grams),
                        kZeroHint);
    }
    ZoneMean& mean = zones[id];
    mean.year = *request.year;
    mean.lifecycle_sum = value.get<double>();
    mean.lifecycle_count = 1;
  }
  return make_zone_table(zones, name, request);
}

/// The only table whose required columns are all in the heading.
const TableDefinition* recognise(const CsvTable& table) {
  for (const TableDefinition& definition : table_definitions()) {
    const bool all = std::all_of(
        definition.columns.begin(), definition.columns.end(),
        [&](const ColumnRule& rule) { return !rule.required || table.column(rule.name).has_value(); });
    if (all && definition.id != TableId::sources) return &definition;
  }
  return nullptr;
}

constexpr const char* kRecordHeading = "table,licence,source,imported_at,sha256\n";

}  // namespace

Result<ImportedTable> import_table(std::string_view text, const std::string& name,
                                   const ImportRequest& request) {
  const TableDefinition* definition = nullptr;
  if (!request.table.empty()) {
    definition = find_definition(request.table);
    std::vector<std::string> names;
    for (const TableDefinition& known : table_definitions()) names.push_back(known.name);
    if (definition == nullptr) {
      const auto meant = did_you_mean(request.table, names);
      return user_error(fmt::format("there is no table '{}'", printable(request.table)),
                        meant ? fmt::format("did you mean '{}'?", *meant)
                              : fmt::format("one of {}", fmt::join(names, ", ")));
    }
  }
  const auto first = text.find_first_not_of(" \t\r\n");
  const bool json = first != std::string_view::npos && (text[first] == '{' || text[first] == '[');
  if (json && (definition == nullptr || definition->id == TableId::grid_zone))
    return import_zone_json(text, name, request);
  JOULERY_ASSIGN(const CsvTable csv, parse_csv_table(text, name));
  const ElectricityMapsColumns columns = find_columns(csv);
  if (columns.complete() && (definition == nullptr || definition->id == TableId::grid_zone))
    return import_electricity_maps(csv, columns, name, request);
  if (definition == nullptr) definition = recognise(csv);
  if (definition == nullptr) {
    return user_error(name + ": the heading is that of none of the tables",
                      "name the table with --table to see what is missing; `joulery data list` has them all");
  }
  JOULERY_ASSIGN(const Table table, Table::parse(definition->id, text, name));
  return ImportedTable{.id = definition->id, .csv = std::string(text), .rows = table.size()};
}

Result<std::vector<ImportRecord>> parse_import_records(std::string_view text, const std::string& name) {
  JOULERY_ASSIGN(const CsvTable table, parse_csv_table(text, name));
  std::vector<std::size_t> columns;
  for (const char* column : {"table", "licence", "source", "imported_at", "sha256"}) {
    const auto index = table.column(column);
    if (!index) return user_error(fmt::format("{}:1: there is no column '{}'", name, column));
    columns.push_back(*index);
  }
  std::vector<ImportRecord> records;
  for (const CsvTable::Row& row : table.rows) {
    records.push_back({.table = row.fields[columns[0]],
                       .licence = row.fields[columns[1]],
                       .source = row.fields[columns[2]],
                       .imported_at = row.fields[columns[3]],
                       .sha256 = row.fields[columns[4]]});
  }
  return records;
}

std::string format_import_records(const std::vector<ImportRecord>& records) {
  std::string text = kRecordHeading;
  for (const ImportRecord& record : records) {
    text += fmt::format("{},{},{},{},{}\n", csv_field(record.table), csv_field(record.licence),
                        csv_field(record.source), csv_field(record.imported_at), csv_field(record.sha256));
  }
  return text;
}

}  // namespace joulery::footprint
