#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.hpp"
#include "onnx/finding.hpp"
#include "onnx/model.hpp"

namespace joulery::onnx {

inline constexpr std::int64_t kOldestIrVersion = 3;
inline constexpr std::int64_t kNewestIrVersion = 14;
inline constexpr std::int64_t kOldestOpset = 7;
inline constexpr std::int64_t kNewestOpset = 28;

/// What is wrong with the structure of a model: versions; values defined once and before their use, those of
/// outer graphs visible in subgraphs; outputs that exist; attributes of the type that they say; tensors with
/// as much data as type and shape need; calls that fit their function. A model with a critical finding is not
/// to be run. Operators are not looked into: whether one exists and what it takes is for an engine to say. At
/// most a hundred findings of each severity are listed.
Findings check_model(const Model& model);

/// The first critical finding as a user error, which names the place and says how many others there are.
/// `name` is what the model is called there.
Status require_sound(const Findings& findings, std::string_view name);

}  // namespace joulery::onnx
