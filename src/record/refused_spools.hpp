#pragma once

#include <optional>
#include <string>

#include "base/files.hpp"
#include "base/result.hpp"

namespace joulery::record {

/// Where in a spool folder those files go that can't be stored, or not all of them.
constexpr const char* kRefusedFolder = "refused";

using MoveFile = int (*)(int from_folder, const char* name, int to_folder, const char* new_name);

/// Moves a file of the spool folder `place` into the folder for refused ones; its new name there, or nothing
/// if it is there no more: somebody else has dealt with it.
Result<std::optional<std::string>> set_aside(int place, const std::string& name,
                                             MoveFile move = move_without_replacing);

}  // namespace joulery::record
