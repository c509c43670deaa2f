#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace joulery::cli {

/// Lines of at most `width` columns, each after `indent` blanks, broken at blanks; what is longer than a line
/// stays whole, and so does what stands between backquotes. Newlines in `text` end lines; empty lines go.
std::string wrapped(std::string_view text, std::size_t indent, std::size_t width);

}  // namespace joulery::cli
