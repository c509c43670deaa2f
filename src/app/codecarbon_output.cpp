#include "app/codecarbon_output.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "app/codecarbon_csv.hpp"
#include "app/codecarbon_row.hpp"
#include "base/text.hpp"

namespace joulery::app {
namespace {

constexpr std::string_view kExtension = ".csv";
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

/// As other versions of CodeCarbon wrote it, or a spreadsheet that put other separators.
bool is_emissions_header(const std::vector<std::string>& header) {
  std::vector<std::string> names;
  for (std::string_view field : header) {
    if (field.starts_with(kByteOrderMark)) field.remove_prefix(kByteOrderMark.size());
    const char separator = field.find(';') != std::string_view::npos ? ';' : '\t';
    for (const std::string_view name : split(field, separator)) names.emplace_back(trim(name));
  }
  const auto has = [&](std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  return has("timestamp") && has("duration") && has("emissions");
}

bool is_ranges_header(const std::vector<std::string>& header) {
  const auto has = [&](std::string_view name) {
    return std::find(header.begin(), header.end(), name) != header.end();
  };
  return has("run_id") && has("energy_joules_low");
}

}  // namespace

std::string ranges_path(const std::string& path) {
  const bool has_extension = path.ends_with(kExtension);
  return path.substr(0, path.size() - (has_extension ? kExtension.size() : 0)) + ".ranges.csv";
}

Result<CodeCarbonOutput> CodeCarbonOutput::create(const std::string& path) {
  CodeCarbonOutput output;
  std::vector<std::string> columns;
  for (const CodeCarbonColumn& column : codecarbon_columns()) columns.emplace_back(column.name);
  output.emissions_ = {.path = path,
                       .what = "--codecarbon-csv",
                       .columns = std::move(columns),
                       .is_older = is_emissions_header};
  output.ranges_ = {.path = ranges_path(path),
                    .what = "--codecarbon-csv",
                    .columns = range_columns(),
                    .is_older = is_ranges_header};
  JOULERY_CHECK_OK(check_csv(output.emissions_));
  JOULERY_CHECK_OK(check_csv(output.ranges_));
  return output;
}

Result<std::vector<std::string>> CodeCarbonOutput::append(const meter::MeteredRun& run,
                                                          const footprint::DataSet& data) const {
  std::vector<std::string> notes;
  const auto add = [&](const SharedCsv& csv, const std::vector<std::string>& fields) -> Status {
    JOULERY_ASSIGN(const std::string moved_to, append_csv_row(csv, fields));
    if (!moved_to.empty()) {
      notes.push_back(fmt::format("'{}' has the columns of another version: moved to '{}', a new file begun",
                                  printable(csv.path), printable(moved_to)));
    }
    return {};
  };
  // Ranges without a row hurt nobody; a row whose ranges are missing would look like one of CodeCarbon's.
  JOULERY_CHECK_OK(add(ranges_, range_fields(run)));
  JOULERY_CHECK_OK(add(emissions_, codecarbon_fields(run, data)));
  return notes;
}

}  // namespace joulery::app
