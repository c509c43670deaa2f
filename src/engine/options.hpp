#pragma once

#include <span>
#include <vector>

#include "engine/engine.hpp"

namespace joulery::engine {

/// Names a shape that the user gave, "NAME:1,3,224,224" or "1,3,224,224".
Result<ShapeOverride> parse_shape_override(std::string_view text);

/// Options that no engine can take.
Status check_options(const SessionOptions& options);

/// The inputs with the shapes of `options` put in. User error for a name that no input has, and for a shape
/// that contradicts the model's.
Result<std::vector<Port>> resolve_inputs(std::span<const Port> inputs, const SessionOptions& options);

/// May `tensor` be bound to `port`? `what` is "input" or "output".
Status check_binding(const Port& port, const data::TensorView& tensor, const char* what);

}  // namespace joulery::engine
