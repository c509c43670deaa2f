#pragma once

#include <span>
#include <string>
#include <vector>

#include "app/html_writer.hpp"
#include "app/report.hpp"

namespace joulery::app {

/// Power over time as SVG whose words are HTML beside it, so that they keep their size on a telephone; with
/// the same in a table. `id` makes names in the page unique.
void write_power_chart(const std::vector<ReportSeries>& power, const std::string& id, HtmlWriter& page);

/// One bar of parts with their numbers in it; the table that follows says which they are.
void write_parts_bar(std::span<const ReportPart> parts, const std::string& label, HtmlWriter& page);

/// Ticks at 1, 2 or 5 times a power of ten, from 0 to at least `most`, about `count` of them.
std::vector<double> round_ticks(double most, int count);

}  // namespace joulery::app
