#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "onnx/evaluator.hpp"
#include "onnx/model.hpp"

namespace joulery::onnx {

/// What a pass must know of the model around a graph.
struct PassContext {
  std::int64_t ir_version = 0;
  /// Of ONNX's own operators.
  std::int64_t opset = 0;
  std::span<const OpsetId> opset_imports;
};

/// What a pass did.
struct Change {
  /// Nodes and initializers that are fewer, or places that were changed.
  std::size_t count = 0;
};

/// Changes a sound model (check.hpp) into an equivalent one: same inputs and outputs by name, type and order,
/// and for every input the same outputs, exactly or up to rounding, as each pass says of itself. What a pass
/// does not understand it leaves alone; so are models with training graphs, and the bodies of functions.
class Pass {
 public:
  virtual ~Pass() = default;
  virtual std::string_view name() const = 0;
  /// Applies the pass to the main graph and every subgraph, inner ones first.
  Result<Change> apply(Model& model) const;

 private:
  virtual Result<Change> apply_impl(Graph& graph, const PassContext& context) const = 0;
};

/// Identity, and Dropout as it is at inference: gone, its users take the input. Outputs exactly the same. An
/// output of the graph keeps its name, and an Identity stays where only it can give an output its name.
std::unique_ptr<Pass> make_identity_removal();
/// Nodes whose outputs nobody takes, and then initializers that nobody takes. Outputs exactly the same.
/// Inputs stay.
std::unique_ptr<Pass> make_dead_removal();
/// Of initializers with the same type, shape and bits one stays, so that tied weights are tied; of nodes that
/// compute the same from the same inputs one stays, unless chance is in it. Outputs exactly the same.
std::unique_ptr<Pass> make_duplicate_removal();
/// MatMul of a matrix with a constant one, and Add of a constant row: Gemm. Same outputs up to the rounding
/// of the sums. Only where the rank of the left matrix is known to be 2.
std::unique_ptr<Pass> make_gemm_fusion();
/// BatchNormalization after a Conv, all of whose parameters are constant float32: into the Conv's weights and
/// bias. Same outputs up to rounding of the new weights. Left alone where a folded weight would not be
/// finite, and where something else takes the weights too: they stay tied.
std::unique_ptr<Pass> make_batch_norm_folding();
/// Add of a constant that is one number or one for each channel, behind a Conv or ConvTranspose with constant
/// weights: into its bias; of a row behind a Gemm: into its C; behind another Add of a constant: the two
/// constants become one. All of them float32. Same outputs up to the rounding of the sums. Left alone where
/// the new constant would not be finite or would have more elements than both had.
std::unique_ptr<Pass> make_bias_folding();
/// Of Relu and Clip in a row one stays, whose bounds are what both leave. Outputs exactly the same for every
/// number; what becomes of NaN and of the sign of zero is the engine's choice before and after. Left alone
/// where a bound is not constant, is NaN, or the lower one is above the upper one.
std::unique_ptr<Pass> make_activation_folding();

struct ConstantFoldingLimits {
  /// A result of so many bytes may be added though nothing goes in its place …
  std::uint64_t small_bytes = 4096;
  /// … until they add up to this, in each graph and application. Larger ones must be no larger than what
  /// goes.
  std::uint64_t most_growth_bytes = std::uint64_t{1} << 20U;
  /// A constant with more elements that somebody else takes too is taken for tied weights: no second one is
  /// made of it.
  std::uint64_t shape_elements = 64;
  /// Runs in all for one graph. A node that the evaluator refuses spoils no other.
  std::size_t most_evaluations = 40;
};
/// Standard operators without chance, all of whose inputs are constant: computed once by `evaluator`, which
/// must outlive the pass; Constant nodes become initializers. Outputs are what the evaluator's engine gives
/// for these nodes, so exactly the same there. Once dead removal has run, a graph's constants take at most
/// `most_growth_bytes` more than before the pass was applied. DequantizeLinear stays: it says in what
/// precision to compute.
std::unique_ptr<Pass> make_constant_folding(Evaluator& evaluator, const ConstantFoldingLimits& limits = {});

/// All of the above in a good order, but those that need an evaluator.
std::vector<std::unique_ptr<Pass>> standard_passes();
/// Applies the passes in turn until none of them finds anything: how much was changed in all.
Result<Change> apply_passes(Model& model, std::span<const std::unique_ptr<Pass>> passes);

}  // namespace joulery::onnx
