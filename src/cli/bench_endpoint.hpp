#pragma once

#include <vector>

#include "cli/flag_table.hpp"
#include "cli/verb.hpp"

namespace joulery::cli {

/// `joulery bench URL`: load on a server, its latency, throughput and energy.
VerbResult bench_endpoint(app::Application& application, const Arguments& arguments);

/// Flags of `bench` that only an endpoint has.
std::vector<Flag> endpoint_flags();

}  // namespace joulery::cli
