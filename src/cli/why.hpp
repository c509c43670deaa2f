#pragma once

#include <string>

#include "app/footprint_documents.hpp"
#include "cli/terminal.hpp"

namespace joulery::cli {

/// A derivation for a person: each figure, its rule, every factor with value, range, how it is known and by
/// whom, and the sum with the numbers in it.
std::string why_text(const app::WhyReport& report, const Palette& colors);

}  // namespace joulery::cli
