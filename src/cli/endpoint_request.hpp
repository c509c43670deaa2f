#pragma once

#include "app/endpoint_bench.hpp"
#include "cli/arguments.hpp"

namespace joulery::cli {

/// The command line of `bench URL` as a request. Files that it names are read; user errors say which flag is
/// wrong.
Result<app::EndpointRequest> read_endpoint_request(app::Application& application, const Arguments& arguments);

}  // namespace joulery::cli
