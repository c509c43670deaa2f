#pragma once

#include <string>

#include "base/result.hpp"
#include "cli/terminal.hpp"

namespace joulery::cli {

/// What a person reads of one run, made from its JSON document: the same text after the run and from `joulery
/// show`. Internal error if the document is none of ours.
Result<std::string> run_summary(const std::string& document, const Palette& colors);

}  // namespace joulery::cli
