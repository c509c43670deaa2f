#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/comparison.hpp"
#include "cli/arguments.hpp"
#include "cli/terminal.hpp"

namespace joulery::cli {

/// What a person reads of comparisons.
std::string comparison_text(const std::vector<app::Comparison>& comparisons, const Palette& colors);

/// --margin as a share: "5" is 0.05.
Result<std::optional<double>> margin_of(const Arguments& arguments);

}  // namespace joulery::cli
