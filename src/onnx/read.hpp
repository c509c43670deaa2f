#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "onnx/decode.hpp"
#include "onnx/model.hpp"

namespace joulery::onnx {

struct ReadLimits {
  /// Of the model's own file, and of each file with external data.
  std::uint64_t file_bytes = 1ULL << 40U;
  DecodeLimits decode = {};
  /// False leaves external tensors without their data, and their files unopened.
  bool attach_external = true;
};

/// Reads a model file. Tensor data, also that of external tensors, stays in the mapped files; nothing of it
/// is looked at. External data is opened by the rules of external_data.hpp and must lie in the folder of
/// `path`. User error if the file is no ONNX model (it says what it is instead, where that shows) or is
/// damaged. Says nothing of whether the model makes sense (`check.hpp`) or may be trusted (`policy.hpp`).
Result<Model> read_model(const std::string& path, const ReadLimits& limits = {});
/// The same from memory; external tensors stay without data.
Result<Model> read_model(const SharedBytes& bytes, const ReadLimits& limits = {});

}  // namespace joulery::onnx
