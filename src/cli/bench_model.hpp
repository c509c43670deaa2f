#pragma once

#include <string>
#include <vector>

#include "app/model_bench.hpp"
#include "cli/flag_table.hpp"
#include "cli/terminal.hpp"
#include "cli/verb.hpp"

namespace joulery::cli {

/// `joulery bench MODEL`: what a model costs here, and what it is worth.
VerbResult bench_model(app::Application& application, const Arguments& arguments);

/// Flags of `bench` that only a model has.
std::vector<Flag> model_flags();

/// What the flags ask for. Reads no model and no data yet.
Result<app::ModelBenchRequest> read_model_request(app::Application& application, const Arguments& arguments);

/// The outcome as tables for a terminal.
std::string model_bench_text(const app::ModelBenchOutcome& outcome, const Palette& colors, std::size_t width);
std::string model_bench_markdown(const app::ModelBenchOutcome& outcome);

}  // namespace joulery::cli
