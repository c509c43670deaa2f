#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "cli/terminal.hpp"

namespace joulery::cli {

/// Cells of a table; the first row is its head. Names stand to the left in the first column, figures to the
/// right in the others.
using TextTable = std::vector<std::vector<std::string>>;

/// Letters of UTF-8, each one column wide here.
std::size_t columns_of(std::string_view text);
/// Its first `columns` letters, never a part of one.
std::string_view cut_to(std::string_view text, std::size_t columns);
/// Lines for a terminal.
std::string plain_table(const TextTable& table, const Palette& colors);
std::string markdown_table(const TextTable& table);

}  // namespace joulery::cli
