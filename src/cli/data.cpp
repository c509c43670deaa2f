#include <fmt/format.h>

#include "app/footprint.hpp"
#include "app/footprint_documents.hpp"
#include "base/text.hpp"
#include "cli/terminal.hpp"
#include "cli/verb.hpp"

namespace joulery::cli {
namespace {

VerbResult list_data(app::Application& application, const Arguments& arguments) {
  if (arguments.operands.size() > 1) return user_error("joulery data list takes nothing more");
  const std::vector<app::TableInUse> tables = app::tables_in_use(application);
  bool broken = false;
  for (const app::TableInUse& table : tables) broken = broken || !table.problem.empty();
  if (arguments.has("json")) {
    JOULERY_CHECK_OK(print(Stream::out, app::data_document(tables) + "\n"));
    return broken ? kExitUsage : kExitOk;
  }
  const Palette colors = palette(application, Stream::out);
  std::string text;
  for (const app::TableInUse& table : tables) {
    text += fmt::format("{}{:<20}{} {:<9} {:>4} rows  {}\n", colors.bold, table.name, colors.reset,
                        table.origin, table.rows, table.summary);
    if (!table.file.empty()) text += fmt::format("  {}\n", printable(table.file));
    if (!table.problem.empty())
      text += fmt::format("  {}!{} {}\n", colors.red, colors.reset, printable(table.problem));
    for (const std::string& source : table.sources)
      text += fmt::format("  {}{}{}\n", colors.dim, printable(source), colors.reset);
    if (!table.imported_at.empty())
      text += fmt::format("  {}imported {}{}\n", colors.dim, table.imported_at, colors.reset);
  }
  JOULERY_CHECK_OK(print(Stream::out, text));
  return broken ? kExitUsage : kExitOk;
}

VerbResult import_data(app::Application& application, const Arguments& arguments) {
  if (arguments.operands.size() < 2) {
    return user_error("joulery data import needs a file",
                      "joulery data import FILE --licence TEXT --source TEXT");
  }
  footprint::ImportRequest request;
  request.licence = printable(arguments.value("licence").value_or(""));
  request.source = printable(arguments.value("source").value_or(""));
  request.table = arguments.value("table").value_or("");
  if (request.licence.empty() || request.source.empty()) {
    return user_error("a table needs its licence and its source, so that figures can name them",
                      "for example --licence ODbL --source \"Electricity Maps\"");
  }
  constexpr std::size_t kLongestNote = 300;
  if (request.licence.size() + request.source.size() > kLongestNote)
    return user_error(fmt::format("licence and source are longer than {} bytes together", kLongestNote));
  if (arguments.has("year")) {
    JOULERY_ASSIGN(request.year, arguments.integer("year", 0, 1990, 2100));
  }
  JOULERY_ASSIGN(const std::string path, app::import_data(application, arguments.operands[1], request));
  const std::string text = arguments.has("json")
                               ? app::data_document(app::tables_in_use(application)) + "\n"
                               : fmt::format("{}\n  {}, {}\n  `joulery data list` shows what is in use\n",
                                             printable(path), request.source, request.licence);
  JOULERY_CHECK_OK(print(Stream::out, text));
  return kExitOk;
}

}  // namespace

VerbResult data_verb(app::Application& application, const Arguments& arguments) {
  const std::string& action = arguments.operands.front();
  if (action == "list") return list_data(application, arguments);
  if (action == "import") return import_data(application, arguments);
  const std::vector<std::string> actions = {"list", "import"};
  const auto meant = did_you_mean(action, actions);
  return user_error(fmt::format("joulery data can list or import, not '{}'", printable(action)),
                    meant ? fmt::format("did you mean 'joulery data {}'?", *meant) : "");
}

}  // namespace joulery::cli
