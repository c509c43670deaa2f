#include "app/engines.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>
#include <string>
#include <vector>

#include "base/text.hpp"
#include "cli/terminal.hpp"
#include "cli/verb.hpp"
#include "cli/wrapping.hpp"

namespace joulery::cli {
namespace {

constexpr std::size_t kLabelColumn = 16;

std::string labelled(const char* label, const std::string& content, const Palette& colors) {
  return fmt::format("    {}{:<{}}{}{}\n", colors.dim, label, kLabelColumn - 4, colors.reset,
                     printable(content));
}

/// What the processor does for each precision: one without is emulated, or no faster than f32.
std::string precisions_text(const app::EngineEntry& entry, const engine::CpuFeatures& cpu) {
  std::vector<std::string> parts;
  for (const std::string& precision : entry.info->precisions) {
    const auto features = cpu.speeding_up(precision);
    parts.push_back(fmt::format("{} ({})", precision,
                                features.empty() ? std::string("this CPU has no instructions for it")
                                                 : fmt::format("{}", fmt::join(features, ", "))));
  }
  return fmt::format("{}", fmt::join(parts, "; "));
}

std::string entry_text(const app::EngineEntry& entry, const app::EnginesReport& report, const Palette& colors,
                       std::size_t width) {
  const char* title = entry.found.kind->title;
  if (entry.problem) {
    std::string text = fmt::format("  {}✗{} {}{}{} can't be used\n", colors.red, colors.reset, colors.bold,
                                   title, colors.reset);
    text += wrapped(printable(entry.problem->message), 4, width);
    if (!entry.problem->hint.empty()) text += labelled("to mend", entry.problem->hint, colors);
    return text + labelled("found in", entry.found.what, colors);
  }
  std::string text =
      fmt::format("  {}✓{} {}{} {}{}{}\n", colors.green, colors.reset, colors.bold, title,
                  printable(entry.info->version), colors.reset, entry.in_use ? "  (in use)" : "");
  text += labelled("found in", entry.found.what, colors);
  text += labelled("library", entry.found.library, colors);
  std::vector<std::string> devices;
  for (const engine::Device& device : entry.info->devices) {
    devices.push_back(device.description.empty() ? device.name
                                                 : fmt::format("{} ({})", device.name, device.description));
  }
  text += labelled("devices", devices.empty() ? "none" : fmt::format("{}", fmt::join(devices, ", ")), colors);
  return text + labelled("precisions", precisions_text(entry, report.cpu), colors);
}

std::string engines_text(const app::EnginesReport& report, const Palette& colors, std::size_t width) {
  std::string text = fmt::format(
      "{}{}{}\n", colors.bold,
      report.usable() ? "Engines that run models here" : "No engine that could run a model was found",
      colors.reset);
  if (!report.cpu_model.empty())
    text += fmt::format("{}{}{}\n", colors.dim, printable(report.cpu_model), colors.reset);
  text += "\n";
  for (const app::EngineEntry& entry : report.engines) text += entry_text(entry, report, colors, width);
  for (const engine::EngineKind* kind : report.missing) {
    text += fmt::format("  {}✗{} {}{}{} is not installed\n", colors.yellow, colors.reset, colors.bold,
                        kind->title, colors.reset);
    text += labelled("to install", fmt::format("pip install {}", kind->name), colors);
  }
  return text;
}

}  // namespace

VerbResult engines_verb(app::Application& application, const Arguments& arguments) {
  const std::optional<std::string> path = arguments.value("engine-path");
  // As of a variable that is not set: without a word, other engines than those that were meant would be
  // taken.
  if (path && path->empty()) return user_error("--engine-path is empty: name a folder");
  JOULERY_ASSIGN(const app::EnginesReport report, app::look_for_engines(application, path.value_or("")));
  JOULERY_CHECK_OK(print(
      Stream::out, arguments.has("json")
                       ? app::engines_document(report) + "\n"
                       : engines_text(report, palette(application, Stream::out), text_width(Stream::out))));
  return report.usable() ? kExitOk : kExitEnvironment;
}

}  // namespace joulery::cli
