#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.hpp"
#include "onnx/model.hpp"

namespace joulery::onnx {

/// What a file may make us hold: a few bytes of it can stand for a few hundred bytes of structs.
struct DecodeLimits {
  /// Messages inside messages. A subgraph takes three.
  unsigned depth = 100;
  /// Messages and texts. Numbers of lists count as memory only: a forest of trees has many millions.
  std::uint64_t items = 20'000'000;
  /// Memory for structs, texts and lists, without tensor data that stays a view. A small file gets less: 64
  /// times its size and 64 MiB.
  std::uint64_t memory_bytes = 4ULL << 30U;
};

/// Reads a model. Tensor data stays a view into `bytes`. Stricter than a protobuf library where two readers
/// might understand two things: a message that occurs twice where one belongs, an attribute with two values,
/// a tensor with data in two places, numbers that do not fit their field and texts that are no UTF-8 are user
/// errors. The message names the place ("graph.node[12].attribute[0].t") and the byte; `name` is what the
/// bytes are called there.
Result<Model> decode_model(const SharedBytes& bytes, std::string_view name, const DecodeLimits& limits = {});

}  // namespace joulery::onnx
