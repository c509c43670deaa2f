#pragma once

#include <string>

#include "app/endpoint_bench.hpp"
#include "cli/terminal.hpp"

namespace joulery::cli {

/// The outcome as tables for a terminal.
std::string endpoint_text(const app::EndpointOutcome& outcome, const Palette& colors, std::size_t width);
/// The same as Markdown.
std::string endpoint_markdown(const app::EndpointOutcome& outcome);

}  // namespace joulery::cli
