#pragma once

#include <string>

#include "cli/flag_table.hpp"

namespace joulery::cli {

/// Text of `joulery --help`, in lines of at most `width` columns but for commands.
std::string overview_text(std::size_t width);
/// Text of `joulery VERB --help`: examples first.
std::string verb_text(const Verb& verb, std::size_t width);
/// roff for man(7).
std::string manual_page(const std::string& version);
/// The same for a terminal without man.
std::string manual_text(const std::string& version, std::size_t width);

}  // namespace joulery::cli
