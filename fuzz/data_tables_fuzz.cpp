#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

#include "footprint/import.hpp"
#include "footprint/site.hpp"
#include "footprint/tables.hpp"

namespace {

using joulery::footprint::TableId;

/// What passed the checks must be as the definition says.
void check_table(TableId id, std::string_view text) {
  const auto table = joulery::footprint::Table::parse(id, text, "fuzz.csv");
  if (!table) {
    // An error names the line.
    if (table.error().message.rfind("fuzz.csv:", 0) != 0) __builtin_trap();
    return;
  }
  for (const auto& row : table->rows()) {
    for (const auto& rule : joulery::footprint::definition_of(id).columns) {
      if (rule.required && row.text(rule.name).empty()) __builtin_trap();
      const auto number = row.number(rule.name);
      if (rule.kind == joulery::footprint::ColumnRule::Kind::number && number &&
          !(*number >= rule.minimum && *number <= rule.maximum))
        __builtin_trap();
    }
  }
}

}  // namespace

/// The first byte chooses the reader, the rest is the file.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto& definitions = joulery::footprint::table_definitions();
  const std::size_t choice = data[0] % (definitions.size() + 3);
  if (choice < definitions.size()) {
    check_table(definitions[choice].id, text);
  } else if (choice == definitions.size()) {
    joulery::footprint::ImportRequest request{.table = "", .licence = "ODbL", .source = "a; b", .year = 2025};
    const auto imported = joulery::footprint::import_table(text, "fuzz", request);
    if (imported) check_table(imported->id, imported->csv);
  } else if (choice == definitions.size() + 1) {
    const auto records = joulery::footprint::parse_import_records(text, "fuzz");
    if (records && !joulery::footprint::parse_import_records(
                       joulery::footprint::format_import_records(*records), "fuzz"))
      __builtin_trap();
  } else {
    static const joulery::footprint::DataSet kData;
    const auto price = joulery::footprint::parse_price(text);
    if (price && !(price->per_kilowatt_hour >= 0 && std::isfinite(price->per_kilowatt_hour)))
      __builtin_trap();
    const auto zone = joulery::footprint::find_zone(kData, text);
    if (zone && !joulery::footprint::find_zone(kData, zone->id)) __builtin_trap();
  }
  return 0;
}
