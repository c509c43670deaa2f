#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/files.hpp"
#include "base/result.hpp"
#include "onnx/model.hpp"

namespace joulery::onnx {

/// Why external data is refused.
struct ExternalFault {
  /// "external-data.location", "external-data.keys", "external-data.file", "external-data.range" or
  /// "memory-marker".
  std::string rule;
  std::string what;
  std::string hint;
};
template <class T>
using Checked = std::expected<T, ExternalFault>;

/// Where a tensor says that its data lies.
struct ExternalReference {
  std::string location;
  std::uint64_t offset = 0;
  std::optional<std::uint64_t> length;
};

/// True for what ONNX Runtime writes where it means an address in its own memory, and for what looks like it.
bool is_memory_marker(std::string_view text);
/// What is wrong with a location: empty, absolute, with "..", a backslash, a drive letter, a scheme, a
/// control character, or a memory marker. Nothing if it may be looked up.
std::optional<ExternalFault> location_fault(std::string_view location);
/// Reads the tensor's keys strictly: unknown ones, doubled ones and numbers that are none are faults.
Checked<ExternalReference> parse_reference(const Tensor& tensor);

/// Opens `location` under `folder` without following a link, and never outside of it: by openat2, or where
/// the kernel has none (or `step_by_step` asks for it), one folder after the other. The descriptor, or -1 and
/// errno.
FileDescriptor open_beneath(int folder, const std::string& location, bool step_by_step = false);

/// The folder of a model, and the files in it that its tensors lie in.
class ExternalFolder {
 public:
  static Result<ExternalFolder> open(const std::string& folder, std::uint64_t file_limit);
  /// Maps a file that a location names; the same file only once. A fault if it is a link, has another hard
  /// link, is no regular file or is outside the folder.
  Checked<SharedBytes> file(const std::string& location);
  /// The bytes of an external tensor, as many as its type and shape need.
  Checked<SharedBytes> bytes(const Tensor& tensor);
  /// Files mapped so far, with their sizes.
  const std::map<std::string, SharedBytes>& files() const { return files_; }

 private:
  ExternalFolder(FileDescriptor folder, std::uint64_t file_limit)
      : folder_(std::move(folder)), file_limit_(file_limit) {}
  FileDescriptor folder_;
  std::uint64_t file_limit_;
  std::map<std::string, SharedBytes> files_;
};

/// Gives every external tensor of the model its data. The first fault is a user error that names the tensor.
Status attach_external_data(Model& model, ExternalFolder& folder);

}  // namespace joulery::onnx
