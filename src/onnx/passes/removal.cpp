#include <algorithm>
#include <array>
#include <map>
#include <tuple>

#include "onnx/edit.hpp"
#include "onnx/encode.hpp"
#include "onnx/passes/pass.hpp"
#include "onnx/tensor_values.hpp"

namespace joulery::onnx {
namespace {

bool has_subgraph(const Node& node) {
  return std::ranges::any_of(node.attributes, [](const Attribute& attribute) {
    return std::holds_alternative<Box<Graph>>(attribute.value) ||
           std::holds_alternative<std::vector<Graph>>(attribute.value);
  });
}

/// True if a node gives its first input on as it is.
bool is_identity(const Node& node, const GraphIndex& index, const PassContext& context) {
  if (!canonical_domain(node.domain).empty() || node.inputs.empty() || node.outputs.empty()) return false;
  if (node.inputs[0].empty() || node.outputs[0].empty()) return false;
  if (node.op_type == "Identity") return node.inputs.size() == 1 && node.outputs.size() == 1;
  // Before opset 12 Dropout is for inference only; since then its third input may turn training on.
  const bool is_inference = context.opset >= 7 && (node.inputs.size() < 3 || node.inputs[2].empty());
  const bool has_mask =
      node.outputs.size() > 1 && !node.outputs[1].empty() && !index.is_unused(node.outputs[1]);
  return node.op_type == "Dropout" && is_inference && !has_mask;
}

class IdentityRemoval : public Pass {
 public:
  std::string_view name() const override { return "identity removal"; }

 private:
  Result<Change> apply_impl(Graph& graph, const PassContext& context) const override {
    // Taken once: what is asked of it stays true, as names only move from a node that goes to one that stays.
    const GraphIndex index(graph);
    std::set<std::size_t> gone;
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
      if (is_identity(graph.nodes[i], index, context) && bypass(graph, index, i)) gone.insert(i);
    }
    remove_nodes(graph, gone);
    return Change{gone.size()};
  }

  /// Makes the node needless, if that can be.
  static bool bypass(Graph& graph, const GraphIndex& index, std::size_t i) {
    const std::string input = graph.nodes[i].inputs[0];
    const std::string output = graph.nodes[i].outputs[0];
    if (!index.is_output(output)) {
      if (!can_replace(graph, output, input)) return false;
      replace_uses(graph, output, input);
      return true;
    }
    // The output's name goes to the value itself, where another node of this graph makes that.
    if (index.producer(input) == GraphIndex::kNone || index.is_output(input)) return false;
    if (!can_replace(graph, input, output)) return false;
    graph.nodes[i].outputs[0].clear();
    // The output itself says of what type it is.
    std::erase_if(graph.value_infos, [&](const ValueInfo& value) { return value.name == input; });
    rename_value(graph, input, output);
    return true;
  }
};

class DeadRemoval : public Pass {
 public:
  std::string_view name() const override { return "dead removal"; }

 private:
  Result<Change> apply_impl(Graph& graph, const PassContext&) const override {
    const GraphIndex index(graph);
    // Who takes a value comes after who makes it, so that one way back finds all.
    std::set<std::size_t> gone;
    for (std::size_t i = graph.nodes.size(); i-- > 0;) {
      const bool is_dead = std::ranges::all_of(graph.nodes[i].outputs, [&](const std::string& output) {
        return output.empty() || (!index.is_output(output) &&
                                  std::ranges::all_of(index.consumers(output), [&](std::size_t consumer) {
                                    return gone.contains(consumer);
                                  }));
      });
      if (is_dead) gone.insert(i);
    }
    remove_nodes(graph, gone);
    return Change{gone.size() + remove_unused_initializers(graph)};
  }

  static std::size_t remove_unused_initializers(Graph& graph) {
    const GraphIndex index(graph);
    std::unordered_set<std::string> inputs;
    for (const ValueInfo& input : graph.inputs) inputs.insert(input.name);
    std::unordered_set<std::string> unused;
    const auto look_at = [&](const std::string& name) {
      if (index.is_unused(name) && !inputs.contains(name)) unused.insert(name);
    };
    for (const Tensor& tensor : graph.initializers) look_at(tensor.name);
    for (const SparseTensor& sparse : graph.sparse_initializers) {
      if (sparse.values) look_at(sparse.values->name);
    }
    // What describes how a value was quantised names initializers too.
    for (const TensorAnnotation& annotation : graph.quantization_annotations) {
      for (const StringPair& pair : annotation.quantization_parameters) unused.erase(pair.value);
    }
    remove_initializers(graph, unused);
    return unused.size();
  }
};

class DuplicateRemoval : public Pass {
 public:
  std::string_view name() const override { return "duplicate removal"; }

 private:
  Result<Change> apply_impl(Graph& graph, const PassContext& context) const override {
    const std::size_t constants = merge_initializers(graph, context);
    return Change{constants + merge_nodes(graph)};
  }

  static std::size_t merge_initializers(Graph& graph, const PassContext& context) {
    const GraphIndex index(graph);
    // By what is cheap to compare first.
    std::map<std::tuple<DataType, std::vector<std::int64_t>>,
             std::vector<std::pair<std::string, SharedBytes>>>
        kept;
    std::vector<std::pair<std::string, std::string>> same;
    for (const Tensor& tensor : graph.initializers) {
      if (constant_initializer(graph, tensor.name, context.ir_version) == nullptr) continue;
      if (index.is_output(tensor.name) || is_input(graph, tensor.name)) continue;
      const auto raw = raw_bytes(tensor);
      if (!raw) continue;
      auto& others = kept[{tensor.data_type, tensor.dims}];
      const auto twin = std::ranges::find(others, *raw, &std::pair<std::string, SharedBytes>::second);
      if (twin == others.end()) {
        others.emplace_back(tensor.name, *raw);
      } else {
        same.emplace_back(tensor.name, twin->first);
      }
    }
    std::unordered_set<std::string> gone;
    for (const auto& [name, other] : same) {
      if (!can_replace(graph, name, other)) continue;
      replace_uses(graph, name, other);
      gone.insert(name);
    }
    remove_initializers(graph, gone);
    return gone.size();
  }

  static bool is_input(const Graph& graph, const std::string& name) {
    return std::ranges::find(graph.inputs, name, &ValueInfo::name) != graph.inputs.end();
  }

  /// Nodes of ONNX's own operators without chance and without subgraphs.
  static bool is_repeatable(const Node& node) {
    static constexpr std::array<std::string_view, 7> kByChance{
        "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike",
        "Multinomial",  "Bernoulli",        "Dropout"};
    const std::string_view domain = canonical_domain(node.domain);
    return (domain.empty() || domain == "ai.onnx.ml") && !has_subgraph(node) && node.overload.empty() &&
           std::ranges::find(kByChance, node.op_type) == kByChance.end();
  }

  static std::size_t merge_nodes(Graph& graph) {
    std::map<std::string, std::size_t> kept;
    std::set<std::size_t> gone;
    std::unordered_set<std::string> outputs;
    for (const ValueInfo& output : graph.outputs) outputs.insert(output.name);
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
      const Node& node = graph.nodes[i];
      if (!is_repeatable(node)) continue;
      const auto [twin, is_new] = kept.emplace(computation_of(node), i);
      if (is_new || !can_merge(graph, graph.nodes[twin->second], node, outputs)) continue;
      const std::vector<std::string> from = node.outputs;
      const std::vector<std::string> to = graph.nodes[twin->second].outputs;
      for (std::size_t j = 0; j < from.size(); ++j) {
        if (!from[j].empty()) replace_uses(graph, from[j], to[j]);
      }
      gone.insert(i);
    }
    remove_nodes(graph, gone);
    return gone.size();
  }

  static bool can_merge(const Graph& graph, const Node& first, const Node& second,
                        const std::unordered_set<std::string>& outputs) {
    for (std::size_t j = 0; j < second.outputs.size(); ++j) {
      if (second.outputs[j].empty()) continue;
      if (outputs.contains(second.outputs[j]) || !can_replace(graph, second.outputs[j], first.outputs[j]))
        return false;
    }
    return true;
  }

  /// What a node computes from what, as bytes: two nodes with the same compute the same.
  static std::string computation_of(const Node& node) {
    Node bare = node;
    bare.name.clear();
    bare.doc_string.clear();
    bare.metadata.clear();
    bare.domain = std::string(canonical_domain(node.domain));
    // Which outputs are asked for counts, their names do not.
    for (std::string& output : bare.outputs) output = output.empty() ? "" : "o";
    std::ranges::sort(bare.attributes, {}, &Attribute::name);
    for (Attribute& attribute : bare.attributes) attribute.doc_string.clear();
    const SharedBytes bytes = encode_node(bare);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
};

}  // namespace

std::unique_ptr<Pass> make_identity_removal() {
  return std::make_unique<IdentityRemoval>();
}

std::unique_ptr<Pass> make_dead_removal() {
  return std::make_unique<DeadRemoval>();
}

std::unique_ptr<Pass> make_duplicate_removal() {
  return std::make_unique<DuplicateRemoval>();
}

}  // namespace joulery::onnx
