#include <fmt/format.h>

#include "app/documents.hpp"
#include "base/text.hpp"
#include "cli/terminal.hpp"
#include "cli/verb.hpp"

namespace joulery::cli {

VerbResult config_verb(app::Application& application, const Arguments& arguments) {
  if (arguments.has("json")) {
    JOULERY_CHECK_OK(print(Stream::out, app::config_document(application.config()) + "\n"));
    return kExitOk;
  }
  const Palette colors = palette(application, Stream::out);
  std::string text;
  for (const config::SettingDefinition& definition : config::setting_definitions()) {
    const config::Setting& setting = application.config().get(definition.key);
    text += fmt::format("{:<20} {:<28}", definition.key, printable(setting.value));
    text += arguments.has("origin")
                ? fmt::format(" {}{}{}\n", colors.dim, printable(setting.where), colors.reset)
                : fmt::format(" {}{}{}\n", colors.dim, definition.help, colors.reset);
  }
  JOULERY_CHECK_OK(print(Stream::out, text));
  return kExitOk;
}

}  // namespace joulery::cli
