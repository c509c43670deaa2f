#pragma once

#include <string>

#include "base/result.hpp"

namespace joulery::cli {

/// Can a file be written where `flag` ("--output") names it? A folder, or a folder that is not there, is a
/// user error; one that is closed to us an environment error. `example` is the name of such a file.
Status check_output_file(const std::string& flag, const std::string& file, const std::string& example);

}  // namespace joulery::cli
