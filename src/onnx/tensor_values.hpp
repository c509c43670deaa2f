#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "onnx/model.hpp"

namespace joulery::onnx {

/// What is wrong between a tensor's type, shape and data: unknown type, negative or huge shape, too much or
/// too little data, data in a field that does not belong to the type, a segment. Nothing if all is well. Of
/// an external tensor without its data only type and shape are looked at.
std::optional<std::string> tensor_fault(const Tensor& tensor);

/// The elements as raw data has them, whatever field they lie in; a view if they are raw already. A user
/// error for strings, for a tensor with a fault and for an external one that has no data yet.
Result<SharedBytes> raw_bytes(const Tensor& tensor);
/// The elements of a type of integers or bool.
Result<std::vector<std::int64_t>> integer_values(const Tensor& tensor);
/// The elements of a real type of 8 bits or more, except the float8 types; integers above 2^53 are rounded.
Result<std::vector<double>> real_values(const Tensor& tensor);

Tensor make_tensor(std::string name, std::vector<std::int64_t> dims, const std::vector<float>& values);
Tensor make_tensor(std::string name, std::vector<std::int64_t> dims, const std::vector<std::int64_t>& values);

/// The tensor with its data inside it, in raw form if it lay in another file; its keys are gone then.
Result<Tensor> with_own_data(Tensor tensor);

}  // namespace joulery::onnx
