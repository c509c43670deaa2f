#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "engine/remote/protocol.hpp"

/// The REST form of the Open Inference Protocol (KServe V2).
namespace joulery::engine::remote {

struct OipTensor {
  std::string name;
  /// "FP32", "INT64", "BYTES" …
  std::string datatype;
  /// -1 where a size is open.
  std::vector<std::int64_t> shape;
};

struct OipModel {
  std::string name;
  std::vector<std::string> versions;
  std::string platform;
  std::vector<OipTensor> inputs;
};

/// The answer of GET /v2/models/NAME. Environment error if it is none.
Result<OipModel> parse_oip_model(std::string_view body);

/// Does the answer of GET /v2 list this extension? Nothing if it is no such answer.
std::optional<bool> lists_oip_extension(std::string_view body, std::string_view extension);

/// What --shape says of one input: "x=1,3,224,224", or with its type "x:FP32=4,4" for a model whose metadata
/// does not list it.
struct OipShape {
  std::string name;
  std::string datatype;  // empty: as in the metadata
  std::vector<std::int64_t> shape;
};
Result<OipShape> parse_oip_shape(std::string_view text);

/// The inputs with every size known. User error that names the input whose --shape is missing, does not fit
/// or is of a type that is not known, and for inputs that are too large together.
Result<std::vector<OipTensor>> complete_shapes(const OipModel& model, const std::vector<OipShape>& shapes);

struct OipOptions {
  /// "/v2/models/NAME" or "/v2/models/NAME/versions/V", with what stands before it.
  std::string model_path;
  std::string model;
  /// Tensors as bytes after the JSON (extension "binary_tensor_data"), not as numbers in it.
  bool binary = false;
  http::Headers headers = {};
  std::uint64_t seed = 1;
};

/// Requests with made-up values: numbers from 0 to 1, whole numbers from 0 to 9, words. User error for FP16
/// and BF16, which JSON can't hold, unless `binary`.
Result<std::unique_ptr<Protocol>> oip_protocol(const OipOptions& options,
                                               const std::vector<OipTensor>& inputs);

}  // namespace joulery::engine::remote
