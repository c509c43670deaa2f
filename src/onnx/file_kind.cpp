#include "onnx/file_kind.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "base/text.hpp"
#include "onnx/wire.hpp"

namespace joulery::onnx {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t kHead = 4096;

struct Magic {
  std::size_t offset;
  std::string_view bytes;
  const char* name;
  const char* hint;
};

constexpr std::array kMagics{
    Magic{0, "version https://git-lfs", "a Git LFS pointer",
          "the model itself is still on the server: run 'git lfs pull'"},
    Magic{0, "\x1f\x8b"sv, "a gzip archive", "unpack it first: gunzip"},
    Magic{0, "PK\x03\x04"sv, "a zip archive (PyTorch and Keras models are zip archives too)",
          "unpack it if an .onnx file is inside, else export the model to ONNX"},
    Magic{0, "BZh", "a bzip2 archive", "unpack it first: bunzip2"},
    Magic{0,
          "\xfd"sv
          "7zXZ",
          "an xz archive", "unpack it first: unxz"},
    Magic{0, "\x28\xb5\x2f\xfd"sv, "a Zstandard archive", "unpack it first: unzstd"},
    Magic{257, "ustar", "a tar archive", "unpack it first: tar -xf"},
    Magic{4, "TFL3", "a TensorFlow Lite model", "convert it to ONNX first, for example with tf2onnx"},
    Magic{4, "ORTM", "a model in ONNX Runtime's own format", "give the .onnx file that it was made from"},
    Magic{0, "GGUF", "a GGUF file", "serve it with a llama.cpp server and give its URL"},
    Magic{0, "\x89HDF\r\n\x1a\n"sv, "an HDF5 file (Keras)", "export the model to ONNX first"},
    Magic{0, "\x93NUMPY"sv, "a NumPy array", "this is data, not a model: name it after --data"},
    Magic{0,
          "\x7f"
          "ELF",
          "a program or a library", "name the .onnx file"},
    Magic{0, "PAR1", "a Parquet file", "this is data, not a model: name it after --data"},
};

std::string_view text_of(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool is_safetensors(std::span<const std::uint8_t> bytes) {
  if (bytes.size() < 10) return false;
  std::uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof header);
  return header >= 2 && header <= bytes.size() - sizeof header && bytes[8] == '{' &&
         (bytes[9] == '"' || bytes[9] == '}');
}

/// Letters and blanks, no control characters: no ONNX model is like that, its tags and lengths are such
/// characters.
bool is_text(std::span<const std::uint8_t> head, bool is_whole) {
  std::span<const std::uint8_t> whole_characters = head;
  for (unsigned i = 0; !is_whole && i < 3 && !whole_characters.empty() && !is_utf8(whole_characters); ++i) {
    whole_characters = whole_characters.first(whole_characters.size() - 1);
  }
  const bool is_printable = std::ranges::all_of(whole_characters, [](std::uint8_t byte) {
    return byte >= 0x20 || byte == '\n' || byte == '\r' || byte == '\t' || byte == '\f';
  });
  return is_printable && is_utf8(whole_characters);
}

FileKind kind_of_text(std::string_view head) {
  const std::string lower = to_lower(trim(head.substr(0, 512)));
  if (lower.starts_with("<!doctype html") || lower.starts_with("<html")) {
    return {
        "an HTML page",
        "the download gave a page instead of the file: get it by the link for raw files, or sign in first"};
  }
  if (lower.starts_with("<?xml") && lower.find("<net") != std::string::npos) {
    return {"an OpenVINO model (IR)", "give the .onnx file that it was made from"};
  }
  if (lower.starts_with("<?xml")) return {"an XML file", "name the .onnx file"};
  if (lower.starts_with("{") || lower.starts_with("[")) return {"a JSON file", "name the .onnx file"};
  if (head.find("ir_version:") != std::string_view::npos) {
    return {"an ONNX model written as text",
            "write it in its binary form with onnx.save(…, format='protobuf')"};
  }
  return {"a text file", "name the .onnx file"};
}

}  // namespace

std::optional<FileKind> foreign_kind(std::span<const std::uint8_t> bytes) {
  if (bytes.empty()) return FileKind{"an empty file", "the download or the export was cut off: do it again"};
  const std::string_view all = text_of(bytes);
  for (const Magic& magic : kMagics) {
    // The name of a FlatBuffers format stands behind a small number; in an ONNX model, who made it may stand
    // there.
    if (magic.offset == 4 && (bytes.size() < 4 || bytes[2] != 0 || bytes[3] != 0)) continue;
    if (all.size() >= magic.offset + magic.bytes.size() &&
        all.substr(magic.offset, magic.bytes.size()) == magic.bytes) {
      return FileKind{magic.name, magic.hint};
    }
  }
  if (bytes.size() >= 2 && bytes[0] == 0x80 && bytes[1] >= 2 && bytes[1] <= 5) {
    return FileKind{"a Python pickle",
                    "never load a pickle of somebody else's: export the model to ONNX where it was made"};
  }
  if (is_safetensors(bytes)) {
    return FileKind{"a safetensors file",
                    "it holds weights only: export the model to ONNX, for example with optimum"};
  }
  const auto head = bytes.first(std::min(bytes.size(), kHead));
  if (std::ranges::all_of(head, [](std::uint8_t byte) { return byte == 0; })) {
    return FileKind{"a file of zeros", "the download was cut off: fetch it again"};
  }
  if (is_text(head, bytes.size() <= kHead)) return kind_of_text(text_of(head));
  return std::nullopt;
}

}  // namespace joulery::onnx
