#include "footprint/tables.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/files.hpp"
#include "base/text.hpp"

namespace joulery::footprint {
namespace {

constexpr std::size_t kLargestFile = 16 << 20;
const std::string kEmpty;

std::string at(const std::string& name, unsigned line) {
  return fmt::format("{}:{}", name, line);
}

Status check_field(const ColumnRule& rule, const std::string& field, const std::string& where) {
  if (field.empty()) {
    if (!rule.required) return {};
    return user_error(fmt::format("{}: {} is empty", where, rule.name));
  }
  if (rule.kind == ColumnRule::Kind::number) {
    const auto number = parse_double(field);
    if (!number)
      return user_error(fmt::format("{}: {} is '{}', not a number", where, rule.name, printable(field)));
    if (*number < rule.minimum || *number > rule.maximum) {
      return user_error(fmt::format("{}: {} is {}, but it must be between {} and {}", where, rule.name,
                                    printable(field), rule.minimum, rule.maximum));
    }
  }
  if (rule.kind == ColumnRule::Kind::choice &&
      std::find(rule.choices.begin(), rule.choices.end(), field) == rule.choices.end()) {
    return user_error(fmt::format("{}: {} is '{}'; it is one of: {}", where, rule.name, printable(field),
                                  fmt::join(rule.choices, ", ")));
  }
  constexpr std::size_t kLongestText = 1000;
  if (field.size() > kLongestText)
    return user_error(fmt::format("{}: {} is longer than {} bytes", where, rule.name, kLongestText));
  return {};
}

Status check_is_folder(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0)
    return user_error(fmt::format("the data folder '{}' does not exist", printable(path)),
                      "--data (data in joulery.toml) names a folder of CSV tables");
  if (S_ISDIR(info.st_mode)) return {};
  return user_error(
      fmt::format("'{}' is no folder", printable(path)),
      "--data (data in joulery.toml) names a folder of CSV tables; one file alone: `joulery data import`");
}

bool is_file(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 && !S_ISDIR(info.st_mode);
}

}  // namespace

const std::string& Table::Row::text(std::string_view column) const {
  const auto index = table_->csv_.column(column);
  return index ? row_->fields[*index] : kEmpty;
}

std::optional<double> Table::Row::number(std::string_view column) const {
  return parse_double(text(column));
}

Result<Table> Table::parse(TableId id, std::string_view text, const std::string& name) {
  Table table;
  table.id_ = id;
  table.name_ = name;
  JOULERY_ASSIGN(table.csv_, parse_csv_table(text, name));
  JOULERY_CHECK_OK(table.check());
  return table;
}

Status Table::check() {
  const TableDefinition& definition = definition_of(id_);
  std::vector<std::string> known;
  std::vector<std::string> needed;
  for (const ColumnRule& rule : definition.columns) {
    known.emplace_back(rule.name);
    if (rule.required) needed.emplace_back(rule.name);
  }
  for (const ColumnRule& rule : definition.columns) {
    const auto column = csv_.column(rule.name);
    if (!column && rule.required) {
      return user_error(fmt::format("{}: there is no column '{}'", at(name_, 1), rule.name),
                        fmt::format("a table '{}' has the columns {}; needed are {}", definition.name,
                                    fmt::join(known, ", "), fmt::join(needed, ", ")));
    }
    if (!column) continue;
    for (const CsvTable::Row& row : csv_.rows) {
      JOULERY_CHECK_OK(check_field(rule, row.fields[*column], at(name_, row.line)));
      JOULERY_CHECK_OK(check_lifecycle(rule, Row(*this, row)));
    }
  }
  for (const std::string& column : csv_.columns) {
    if (std::find(known.begin(), known.end(), column) != known.end()) continue;
    const auto meant = did_you_mean(column, known);
    return user_error(
        fmt::format("{}: a table '{}' has no column '{}'", at(name_, 1), definition.name, printable(column)),
        meant ? fmt::format("did you mean '{}'?", *meant) : "");
  }
  if (csv_.rows.empty()) return user_error(at(name_, 1) + ": there are no rows");
  for (std::size_t i = 0; i < csv_.rows.size(); ++i) {
    const Row row(*this, csv_.rows[i]);
    std::vector<std::string> key;
    for (std::size_t k = 0; k < definition.key_columns; ++k)
      key.push_back(row.text(definition.columns[k].name));
    const std::string shown = fmt::format("{}", fmt::join(key, ", "));
    const auto [twin, fresh] = by_key_.emplace(std::move(key), i);
    if (!fresh) {
      return user_error(fmt::format("{}: '{}' is already in line {}", at(name_, row.line()), printable(shown),
                                    csv_.rows[twin->second].line));
    }
  }
  return {};
}

Status Table::check_lifecycle(const ColumnRule& rule, const Row& row) const {
  const bool too_low = rule.lifecycle_minimum > 0 && row.text("boundary") == "lifecycle" &&
                       row.number(rule.name).value_or(rule.lifecycle_minimum) < rule.lifecycle_minimum;
  if (!too_low) return {};
  return user_error(
      fmt::format("{}: {} is {}, but that of a life cycle must be between {} and {}", at(name_, row.line()),
                  rule.name, printable(row.text(rule.name)), rule.lifecycle_minimum, rule.maximum),
      "leave out the row if the value is not known: making a power plant emits, too");
}

std::vector<Table::Row> Table::rows() const {
  std::vector<Row> rows;
  rows.reserve(csv_.rows.size());
  for (const CsvTable::Row& row : csv_.rows) rows.emplace_back(*this, row);
  return rows;
}

std::optional<Table::Row> Table::find(const std::vector<std::string>& key) const {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return std::nullopt;
  return Row(*this, csv_.rows[found->second]);
}

Status DataSet::try_out(TableId id, std::string_view text, const std::string& name) {
  tried_ = id;
  if (text.size() > kLargestFile) {
    return user_error(fmt::format("{}: {} is larger than the {} MiB that a table may have", name,
                                  definition_of(id).name, kLargestFile >> 20));
  }
  auto parsed = Table::parse(id, text, name);
  if (!parsed) return std::unexpected(with_way_out(parsed.error(), id));
  tables_[id] = std::make_unique<Table>(std::move(*parsed));
  return {};
}

std::string DataSet::file_of(TableId id) const {
  if (tried_ == id) return {};
  for (const std::string& folder : {folders_.override_folder, folders_.user_folder}) {
    if (folder.empty()) continue;
    std::string path = folder + "/" + definition_of(id).name + ".csv";
    if (is_file(path)) return path;
  }
  return {};
}

Error DataSet::with_way_out(Error error, TableId id) const {
  if (tried_ == id) {
    error.hint += std::string(error.hint.empty() ? "" : "; ") + "nothing was changed: mend the file first";
    return error;
  }
  const std::string path = file_of(id);
  if (path.empty()) return error;
  const std::string file = printable(path);
  const bool imported = path.starts_with(folders_.user_folder + "/") && !folders_.user_folder.empty();
  const std::string instead =
      embedded_table(id).empty() ? "its zones are unknown then" : "the built-in table counts then";
  const std::string way_out =
      imported ? fmt::format(
                     "this is a table that was imported: `joulery data import` it again, or delete {} "
                     "({})",
                     file, instead)
               : fmt::format("mend that line of {}, or leave the file out ({})", file, instead);
  error.hint = error.hint.empty() ? way_out : error.hint + "; " + way_out;
  return error;
}

Result<const Table*> DataSet::table(TableId id) const {
  const auto cached = tables_.find(id);
  if (cached != tables_.end()) return cached->second.get();
  const std::string path = file_of(id);
  std::unique_ptr<Table> table;
  if (!path.empty()) {
    const auto text = read_file(path, kLargestFile);
    if (!text) return std::unexpected(with_way_out(text.error(), id));
    auto parsed = Table::parse(id, *text, printable(path));
    if (!parsed) return std::unexpected(with_way_out(parsed.error(), id));
    table = std::make_unique<Table>(std::move(*parsed));
  } else if (const std::string_view text = embedded_table(id); !text.empty()) {
    JOULERY_ASSIGN(Table parsed, Table::parse(id, text, "built-in " + definition_of(id).name + ".csv"));
    table = std::make_unique<Table>(std::move(parsed));
  }
  return (tables_[id] = std::move(table)).get();
}

Status DataSet::check() const {
  if (!folders_.override_folder.empty()) {
    JOULERY_CHECK_OK(check_is_folder(folders_.override_folder));
    bool any = false;
    std::vector<std::string> names;
    for (const TableDefinition& definition : table_definitions()) {
      any = any || is_file(folders_.override_folder + "/" + definition.name + ".csv");
      names.push_back(definition.name + ".csv");
    }
    if (!any) {
      return user_error(fmt::format("'{}' holds none of the tables", printable(folders_.override_folder)),
                        fmt::format("a table there is called {}", fmt::join(names, ", ")));
    }
  }
  for (const TableDefinition& definition : table_definitions()) {
    const auto read = table(definition.id);
    if (!read) return std::unexpected(read.error());
  }
  return check_references();
}

Status DataSet::check_references() const {
  JOULERY_ASSIGN(const Table* countries, table(TableId::grid_country));
  JOULERY_ASSIGN(const Table* subregions, table(TableId::grid_us_egrid));
  JOULERY_ASSIGN(const Table* states, table(TableId::grid_us_state));
  JOULERY_ASSIGN(const Table* regions, table(TableId::cloud_regions));
  JOULERY_ASSIGN(const Table* prices, table(TableId::electricity_price));
  JOULERY_ASSIGN(const Table* mixes, table(TableId::grid_mix));
  const auto wrong = [&](const std::unexpected<Error>& found, TableId id) {
    return std::unexpected(with_way_out(found.error(), id));
  };
  const auto unknown = [&](const Table& table, const Table::Row& row, std::string_view column,
                           const Table& other) {
    const auto found = user_error(fmt::format("{}: {} '{}' is not in {}", at(table.name(), row.line()),
                                              column, printable(row.text(column)), other.name()));
    // All but what is tried out fitted before, and the built-in tables fit each other.
    const bool of_other = tried_ == other.id() || (tried_ != table.id() && file_of(table.id()).empty());
    return wrong(found, of_other ? other.id() : table.id());
  };
  for (const char* needed : {"WORLD", "USA"}) {
    if (!countries->find({needed}))
      return wrong(user_error(fmt::format("{}: there is no row '{}'", countries->name(), needed),
                              "the table takes the place of the built-in one as a whole: add that row"),
                   TableId::grid_country);
  }
  if (!subregions->find({"US"}))
    return wrong(user_error(fmt::format("{}: there is no row 'US'", subregions->name()),
                            "the table takes the place of the built-in one as a whole: add that row"),
                 TableId::grid_us_egrid);
  for (const Table::Row& row : regions->rows()) {
    if (!countries->find({row.text("country_iso3")}))
      return unknown(*regions, row, "country_iso3", *countries);
    if (const auto& subregion = row.text("us_subregion");
        !subregion.empty() && !subregions->find({subregion}))
      return unknown(*regions, row, "us_subregion", *subregions);
  }
  for (const Table::Row& row : prices->rows()) {
    if (!countries->find({row.text("country_iso3")}))
      return unknown(*prices, row, "country_iso3", *countries);
    const bool state = row.text("country_iso3") == "USA" && !row.text("region").empty();
    if (state && !states->find({row.text("region")})) return unknown(*prices, row, "region", *states);
  }
  for (const Table::Row& row : mixes->rows()) {
    if (!countries->find({row.text("iso3")})) return unknown(*mixes, row, "iso3", *countries);
    double sum = 0;
    for (const ColumnRule& rule : definition_of(TableId::grid_mix).columns) {
      if (rule.name.ends_with("_pct")) sum += row.number(rule.name).value_or(0);
    }
    if (sum < 98 || sum > 102)
      return wrong(
          user_error(fmt::format("{}: the shares add up to {} %", at(mixes->name(), row.line()), sum)),
          TableId::grid_mix);
  }
  return {};
}

std::string DataSet::describe_sources(const std::string& source_ids) const {
  const auto sources = table(TableId::sources);
  std::string text;
  for (const std::string_view id : split(source_ids, ';')) {
    if (!text.empty()) text += "; ";
    const auto row = sources && *sources != nullptr ? (*sources)->find({std::string(id)}) : std::nullopt;
    text += row ? row->text("title") : std::string(id);
    if (row && !row->text("licence").empty()) text += ", " + row->text("licence");
  }
  return text;
}

}  // namespace joulery::footprint
