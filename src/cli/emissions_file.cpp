#include "cli/emissions_file.hpp"

#include <fmt/format.h>

#include "base/text.hpp"
#include "cli/terminal.hpp"

namespace joulery::cli {

Result<EmissionsFile> EmissionsFile::create(const Arguments& arguments) {
  EmissionsFile file;
  if (const auto path = arguments.value("codecarbon-csv")) {
    JOULERY_ASSIGN(file.output_, app::CodeCarbonOutput::create(*path));
  }
  return file;
}

void EmissionsFile::append(app::Application& application, const meter::MeteredRun& run) const {
  if (!output_) return;
  const auto notes = output_->append(run, application.data());
  const Palette colors = palette(application, Stream::err);
  if (!notes) {
    const auto warning = fmt::format("{}warning:{} no row for run {}: {}\n", colors.yellow, colors.reset,
                                     run.run.id, notes.error().message);
    static_cast<void>(print(Stream::err, warning));
    if (!notes.error().hint.empty()) {
      static_cast<void>(
          print(Stream::err, fmt::format("{}hint:{} {}\n", colors.cyan, colors.reset, notes.error().hint)));
    }
    return;
  }
  for (const std::string& note : *notes) {
    static_cast<void>(print(Stream::err, fmt::format("{}note:{} {}\n", colors.cyan, colors.reset, note)));
  }
}

}  // namespace joulery::cli
