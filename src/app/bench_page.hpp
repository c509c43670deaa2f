#pragma once

#include <string>

#include "app/html_writer.hpp"
#include "app/model_bench.hpp"

namespace joulery::app {

/// The bench of a model as one page: what it costs with ranges and how that is known, latency, drift,
/// quality, calibration, slices, and the two sides against each other. It asks nobody for anything and runs
/// nothing.
std::string bench_page(const ModelBenchOutcome& outcome);

/// Quality of all sides; `bench_page` calls it if there is any.
void write_bench_quality(const ModelBenchOutcome& outcome, HtmlWriter& page);
/// Robustness, and where the time goes.
void write_bench_details(const ModelBenchOutcome& outcome, HtmlWriter& page);
/// "" of one side alone, else "A" and "B".
std::string bench_side_name(const ModelBenchOutcome& outcome, std::size_t side);

}  // namespace joulery::app
