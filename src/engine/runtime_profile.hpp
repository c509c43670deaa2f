#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "engine/engine.hpp"

namespace joulery::engine {

/// Reads the profile that ONNX Runtime writes, a list of events as JSON, and adds up those of each node. What
/// else is in it is passed over. The names come from the model, so anything may be in there: user error for
/// what is no such list.
Result<std::vector<OperatorTime>> parse_runtime_profile(std::string_view json);
/// The same of a file of at most 512 MiB.
Result<std::vector<OperatorTime>> read_runtime_profile(const std::string& path);

}  // namespace joulery::engine
