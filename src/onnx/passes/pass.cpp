#include "onnx/passes/pass.hpp"

#include <algorithm>
#include <array>

#include "onnx/edit.hpp"
#include "onnx/passes/pattern.hpp"

namespace joulery::onnx {
namespace {

/// Every pass makes the model smaller or uses up what it looks for, so few rounds are needed; a model that
/// was built to need many does not get them.
constexpr int kMostRounds = 20;

}  // namespace

bool has_subgraph(const Node& node) {
  return std::ranges::any_of(node.attributes, [](const Attribute& attribute) {
    return std::holds_alternative<Box<Graph>>(attribute.value) ||
           std::holds_alternative<std::vector<Graph>>(attribute.value);
  });
}

bool is_by_chance(const Node& node) {
  static constexpr std::array<std::string_view, 7> kByChance{
      "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike",
      "Multinomial",  "Bernoulli",        "Dropout"};
  return canonical_domain(node.domain).empty() &&
         std::ranges::find(kByChance, node.op_type) != kByChance.end();
}

Result<Change> Pass::apply(Model& model) const {
  Change total;
  // Training graphs take values of the main graph by name.
  if (!model.graph.has_value() || !model.training.empty()) return total;
  PassContext context;
  context.ir_version = model.ir_version;
  context.opset_imports = model.opset_imports;
  for (const OpsetId& opset : model.opset_imports) {
    if (canonical_domain(opset.domain).empty()) context.opset = opset.version;
  }
  Status status;
  for_each_graph(*model.graph, [&](Graph& graph) {
    if (!status) return;
    auto change = apply_impl(graph, context);
    if (change) {
      total.count += change->count;
    } else {
      status = std::unexpected(std::move(change).error());
    }
  });
  JOULERY_CHECK_OK(std::move(status));
  return total;
}

std::vector<std::unique_ptr<Pass>> standard_passes() {
  std::vector<std::unique_ptr<Pass>> passes;
  passes.push_back(make_identity_removal());
  passes.push_back(make_batch_norm_folding());
  passes.push_back(make_bias_folding());
  passes.push_back(make_activation_folding());
  passes.push_back(make_gemm_fusion());
  passes.push_back(make_duplicate_removal());
  passes.push_back(make_dead_removal());
  return passes;
}

Result<Change> apply_passes(Model& model, std::span<const std::unique_ptr<Pass>> passes) {
  Change total;
  for (int round = 0; round < kMostRounds; ++round) {
    std::size_t count = 0;
    for (const auto& pass : passes) {
      JOULERY_ASSIGN(const Change change, pass->apply(model));
      count += change.count;
    }
    total.count += count;
    if (count == 0) break;
  }
  return total;
}

}  // namespace joulery::onnx
