#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace joulery::app {

/// Splits a command line into words as a POSIX shell quotes them, but runs no shell: blanks separate,
/// 'single' quotes keep everything, "double" quotes keep all but \" \\ \$ \` and a backslash before a line's
/// end, a backslash elsewhere keeps the next character. Variables, patterns and ~ stay as they are. User
/// error for an open quote, a lone backslash at the end, no word at all, and for what only a shell could do
/// (| & ; < > outside of quotes): better refused than passed on as an argument.
Result<std::vector<std::string>> split_command_line(std::string_view text);

}  // namespace joulery::app
