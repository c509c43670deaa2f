#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

#include "onnx/edit.hpp"
#include "onnx/encode.hpp"
#include "onnx/passes/pass.hpp"
#include "onnx/passes/pattern.hpp"
#include "onnx/tensor_values.hpp"

namespace joulery::onnx {
namespace {

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
    // The picture of the graph as it was, and what is to change: all of it is changed at once.
    const GraphIndex index(graph);
    Plan plan;
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
      if (is_identity(graph.nodes[i], index, context)) bypass(graph, index, i, plan);
    }
    replace_uses(graph, plan.others);
    // The outputs themselves say of what type they are.
    std::erase_if(graph.value_infos, [&](const ValueInfo& value) { return plan.names.contains(value.name); });
    rename_values(graph, plan.names);
    remove_nodes(graph, plan.gone);
    return Change{plan.gone.size()};
  }

  struct Plan {
    std::set<std::size_t> gone;
    /// Values that are another one, which is made by a node that stays.
    Replacements others;
    /// Values that take the name of an output.
    Replacements names;
  };

  /// Makes the node needless, if that can be.
  static void bypass(Graph& graph, const GraphIndex& index, std::size_t i, Plan& plan) {
    const auto other = plan.others.find(graph.nodes[i].inputs[0]);
    const std::string input = other == plan.others.end() ? graph.nodes[i].inputs[0] : other->second;
    const std::string output = graph.nodes[i].outputs[0];
    if (!index.is_output(output)) {
      if (!index.can_replace(output, input)) return;
      plan.others.emplace(output, input);
    } else {
      // The output's name goes to the value itself, where another node of this graph makes that. What was
      // replaced by the value before gets the name too.
      if (index.producer(input) == GraphIndex::kNone || index.is_output(input)) return;
      if (index.is_defined_inside(output) || !plan.names.emplace(input, output).second) return;
      graph.nodes[i].outputs[0].clear();
    }
    plan.gone.insert(i);
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
  Result<Change> apply_impl(Graph& graph, const PassContext&) const override {
    const std::size_t constants = merge_initializers(graph);
    return Change{constants + merge_nodes(graph)};
  }

  static std::size_t merge_initializers(Graph& graph) {
    const GraphIndex index(graph);
    std::unordered_set<std::string_view> inputs;
    for (const ValueInfo& input : graph.inputs) inputs.insert(input.name);
    // By what is cheap to compare first: the data of most is never looked at.
    std::map<std::pair<DataType, std::vector<std::int64_t>>, std::vector<const Tensor*>> alike;
    for (const Tensor& tensor : graph.initializers) {
      if (index.is_output(tensor.name) || inputs.contains(tensor.name)) continue;
      alike[{tensor.data_type, tensor.dims}].push_back(&tensor);
    }
    Replacements others;
    for (const auto& [key, tensors] : alike) {
      if (tensors.size() > 1) find_same(tensors, index, others);
    }
    std::unordered_set<std::string> gone;
    for (const auto& [name, other] : others) gone.insert(name);
    replace_uses(graph, others);
    remove_initializers(graph, gone);
    return gone.size();
  }

  /// Of tensors of one type and shape, those with the bits of one before.
  static void find_same(const std::vector<const Tensor*>& tensors, const GraphIndex& index,
                        Replacements& others) {
    std::unordered_multimap<std::size_t, std::pair<const Tensor*, SharedBytes>> kept;
    for (const Tensor* tensor : tensors) {
      const auto raw = raw_bytes(*tensor);
      if (!raw) continue;
      const std::size_t hash =
          std::hash<std::string_view>()({reinterpret_cast<const char*>(raw->data()), raw->size()});
      const auto [first, last] = kept.equal_range(hash);
      const auto twin =
          std::find_if(first, last, [&](const auto& item) { return item.second.second == *raw; });
      if (twin == last) {
        kept.emplace(hash, std::pair(tensor, *raw));
      } else if (index.can_replace(tensor->name, twin->second.first->name)) {
        others.emplace(tensor->name, twin->second.first->name);
      }
    }
  }

  /// Nodes of ONNX's own operators without chance and without subgraphs.
  static bool is_repeatable(const Node& node) {
    const std::string_view domain = canonical_domain(node.domain);
    return (domain.empty() || domain == "ai.onnx.ml") && !has_subgraph(node) && node.overload.empty() &&
           !is_by_chance(node);
  }

  static std::size_t merge_nodes(Graph& graph) {
    const GraphIndex index(graph);
    std::unordered_map<std::string, std::size_t> kept;
    std::set<std::size_t> gone;
    Replacements others;
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
      const Node& node = graph.nodes[i];
      if (!is_repeatable(node)) continue;
      const auto [twin, is_new] = kept.emplace(computation_of(node, others), i);
      if (is_new || !can_merge(index, graph.nodes[twin->second], node)) continue;
      for (std::size_t j = 0; j < node.outputs.size(); ++j) {
        if (!node.outputs[j].empty()) others.emplace(node.outputs[j], graph.nodes[twin->second].outputs[j]);
      }
      gone.insert(i);
    }
    replace_uses(graph, others);
    remove_nodes(graph, gone);
    return gone.size();
  }

  static bool can_merge(const GraphIndex& index, const Node& first, const Node& second) {
    for (std::size_t j = 0; j < second.outputs.size(); ++j) {
      if (second.outputs[j].empty()) continue;
      if (index.is_output(second.outputs[j]) || !index.can_replace(second.outputs[j], first.outputs[j]))
        return false;
    }
    return true;
  }

  /// What a node computes from what, as bytes: two nodes with the same compute the same.
  static std::string computation_of(const Node& node, const Replacements& others) {
    Node bare = node;
    for (std::string& input : bare.inputs) {
      if (const auto other = others.find(input); other != others.end()) input = other->second;
    }
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
