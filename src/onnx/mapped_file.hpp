#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/files.hpp"
#include "base/result.hpp"
#include "onnx/shared_bytes.hpp"

namespace joulery::onnx {

/// Maps an open regular file of `size` bytes for reading. The mapping lives as long as anything that views
/// it, also when the file is replaced. Who cuts the file short meanwhile ends the reader with SIGBUS, which
/// nothing but a process of its own contains: untrusted models are read in a child.
Result<SharedBytes> map_descriptor(int descriptor, std::uint64_t size, std::string_view name);
/// The same by path: user error if it is no regular file or larger than `limit`. Links are followed: the path
/// is the user's own.
Result<SharedBytes> map_file(const std::string& path, std::uint64_t limit);

}  // namespace joulery::onnx
