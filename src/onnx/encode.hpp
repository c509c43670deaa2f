#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "onnx/model.hpp"

namespace joulery::onnx {

/// The model's bytes in canonical form: fields in the order of their numbers, unknown ones behind them,
/// numbers in their shortest form, nothing that is empty or 0 where that means absent. Large tensor data is
/// not copied: the pieces are to be written one after the other. An external tensor is written as a
/// reference, attached or not.
std::vector<SharedBytes> encode_model(const Model& model);
/// The same of one node.
SharedBytes encode_node(const Node& node);
/// Bytes of fields that this version does not know, wherever in the model they are.
std::uint64_t unknown_size(const Model& model);
/// Sum of the pieces' sizes.
std::uint64_t total_size(const std::vector<SharedBytes>& pieces);
/// The pieces in one buffer.
SharedBytes join(const std::vector<SharedBytes>& pieces);

}  // namespace joulery::onnx
