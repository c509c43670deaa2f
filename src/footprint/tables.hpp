#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/csv.hpp"
#include "base/result.hpp"

namespace joulery::footprint {

/// The tables of data/ that footprints rest on, and one that only a user brings: `grid_zone`.
enum class TableId {
  cloud_regions,
  electricity_price,
  embodied_components,
  equivalences,
  fuel_factors,
  gpu_specs,
  grid_canada,
  grid_country,
  grid_mix,
  grid_us_egrid,
  grid_us_state,
  grid_zone,
  provider_pue,
  sources,
};

/// What a column must hold.
struct ColumnRule {
  std::string_view name;
  enum class Kind { text, number, choice } kind = Kind::text;
  /// No empty fields, and the column itself must be there.
  bool required = true;
  double minimum = 0;
  double maximum = 0;
  std::vector<std::string> choices = {};
  /// Minimum in rows whose `boundary` is the life cycle, in a table that has rows of both boundaries.
  double lifecycle_minimum = 0;
};

/// Building a plant emits whatever it burns: a life cycle of 0 is a rounded or a missing value. Far below the
/// least of the IPCC's medians, 11 of wind.
constexpr double kLeastLifecycleGrams = 1;

struct TableDefinition {
  TableId id;
  /// "grid_country"; the file is the same with ".csv".
  std::string name;
  /// One line for `joulery data list`.
  std::string summary;
  /// The first `key_columns` of them are the key.
  std::size_t key_columns;
  std::vector<ColumnRule> columns;
};
const std::vector<TableDefinition>& table_definitions();
const TableDefinition& definition_of(TableId id);
const TableDefinition* find_definition(std::string_view name);
/// The text that the program carries; empty for `grid_zone`.
std::string_view embedded_table(TableId id);

/// A table whose every field was checked against its definition.
class Table {
 public:
  class Row {
   public:
    Row(const Table& table, const CsvTable::Row& row) : table_(&table), row_(&row) {}
    /// Empty for an empty field and for a column that the file does not have.
    const std::string& text(std::string_view column) const;
    std::optional<double> number(std::string_view column) const;
    int year() const { return static_cast<int>(number("year").value_or(0)); }
    unsigned line() const { return row_->line; }

   private:
    const Table* table_;
    const CsvTable::Row* row_;
  };

  /// `name` is what errors call the text: a path, or "built-in grid_country.csv".
  static Result<Table> parse(TableId id, std::string_view text, const std::string& name);
  TableId id() const { return id_; }
  const std::string& name() const { return name_; }
  std::vector<Row> rows() const;
  std::size_t size() const { return csv_.rows.size(); }
  /// The row with this key.
  std::optional<Row> find(const std::vector<std::string>& key) const;

 private:
  Table() = default;
  Status check();
  Status check_lifecycle(const ColumnRule& rule, const Row& row) const;
  TableId id_{};
  std::string name_;
  CsvTable csv_;
  std::map<std::vector<std::string>, std::size_t> by_key_;
};

/// Where tables are looked for before the built-in ones, per file: `override_folder` (--data), then
/// `user_folder` (what `joulery data import` writes to). Empty: not looked for.
struct DataFolders {
  std::string override_folder;
  std::string user_folder;
};

/// The tables in use. A table is read when it is first asked for. Not thread-safe.
class DataSet {
 public:
  explicit DataSet(DataFolders folders = {}) : folders_(std::move(folders)) {}
  /// Puts a table before those of the folders and the built-in ones, so that check() tells whether it would
  /// fit the others before it is one of them. `name` is what errors call it. User error if it is not valid.
  Status try_out(TableId id, std::string_view text, const std::string& name);
  /// User error that names file and line for a table of a folder that is not what it should be. `grid_zone`
  /// is null if nobody brought one.
  Result<const Table*> table(TableId id) const;
  /// The file a table comes from; empty if it is the built-in one.
  std::string file_of(TableId id) const;
  /// Reads every table and checks what one says of another: regions lie in known countries, shares add up.
  /// User error if the override folder is not there or holds none of the tables.
  Status check() const;
  const DataFolders& folders() const { return folders_; }
  /// "Ember yearly electricity data, CC BY 4.0" for the ids of a row, joined with "; ". An id that `sources`
  /// does not know stands for itself.
  std::string describe_sources(const std::string& source_ids) const;

 private:
  Status check_references() const;
  /// For an error in a table of a folder: how to go on without it.
  Error with_way_out(Error error, TableId id) const;
  DataFolders folders_;
  std::optional<TableId> tried_;
  mutable std::map<TableId, std::unique_ptr<Table>> tables_;
};

}  // namespace joulery::footprint
