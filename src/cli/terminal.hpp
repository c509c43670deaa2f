#pragma once

#include <string>
#include <string_view>

#include "app/application.hpp"
#include "base/result.hpp"

namespace joulery::cli {

constexpr int kExitOk = 0;
constexpr int kExitNegative = 1;
constexpr int kExitUsage = 2;
constexpr int kExitEnvironment = 3;
constexpr int kExitInternal = 70;

int exit_code_of(const Error& error);

enum class Stream { out, err };

/// Colours for one stream; all are empty where colour is not wanted.
struct Palette {
  std::string_view bold, dim, red, green, yellow, cyan, reset;
};
/// Flag > FORCE_COLOR / NO_COLOR > is it a terminal and is TERM not "dumb".
Palette palette(app::Application& application, Stream stream);

/// Writes all of it. An output that is closed or full is an environment error; nobody reads on after a closed
/// pipe, so that is no error of ours.
Status print(Stream stream, std::string_view text);
/// "error: …", then "hint: …" on a line of its own, to stderr.
void print_error(const Error& error, const Palette& colors);
/// Columns of the terminal on stderr, 80 if it is none.
int terminal_width();
/// Columns for sentences: the terminal's if `stream` is one, but no fewer than 80 and no more than can be
/// read with ease; else 80.
std::size_t text_width(Stream stream);
/// Is this stream a terminal?
bool is_terminal(Stream stream);
/// Do stdout or stderr go to the terminal that `stream` goes to?
bool same_terminal(Stream a, Stream b);

}  // namespace joulery::cli
