#pragma once

#include <string>

#include "base/result.hpp"
#include "cli/terminal.hpp"

namespace joulery::cli {

/// What a person reads of one run, made from its JSON document: the same text after the run and from `joulery
/// show`. Internal error if the document is none of ours.
Result<std::string> run_summary(const std::string& document, const Palette& colors);

/// The score of SCI for AI with what it must say beside the number, for `show --why`; empty if none was asked
/// for.
std::string sci_for_ai_text(const std::string& document, const Palette& colors);

}  // namespace joulery::cli
