#pragma once

#include <optional>
#include <string>

#include "app/application.hpp"
#include "footprint/import.hpp"
#include "meter/session.hpp"

namespace joulery::app {

/// Flags of a run that are not settings.
struct FootprintFlags {
  std::optional<std::string> persona;
  std::optional<std::string> note;
  bool reserved = false;
};

/// Settings and flags as the meter wants them. What a user can have wrong (an unknown zone, a broken table of
/// --data, an absurd price) is an error here, before the command runs; without such settings no table is
/// read.
Result<meter::FootprintOptions> footprint_options(Application& application,
                                                  const std::optional<meter::FunctionalUnit>& per,
                                                  const FootprintFlags& flags);

/// One line of `joulery data list`.
struct TableInUse {
  std::string name;
  std::string summary;
  /// "built-in", "--data", "imported"
  std::string origin;
  /// Empty for a built-in table.
  std::string file;
  std::size_t rows = 0;
  /// Titles and licences of its sources, or what the user said at import.
  std::vector<std::string> sources;
  std::string imported_at;
  /// Empty unless the table is broken.
  std::string problem;
};
std::vector<TableInUse> tables_in_use(Application& application);

/// Checks a file, alone and with the other tables, copies it to the user's data folder, and notes its licence
/// and source beside it. Returns the path. An error leaves what is in use as it is.
Result<std::string> import_data(Application& application, const std::string& file,
                                const footprint::ImportRequest& request);

}  // namespace joulery::app
