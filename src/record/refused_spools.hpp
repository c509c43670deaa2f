#pragma once

#include <optional>
#include <string>

#include "base/result.hpp"

namespace joulery::record {

/// Where in a spool folder those files go that can't be stored, or not all of them.
constexpr const char* kRefusedFolder = "refused";

/// Moves a file of one folder to another in which no file of that name may be: 0, or errno. EEXIST if there
/// is one, ENOENT if the file is gone or has been moved there by somebody else meanwhile.
using MoveFile = int (*)(int from_folder, const char* name, int to_folder, const char* new_name);
int move_without_replacing(int from_folder, const char* name, int to_folder, const char* new_name);
/// The same for file systems that can't do it in one step, such as NFS: nothing is replaced there either.
int link_and_unlink(int from_folder, const char* name, int to_folder, const char* new_name);

/// Moves a file of the spool folder `place` into the folder for refused ones; its new name there, or nothing
/// if it is there no more: somebody else has dealt with it.
Result<std::optional<std::string>> set_aside(int place, const std::string& name,
                                             MoveFile move = move_without_replacing);

}  // namespace joulery::record
