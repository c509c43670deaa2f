#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "onnx/model.hpp"
#include "onnx/passes/pass.hpp"
#include "onnx/value_shapes.hpp"

namespace joulery::onnx {

/// What most engines take and what low precision needs: blocks and 4 bits in QuantizeLinear came with 21.
inline constexpr std::int64_t kDefaultOpset = 21;
/// Changes of operators are known up to here.
inline constexpr std::int64_t kNewestUpgradeTarget = 25;

/// Rewrites a sound model of opset 7 or later for a newer one, version by version and operator by operator,
/// in the main graph, its subgraphs and the bodies of functions: the same outputs for every input, exactly,
/// as far as the operators' own definitions allow. Softmax, LogSoftmax and Hardmax over several dimensions
/// become one over the flattened input. What becomes an input is a Constant node, so tensors stay where they
/// are. The IR version is raised to what the opset needs; inputs that only named initializers (IR version 3)
/// are gone then. Gives the number of nodes that were rewritten.
///
/// `known` are types and shapes of values beside what the model declares; they make fewer nodes necessary and
/// tell the type of the bounds of Clip in models that mix types of floats.
///
/// User error, the model being as it was, for an operator that is not known, whose conversion is not known,
/// or that means something which no newer operator does; it names the node. A target that is not newer
/// changes nothing.
Result<Change> upgrade_opset(Model& model, std::int64_t target = kDefaultOpset,
                             const ValueShapes& known = {});

struct OperatorVersion {
  std::string_view op_type;
  std::int64_t version = 0;
};
/// Each change of an operator that the upgrade knows, for comparing with the standard.
std::vector<OperatorVersion> known_operator_versions();

}  // namespace joulery::onnx
