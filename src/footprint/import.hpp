#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "footprint/tables.hpp"

namespace joulery::footprint {

/// What a user says of a file that we may not ship.
struct ImportRequest {
  /// "grid_zone" …; empty: by the heading.
  std::string table;
  /// Under which licence, and from where.
  std::string licence;
  std::string source;
  /// For files that don't say it themselves.
  std::optional<int> year;
};

/// A table ready to be written to the user's folder, checked.
struct ImportedTable {
  TableId id = TableId::grid_zone;
  std::string csv;
  std::size_t rows = 0;
};

/// Reads one of our own tables, or Electricity Maps' yearly or hourly CSV, or the JSON of zones with
/// `carbonIntensity` that co2.js publishes; the latter two become `grid_zone` (hours are averaged). `name` is
/// for errors, which name the line where there is one.
Result<ImportedTable> import_table(std::string_view text, const std::string& name,
                                   const ImportRequest& request);

/// What was imported: a row of imports.csv beside the tables.
struct ImportRecord {
  std::string table;
  std::string licence;
  std::string source;
  std::string imported_at;
  std::string sha256;
};
Result<std::vector<ImportRecord>> parse_import_records(std::string_view text, const std::string& name);
std::string format_import_records(const std::vector<ImportRecord>& records);

}  // namespace joulery::footprint
