#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace joulery::onnx {

/// What a file that is given as a model really is, where its first bytes tell.
struct FileKind {
  /// "a Git LFS pointer", "an HTML page", …
  std::string name;
  std::string hint;
};

/// The kind of a file that is certainly no ONNX model; nothing if it may be one.
std::optional<FileKind> foreign_kind(std::span<const std::uint8_t> bytes);

}  // namespace joulery::onnx
