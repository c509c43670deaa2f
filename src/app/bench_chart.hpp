#pragma once

#include <string>
#include <vector>

#include "app/html_writer.hpp"
#include "evaluate/measurement.hpp"
#include "evaluate/quality.hpp"

namespace joulery::app {

/// Charts of a bench's page: SVG whose words are HTML beside it, each with a text that says what it shows.
/// `id` makes names in the page unique. Of two sides, the second is drawn in another colour and shape.

/// How often calls took how long, with time on a logarithmic axis and the quantiles as lines.
void write_latency_chart(const std::vector<evaluate::SubjectResult>& sides, const std::string& id,
                         HtmlWriter& page);

/// One figure of each block in the order in which they ran, with the mean and its interval: a slope is drift.
struct BlockSeries {
  std::string label;
  const evaluate::GroupedValues* blocks = nullptr;
  const evaluate::Figure* mean = nullptr;
};
/// `what` such as "CPU time per inference"; values are seconds.
void write_block_chart(const std::vector<BlockSeries>& sides, const std::string& what, const std::string& id,
                       HtmlWriter& page);

/// How often the model was right, by how sure it was.
void write_calibration_chart(const evaluate::Calibration& calibration, const std::string& id,
                             HtmlWriter& page);

/// Style of these charts, for open_page.
const char* bench_chart_style();

}  // namespace joulery::app
