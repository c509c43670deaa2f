#include "onnx/edit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <queue>

#include "base/text.hpp"

namespace joulery::onnx {
namespace {

/// Calls `work(graph)` for each graph that is directly in a node.
template <class N, class Work>
void each_subgraph(N& node, Work&& work) {
  for (auto& attribute : node.attributes) {
    if (auto* inner = std::get_if<Box<Graph>>(&attribute.value)) work(**inner);
    if (auto* list = std::get_if<std::vector<Graph>>(&attribute.value)) {
      for (auto& inner : *list) work(inner);
    }
  }
}

std::string_view sparse_name(const SparseTensor& sparse) {
  return sparse.values ? std::string_view(sparse.values->name) : std::string_view();
}

/// Names that a graph defines itself.
std::unordered_set<std::string_view> own_names(const Graph& graph) {
  std::unordered_set<std::string_view> names;
  for (const ValueInfo& input : graph.inputs) names.insert(input.name);
  for (const Tensor& tensor : graph.initializers) names.insert(tensor.name);
  for (const SparseTensor& sparse : graph.sparse_initializers) names.insert(sparse_name(sparse));
  for (const Node& node : graph.nodes) names.insert(node.outputs.begin(), node.outputs.end());
  return names;
}

void add_outer_values(const Graph& graph, std::unordered_set<std::string_view>& out) {
  const auto own = own_names(graph);
  const auto use = [&](std::string_view name) {
    if (!name.empty() && !own.contains(name)) out.insert(name);
  };
  for (const Node& node : graph.nodes) {
    for (const std::string& input : node.inputs) use(input);
    each_subgraph(node, [&](const Graph& inner) {
      std::unordered_set<std::string_view> of_inner;
      add_outer_values(inner, of_inner);
      for (const std::string_view name : of_inner) use(name);
    });
  }
  for (const ValueInfo& output : graph.outputs) use(output.name);
}

/// Replaces names in a graph and the graphs in it. Own names of these hide what is outside.
class Replacer {
 public:
  explicit Replacer(const Replacements& others) : others_(others) {}

  void nodes_of(Graph& graph) {
    for (Node& node : graph.nodes) {
      for (std::string& input : node.inputs) replace(input);
      each_subgraph(node, [this](Graph& inner) {
        hidden_.push_back(own_names(inner));
        nodes_of(inner);
        for (ValueInfo& output : inner.outputs) replace(output.name);
        hidden_.pop_back();
      });
    }
  }
  void replace(std::string& name) const {
    const auto found = others_.find(name);
    if (found == others_.end()) return;
    const bool is_hidden =
        std::ranges::any_of(hidden_, [&](const auto& names) { return names.contains(name); });
    if (!is_hidden) name = found->second;
  }

 private:
  const Replacements& others_;
  std::vector<std::unordered_set<std::string_view>> hidden_;
};

void add_inner_names(const Graph& graph, const auto& add) {
  for (const std::string_view name : own_names(graph)) add(name);
  for (const Node& node : graph.nodes) {
    each_subgraph(node, [&](const Graph& inner) { add_inner_names(inner, add); });
  }
}

void add_names(const Graph& graph, std::unordered_set<std::string>& taken) {
  for (const std::string_view name : own_names(graph)) taken.emplace(name);
  for (const ValueInfo& output : graph.outputs) taken.insert(output.name);
  for (const ValueInfo& value : graph.value_infos) taken.insert(value.name);
  for (const Node& node : graph.nodes) {
    taken.insert(node.inputs.begin(), node.inputs.end());
    each_subgraph(node, [&](const Graph& inner) { add_names(inner, taken); });
  }
}

void forget_values(Graph& graph, const std::unordered_set<std::string>& gone) {
  std::erase_if(graph.value_infos, [&](const ValueInfo& value) { return gone.contains(value.name); });
  std::erase_if(graph.quantization_annotations,
                [&](const TensorAnnotation& annotation) { return gone.contains(annotation.tensor_name); });
}

}  // namespace

GraphIndex::GraphIndex(const Graph& graph) {
  const auto take = [&](std::string_view value, std::size_t node) {
    auto& nodes = consumers_[std::string(value)];
    if (nodes.empty() || nodes.back() != node) nodes.push_back(node);
  };
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    for (const std::string& output : node.outputs) {
      if (!output.empty()) producers_.emplace(output, i);
    }
    for (const std::string& input : node.inputs) {
      if (!input.empty()) take(input, i);
    }
    each_subgraph(node, [&](const Graph& inner) {
      std::unordered_set<std::string_view> used;
      add_outer_values(inner, used);
      for (const std::string_view value : used) {
        take(value, i);
        inner_uses_.emplace(value);
      }
      add_inner_names(inner, [&](std::string_view name) { inner_names_.emplace(name); });
    });
  }
  for (const ValueInfo& output : graph.outputs) outputs_.insert(output.name);
}

std::size_t GraphIndex::producer(std::string_view value) const {
  const auto found = producers_.find(value);
  return found == producers_.end() ? kNone : found->second;
}

const std::vector<std::size_t>& GraphIndex::consumers(std::string_view value) const {
  static const std::vector<std::size_t> kNobody;
  const auto found = consumers_.find(value);
  return found == consumers_.end() ? kNobody : found->second;
}

std::set<std::string> outer_values(const Graph& graph) {
  std::unordered_set<std::string_view> names;
  add_outer_values(graph, names);
  return {names.begin(), names.end()};
}

FreshNames::FreshNames(const Graph& graph) {
  add_names(graph, taken_);
}

std::string FreshNames::make(std::string_view wish) {
  std::string name(wish);
  for (std::uint64_t number = 1; name.empty() || !taken_.insert(name).second; ++number) {
    name = fmt::format("{}_{}", wish, number);
  }
  return name;
}

void replace_uses(Graph& graph, const Replacements& others) {
  if (!others.empty()) Replacer(others).nodes_of(graph);
}

void rename_values(Graph& graph, const Replacements& names) {
  if (names.empty()) return;
  Replacer replacer(names);
  replacer.nodes_of(graph);
  for (Node& node : graph.nodes) {
    for (std::string& output : node.outputs) replacer.replace(output);
  }
  for (Tensor& tensor : graph.initializers) replacer.replace(tensor.name);
  for (SparseTensor& sparse : graph.sparse_initializers) {
    if (sparse.values) replacer.replace(sparse.values->name);
  }
  for (auto* list : {&graph.inputs, &graph.outputs, &graph.value_infos}) {
    for (ValueInfo& info : *list) replacer.replace(info.name);
  }
  for (TensorAnnotation& annotation : graph.quantization_annotations) {
    replacer.replace(annotation.tensor_name);
    for (StringPair& pair : annotation.quantization_parameters) replacer.replace(pair.value);
  }
}

void remove_nodes(Graph& graph, const std::set<std::size_t>& indices) {
  std::unordered_set<std::string> gone;
  std::vector<Node> kept;
  kept.reserve(graph.nodes.size());
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    if (indices.contains(i)) {
      gone.insert(graph.nodes[i].outputs.begin(), graph.nodes[i].outputs.end());
    } else {
      kept.push_back(std::move(graph.nodes[i]));
    }
  }
  graph.nodes = std::move(kept);
  forget_values(graph, gone);
}

void remove_initializers(Graph& graph, const std::unordered_set<std::string>& names) {
  std::erase_if(graph.initializers, [&](const Tensor& tensor) { return names.contains(tensor.name); });
  std::erase_if(graph.sparse_initializers,
                [&](const SparseTensor& sparse) { return names.contains(std::string(sparse_name(sparse))); });
  forget_values(graph, names);
}

std::string add_initializer(Graph& graph, FreshNames& names, Tensor tensor) {
  tensor.name = names.make(tensor.name.empty() ? "constant" : tensor.name);
  graph.initializers.push_back(std::move(tensor));
  return graph.initializers.back().name;
}

Constants::Constants(const Graph& graph, std::int64_t ir_version) {
  for (std::size_t i = 0; i < graph.initializers.size(); ++i) {
    indices_.emplace(graph.initializers[i].name, i);
  }
  // From IR version 4 on, an initializer that is also an input is a default, which a caller may replace.
  if (ir_version < 4) return;
  for (const ValueInfo& input : graph.inputs) indices_.erase(input.name);
}

Status sort_nodes(Graph& graph) {
  const GraphIndex index(graph);
  std::vector<std::size_t> waiting(graph.nodes.size(), 0);
  std::vector<std::vector<std::size_t>> followers(graph.nodes.size());
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    std::set<std::size_t> after;
    for (const std::string& output : graph.nodes[i].outputs) {
      for (const std::size_t consumer : index.consumers(output)) after.insert(consumer);
    }
    followers[i].assign(after.begin(), after.end());
    for (const std::size_t consumer : after) ++waiting[consumer];
  }
  std::priority_queue<std::size_t, std::vector<std::size_t>, std::greater<>> ready;
  for (std::size_t i = 0; i < waiting.size(); ++i) {
    if (waiting[i] == 0) ready.push(i);
  }
  std::vector<std::size_t> order;
  while (!ready.empty()) {
    const std::size_t next = ready.top();
    ready.pop();
    order.push_back(next);
    for (const std::size_t follower : followers[next]) {
      if (--waiting[follower] == 0) ready.push(follower);
    }
  }
  if (order.size() != graph.nodes.size()) {
    const auto stuck = std::ranges::find_if(waiting, [](std::size_t count) { return count > 0; });
    const Node& node = graph.nodes[static_cast<std::size_t>(stuck - waiting.begin())];
    return user_error(fmt::format("the nodes of graph '{}' wait for each other, among them '{}' ({})",
                                  printable(graph.name), printable(node.name), printable(node.op_type)));
  }
  std::vector<Node> sorted;
  sorted.reserve(order.size());
  for (const std::size_t i : order) sorted.push_back(std::move(graph.nodes[i]));
  graph.nodes = std::move(sorted);
  return {};
}

}  // namespace joulery::onnx
