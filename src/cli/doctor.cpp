#include "app/doctor.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "app/documents.hpp"
#include "base/text.hpp"
#include "cli/terminal.hpp"
#include "cli/verb.hpp"
#include "cli/wrapping.hpp"

namespace joulery::cli {
namespace {

using State = app::DoctorCheck::State;

std::string mark(State state, const Palette& colors) {
  switch (state) {
    case State::good:
      return fmt::format("{}✓{}", colors.green, colors.reset);
    case State::limited:
      return fmt::format("{}!{}", colors.yellow, colors.reset);
    case State::unavailable:
      return fmt::format("{}✗{}", colors.red, colors.reset);
  }
  return "?";
}

const char* area_title(const std::string& area) {
  if (area == "power") return "Power: where joules come from, best first";
  if (area == "gpu") return "GPUs";
  if (area == "attribution") return "Attribution: how the workload is told from the rest, best first";
  if (area == "load") return "Load: how busy the machine is";
  if (area == "clock") return "Clock";
  if (area == "noise") return "Noise: how far two runs of the same work differ here";
  if (area == "settings") return "Settings: what is not as built in (joulery config show --origin)";
  return "Record: where runs are kept";
}

/// Commands are kept whole, so that they can be copied; sentences are broken at blanks.
std::string indented(const std::string& content, std::size_t indent, std::size_t width, bool is_command) {
  std::string text;
  const std::string safe = printable_lines(content);
  for (const std::string_view line : split(safe, '\n')) {
    if (trim(line).empty()) continue;
    if (is_command) {
      text += fmt::format("{:{}}{}\n", "", indent, line);
      continue;
    }
    text += wrapped(line, indent, width);
  }
  return text;
}

std::string check_text(const app::DoctorCheck& check, const Palette& colors, std::size_t width) {
  std::string text = fmt::format("  {} {}{}{}{}\n", mark(check.state, colors), colors.bold,
                                 printable(check.name), colors.reset, check.in_use ? "  (in use)" : "");
  constexpr std::size_t kIndent = 4;
  constexpr std::size_t kLabelled = 16;
  text += indented(check.reason, kIndent, width, false);
  const auto line = [&](std::string_view label, const std::string& content, bool is_command = false) {
    if (trim(content).empty()) return;
    std::string lines = indented(content, kLabelled, width, is_command);
    lines.replace(kIndent, label.size(), label);
    text += fmt::format("{}{}{}{}", colors.dim, lines.substr(0, kLabelled), colors.reset,
                        lines.substr(kLabelled));
  };
  line("resolution", check.resolution);
  line("accuracy", check.accuracy);
  line("costs you", check.cost);
  line(check.state == State::unavailable ? "to enable" : "to improve", check.enable, true);
  return text;
}

/// A device and what is inside it. One whose parent is not read stands at the top.
void add_device(const app::DoctorReport& report, const app::DoctorDevice& device, std::size_t depth,
                const Palette& colors, std::string& text) {
  constexpr std::size_t kColumn = 40;
  const std::size_t width = 2 * depth + 2 + device.name.size();
  // What is shown under another needs no word about why it does not count.
  const bool says_why = !device.counts && (depth == 0 || device.role != "part of its parent");
  text +=
      fmt::format("  {}{} {}{}  {}{}: {}, {}{}{}{}\n", std::string(2 * depth, ' '), device.counts ? "+" : "·",
                  printable(device.name), std::string(width < kColumn ? kColumn - width : 0, ' '), colors.dim,
                  printable(device.via), device.scope, device.provenance, says_why ? "; " : "",
                  says_why ? device.role : "", colors.reset);
  if (depth >= report.devices.size()) return;
  for (const app::DoctorDevice& part : report.devices) {
    if (part.parent_id == device.id && part.id != device.id)
      add_device(report, part, depth + 1, colors, text);
  }
}

std::string device_tree(const app::DoctorReport& report, const Palette& colors) {
  std::string text =
      fmt::format("\n{}What a run adds up{} (+ is counted; · is inside one that is, or not counted)\n",
                  colors.bold, colors.reset);
  for (const app::DoctorDevice& device : report.devices) {
    const bool inside = std::any_of(
        report.devices.begin(), report.devices.end(),
        [&](const app::DoctorDevice& other) { return other.id == device.parent_id && &other != &device; });
    if (!inside) add_device(report, device, 0, colors, text);
  }
  if (report.devices.empty()) text += "  nothing\n";
  return text;
}

std::string doctor_text(const app::DoctorReport& report, const Palette& colors, std::size_t width) {
  std::string text =
      fmt::format("{}{}{}\n{}{}, {} threads, {:.1f} GiB, {}{}\n", colors.bold, report.verdict, colors.reset,
                  colors.dim, printable(report.host.cpu_model), report.host.cpu_threads,
                  report.identity.memory_gib,
                  report.identity.virtual_machine ? "virtual machine" : "bare metal", colors.reset) +
      fmt::format("{} works, {} works with limits, {} is not available here\n", mark(State::good, colors),
                  mark(State::limited, colors), mark(State::unavailable, colors));
  const char* title = nullptr;
  for (const app::DoctorCheck& check : report.checks) {
    const char* area = area_title(check.area);
    if (title == nullptr || std::string_view(title) != area) {
      text += fmt::format("\n{}{}{}\n", colors.bold, area, colors.reset);
      title = area;
    }
    text += check_text(check, colors, width);
  }
  return text + device_tree(report, colors);
}

/// Text for a bug report: no host name, user, path of the home folder or environment.
std::string bug_report(app::DoctorReport report, const config::Environment& environment) {
  std::string text =
      fmt::format("### joulery {}\n\n- {}\n- {}\n- {}, {} threads, {:.1f} GiB{}\n\n```\n", app::version(),
                  report.kernel, report.host.os, report.host.cpu_model, report.host.cpu_threads,
                  report.identity.memory_gib, report.identity.virtual_machine ? ", virtual machine" : "");
  std::string body = doctor_text(report, {}, 100);
  const auto hide = [&](const std::string& secret, const std::string& instead) {
    if (secret.size() < 2) return;
    for (auto at = body.find(secret); at != std::string::npos; at = body.find(secret, at + instead.size())) {
      body.replace(at, secret.size(), instead);
    }
  };
  hide(environment.get("HOME"), "~");
  hide(report.host.name, "HOST");
  return text + body + "```\n";
}

}  // namespace

VerbResult doctor_verb(app::Application& application, const Arguments& arguments) {
  JOULERY_ASSIGN(const app::DoctorReport report, app::examine(application));
  std::string text;
  if (arguments.has("json")) {
    text = app::doctor_document(report) + "\n";
  } else if (arguments.has("report")) {
    text = bug_report(report, application.environment());
  } else {
    text = doctor_text(report, palette(application, Stream::out),
                       static_cast<std::size_t>(std::clamp(terminal_width(), 60, 110)));
  }
  JOULERY_CHECK_OK(print(Stream::out, text));
  return report.usable ? kExitOk : kExitEnvironment;
}

}  // namespace joulery::cli
