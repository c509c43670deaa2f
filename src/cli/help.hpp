#pragma once

#include <string>

#include "cli/flag_table.hpp"

namespace joulery::cli {

/// Text of `joulery --help`.
std::string overview_text();
/// Text of `joulery VERB --help`: examples first.
std::string verb_text(const Verb& verb);
/// roff for man(7).
std::string manual_page(const std::string& version);
/// The same for a terminal without man.
std::string manual_text(const std::string& version);

}  // namespace joulery::cli
