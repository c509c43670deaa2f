#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "onnx/model.hpp"

namespace joulery::onnx {

/// No reader that uses a protobuf library takes more.
inline constexpr std::uint64_t kLargestModelBytes = (1ULL << 31U) - 1;

struct WriteOptions {
  /// Where tensor data goes: `automatic` leaves it in the model while that is below 2 GB.
  enum class Data { automatic, in_model, in_side_file };
  Data data = Data::automatic;
  /// Tensors from so many bytes on go into the side file.
  std::uint64_t side_file_from_bytes = 1024;
  /// Where each tensor starts in the side file, a power of two; tensors of 1 MiB and more start at 64 KiB, if
  /// that is more.
  std::uint64_t alignment = 4096;
};

/// What was written.
struct WrittenModel {
  /// Name of the side file in the model's folder; empty if there is none.
  std::string side_file;
  std::uint64_t model_bytes = 0;
  std::uint64_t side_file_bytes = 0;
};

/// Writes `path`, and where data goes into a side file "<name>.<hash of the data>.data" beside it
/// ("model.onnx.<…>" if no model may refer to a file of such a name). Both are
/// written to temporary files, synced and renamed, the side file first: whoever reads `path` finds the old
/// model with its old data or the new one with its new data. Side files of older versions are left where they
/// are. User error if a model without a side file would have 2 GB or more, and if an external tensor has no
/// data attached.
Result<WrittenModel> write_model(const Model& model, const std::string& path,
                                 const WriteOptions& options = {});

/// The model with all external data inside it; the data is not copied.
Result<Model> with_own_data(const Model& model);
/// SHA-256 of the canonical bytes of the model with all data inside, as hex digits: the same wherever the
/// data lies.
Result<std::string> model_hash(const Model& model);

}  // namespace joulery::onnx
