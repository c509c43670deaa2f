#pragma once

#include <string>

#include "app/workload.hpp"
#include "base/result.hpp"
#include "cli/arguments.hpp"
#include "config/config.hpp"

namespace joulery::cli {

/// What `run` and `run --versus` share.

/// The request that the flags make; the command is `arguments.command`.
Result<app::WorkloadRequest> read_request(const Arguments& arguments, const config::Config& config);
/// Where the figures go: --output's file, or stderr.
Status deliver(const Arguments& arguments, const std::string& text);
/// A file that can't be written is better known before the command has run for hours.
Status check_output(const Arguments& arguments);

}  // namespace joulery::cli
