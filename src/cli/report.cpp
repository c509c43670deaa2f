#include "app/report.hpp"

#include <fmt/format.h>

#include "base/files.hpp"
#include "base/text.hpp"
#include "cli/output_file.hpp"
#include "cli/terminal.hpp"
#include "cli/verb.hpp"

namespace joulery::cli {

VerbResult report_verb(app::Application& application, const Arguments& arguments) {
  const auto file = arguments.value("html");
  const bool json = arguments.has("json");
  if (!file && !json) {
    return user_error("joulery report needs to know where the page goes",
                      "joulery report --html report.html");
  }
  if (file && *file != "-") JOULERY_CHECK_OK(check_output_file("--html", *file, "report.html"));
  if (json && file && *file == "-")
    return user_error("the page and the JSON can't both go to stdout", "--html FILE, or leave one out");
  JOULERY_ASSIGN(const auto store,
                 open_store_and_tell(application, app::Application::StoreAccess::read_only));
  const std::vector<std::string> names =
      arguments.operands.empty() ? std::vector<std::string>{"last"} : arguments.operands;
  JOULERY_ASSIGN(const std::vector<record::Run> runs, app::find_reported_runs(*store, names));
  JOULERY_ASSIGN(const app::Report report,
                 app::make_report(*store, application.data(), runs, application.clock().realtime_ns()));
  if (file && *file == "-") {
    JOULERY_CHECK_OK(print(Stream::out, app::report_page(report)));
  } else if (file) {
    JOULERY_CHECK_OK(write_file_atomically(*file, app::report_page(report)));
    JOULERY_CHECK_OK(print(Stream::err, fmt::format("the report is in {}\n", printable(*file))));
  }
  if (json) JOULERY_CHECK_OK(print(Stream::out, app::report_document(report) + "\n"));
  return kExitOk;
}

}  // namespace joulery::cli
