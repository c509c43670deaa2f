#include "app/footprint.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/files.hpp"
#include "base/ids.hpp"
#include "base/text.hpp"

namespace joulery::app {
namespace {

constexpr std::size_t kLargestImport = 64 << 20;
constexpr const char* kRecordsFile = "/imports.csv";

std::string user_folder(const Application& application) {
  return application.folders().data.empty() ? "" : application.folders().data + "/data";
}

std::vector<footprint::ImportRecord> read_records(const std::string& folder) {
  const auto text = read_file(folder + kRecordsFile, kLargestImport);
  if (!text) return {};
  auto records = footprint::parse_import_records(*text, folder + kRecordsFile);
  return records ? std::move(*records) : std::vector<footprint::ImportRecord>();
}

/// An error that says which setting it came from.
template <class T>
Status named(const Result<T>& result, const config::Setting& setting) {
  if (result) return {};
  Error error = result.error();
  error.message = setting.where + ": " + error.message;
  return std::unexpected(std::move(error));
}

std::vector<std::string> sources_of(const footprint::DataSet& data, const footprint::Table& table) {
  std::set<std::string> all;
  for (const footprint::Table::Row& row : table.rows()) {
    for (const std::string_view id : split(row.text("source_id"), ';')) {
      if (!id.empty()) all.insert(data.describe_sources(std::string(id)));
    }
  }
  return {all.begin(), all.end()};
}

}  // namespace

Result<meter::FootprintOptions> footprint_options(Application& application,
                                                  const std::optional<meter::FunctionalUnit>& per,
                                                  const FootprintFlags& flags) {
  const config::Config& config = application.config();
  meter::FootprintOptions options;
  options.data = &application.data();
  options.reserved = flags.reserved || config.boolean("run.reserved");
  footprint::SiteRequest& request = options.request;
  request.zone = config.text("zone");
  if (config.text("intensity") == "direct") request.kind.boundary = footprint::Boundary::direct;
  if (!config.text("pue").empty()) request.pue = config.number("pue");
  if (!config.text("price").empty()) {
    const auto price = footprint::parse_price(config.text("price"));
    JOULERY_CHECK_OK(named(price, config.get("price")));
    request.price = *price;
  }
  if (flags.persona) {
    const auto persona = footprint::parse_persona(*flags.persona);
    if (!persona) {
      return user_error(fmt::format("--sci-ai can't be '{}'", printable(*flags.persona)),
                        "it is consumer (use of a model) or provider (making it)");
    }
    options.sci_for_ai = footprint::SciForAi{*persona, printable(flags.note.value_or(""))};
    std::optional<footprint::FunctionalUnit> unit;
    if (per) unit = footprint::FunctionalUnit{per->count, per->unit};
    JOULERY_CHECK_OK(footprint::check_sci_for_ai(*options.sci_for_ai, unit));
  } else if (flags.note) {
    return user_error("--sci-ai-note belongs to --sci-ai", "--sci-ai consumer or --sci-ai provider");
  }
  if (!config.text("data").empty()) JOULERY_CHECK_OK(named(application.data().check(), config.get("data")));
  const bool direct = request.kind.boundary == footprint::Boundary::direct;
  // An unknown zone is better known now than after hours.
  if (!request.zone.empty() || direct) {
    JOULERY_CHECK_OK(named(footprint::check_site(application.data(), request),
                           config.get(request.zone.empty() ? "intensity" : "zone")));
  }
  return options;
}

std::vector<TableInUse> tables_in_use(Application& application) {
  const footprint::DataSet& data = application.data();
  const std::vector<footprint::ImportRecord> records = read_records(user_folder(application));
  std::vector<TableInUse> all;
  for (const footprint::TableDefinition& definition : footprint::table_definitions()) {
    TableInUse line;
    line.name = definition.name;
    line.summary = definition.summary;
    line.file = data.file_of(definition.id);
    const std::string& override_folder = data.folders().override_folder;
    const bool overridden = !override_folder.empty() && line.file.starts_with(override_folder + "/");
    line.origin = line.file.empty() ? "built-in" : overridden ? "--data" : "imported";
    const auto table = data.table(definition.id);
    if (!table) {
      line.problem = table.error().message;
    } else if (*table == nullptr) {
      line.origin = "none";
    } else {
      line.rows = (*table)->size();
      line.sources = sources_of(data, **table);
    }
    for (const footprint::ImportRecord& record : records) {
      if (record.table != definition.name || line.origin != "imported") continue;
      line.sources = {record.source + ", " + record.licence};
      line.imported_at = record.imported_at;
    }
    all.push_back(std::move(line));
  }
  return all;
}

Result<std::string> import_data(Application& application, const std::string& file,
                                const footprint::ImportRequest& request) {
  const std::string folder = user_folder(application);
  if (folder.empty())
    return environment_error("there is no home folder to keep tables in", "set XDG_DATA_HOME");
  JOULERY_ASSIGN(const std::string text, read_file(file, kLargestImport));
  JOULERY_ASSIGN(const footprint::ImportedTable table,
                 footprint::import_table(text, printable(file), request));
  // One table may not fit the others, such as a cloud region in a country that is not there.
  footprint::DataSet all({.override_folder = "", .user_folder = folder});
  JOULERY_CHECK_OK(all.try_out(table.id, table.csv, printable(file)));
  JOULERY_CHECK_OK(all.check());
  const std::string& name = footprint::definition_of(table.id).name;
  JOULERY_CHECK_OK(make_directories(folder, 0700));
  std::string path = folder + "/" + name + ".csv";
  const auto before = read_file(path, kLargestImport);
  JOULERY_CHECK_OK(write_file_atomically(path, table.csv));
  std::vector<footprint::ImportRecord> records = read_records(folder);
  std::erase_if(records, [&](const footprint::ImportRecord& record) { return record.table == name; });
  records.push_back({.table = name,
                     .licence = request.licence,
                     .source = request.source,
                     .imported_at = format_utc(application.clock().realtime_ns()),
                     .sha256 = sha256_hex(table.csv)});
  const Status noted =
      write_file_atomically(folder + kRecordsFile, footprint::format_import_records(records));
  if (noted) return path;
  // A table never stands there with the licence and source of another.
  if (before) {
    JOULERY_CHECK_OK(write_file_atomically(path, *before));
  } else {
    ::unlink(path.c_str());
  }
  return std::unexpected(noted.error());
}

}  // namespace joulery::app
