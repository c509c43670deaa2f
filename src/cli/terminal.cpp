#include "cli/terminal.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/files.hpp"
#include "base/text.hpp"
#include "cli/wrapping.hpp"

namespace joulery::cli {
namespace {

int descriptor_of(Stream stream) {
  return stream == Stream::out ? STDOUT_FILENO : STDERR_FILENO;
}

constexpr Palette kColors = {.bold = "\x1b[1m",
                             .dim = "\x1b[2m",
                             .red = "\x1b[31m",
                             .green = "\x1b[32m",
                             .yellow = "\x1b[33m",
                             .cyan = "\x1b[36m",
                             .reset = "\x1b[0m"};

/// Sentences are broken for a terminal only: what reads a file looks for them in one line. A command at the
/// end stays whole on a line of its own.
std::string labelled(const std::string& shown_label, std::string_view label, const std::string& content) {
  const std::string safe = printable_lines(content);
  const std::size_t width = text_width(Stream::err);
  if (!is_terminal(Stream::err) || label.size() + safe.size() <= width) return shown_label + safe + "\n";
  const auto command = safe.find(": joulery ");
  const std::string prose = command == std::string::npos ? safe : safe.substr(0, command + 1);
  std::string lines = wrapped(std::string(label) + prose, 0, width);
  lines.replace(0, label.size(), shown_label);
  if (command != std::string::npos) lines += "  " + safe.substr(command + 2) + "\n";
  return lines;
}

}  // namespace

int exit_code_of(const Error& error) {
  switch (error.kind) {
    case Error::Kind::user:
      return kExitUsage;
    case Error::Kind::environment:
      return kExitEnvironment;
    case Error::Kind::internal:
      return kExitInternal;
  }
  return kExitInternal;
}

Palette palette(app::Application& application, Stream stream) {
  const std::string when = application.config().text("color");
  if (when == "always") return kColors;
  if (when == "never") return {};
  const config::Environment& environment = application.environment();
  if (!environment.get("NO_COLOR").empty()) return {};
  if (!environment.get("FORCE_COLOR").empty()) return kColors;
  if (!is_terminal(stream) || environment.get("TERM") == "dumb") return {};
  return kColors;
}

Status print(Stream stream, std::string_view text) {
  const Status written = write_all(descriptor_of(stream), text);
  if (!written && errno == EPIPE) return {};
  if (!written)
    return environment_error(
        fmt::format("can't write to {}: {}", stream == Stream::out ? "stdout" : "stderr", errno_text(errno)));
  return {};
}

void print_error(const Error& error, const Palette& colors) {
  std::string text =
      labelled(fmt::format("{}{}error:{} ", colors.bold, colors.red, colors.reset), "error: ", error.message);
  if (!error.hint.empty())
    text += labelled(fmt::format("{}hint:{} ", colors.cyan, colors.reset), "hint: ", error.hint);
  static_cast<void>(print(Stream::err, text));
}

int terminal_width() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

std::size_t text_width(Stream stream) {
  constexpr std::size_t kLeast = 80;
  constexpr std::size_t kMost = 110;
  winsize size{};
  if (::ioctl(descriptor_of(stream), TIOCGWINSZ, &size) != 0) return kLeast;
  return std::clamp<std::size_t>(size.ws_col, kLeast, kMost);
}

bool is_terminal(Stream stream) {
  return ::isatty(descriptor_of(stream)) == 1;
}

bool same_terminal(Stream a, Stream b) {
  struct stat first{};
  struct stat second{};
  return is_terminal(a) && is_terminal(b) && ::fstat(descriptor_of(a), &first) == 0 &&
         ::fstat(descriptor_of(b), &second) == 0 && first.st_rdev == second.st_rdev;
}

}  // namespace joulery::cli
