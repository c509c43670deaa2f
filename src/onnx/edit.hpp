#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/result.hpp"
#include "onnx/model.hpp"

namespace joulery::onnx {

/// Who makes and who takes the values of one graph. A picture of the graph as it was: edits do not change it.
class GraphIndex {
 public:
  explicit GraphIndex(const Graph& graph);

  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  /// The node that makes a value, by its index in the graph; `kNone` for inputs, initializers and values of
  /// outside.
  std::size_t producer(std::string_view value) const;
  /// The nodes that take a value, ascending, each once; also those whose subgraphs take it.
  const std::vector<std::size_t>& consumers(std::string_view value) const;
  bool is_output(std::string_view value) const { return outputs_.contains(value); }
  /// True if something in a subgraph takes the value.
  bool is_used_inside(std::string_view value) const { return inner_uses_.contains(value); }
  /// True if nobody needs the value: no node, no subgraph, no output.
  bool is_unused(std::string_view value) const { return !is_output(value) && consumers(value).empty(); }
  /// True if a subgraph, or one in it, has a value of its own of that name.
  bool is_defined_inside(std::string_view value) const { return inner_names_.contains(value); }
  /// True if `other` means the same value wherever `value` is taken. In doubt it says no.
  bool can_replace(std::string_view value, std::string_view other) const {
    return !is_used_inside(value) || !is_defined_inside(other);
  }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  // Names of its own: an edit may free those of the graph.
  template <class T>
  using Map = std::unordered_map<std::string, T, Hash, std::equal_to<>>;
  using Set = std::unordered_set<std::string, Hash, std::equal_to<>>;
  Map<std::size_t> producers_;
  Map<std::vector<std::size_t>> consumers_;
  Set outputs_, inner_uses_, inner_names_;
};

/// Values of outside that a graph uses, itself or in its subgraphs.
std::set<std::string> outer_values(const Graph& graph);

/// All names of values of a graph, of the graphs in it and of the graphs that are in these.
class FreshNames {
 public:
  explicit FreshNames(const Graph& graph);
  /// A name that is not taken: `wish`, or `wish` with a number. It is taken from now on.
  std::string make(std::string_view wish);

 private:
  std::unordered_set<std::string> taken_;
};

/// Values and what takes their place. Many are put in at once: a model may have a hundred thousand of them.
using Replacements = std::unordered_map<std::string, std::string>;

/// Everybody who took a value takes what replaces it, in subgraphs too. The graph's outputs keep their names:
/// a value that is an output is not replaced there. A subgraph that has a value of its own of that name keeps
/// it. What replaces a value is not replaced itself.
void replace_uses(Graph& graph, const Replacements& others);

/// Gives values of this graph other names, where they are made, where they are taken, and in what describes
/// them.
void rename_values(Graph& graph, const Replacements& names);

/// Removes the nodes with these indices; what describes values that are gone goes too.
void remove_nodes(Graph& graph, const std::set<std::size_t>& indices);
/// Removes the initializers with these names; inputs that only named them (IR version 3) stay.
void remove_initializers(Graph& graph, const std::unordered_set<std::string>& names);

/// Adds an initializer under a fresh name made from its own; gives the name.
std::string add_initializer(Graph& graph, FreshNames& names, Tensor tensor);

/// The initializers of a graph that no input can replace. They are found again after others were added.
class Constants {
 public:
  Constants(const Graph& graph, std::int64_t ir_version);
  /// Null if there is none of this name.
  const Tensor* find(const Graph& graph, const std::string& name) const {
    const auto found = indices_.find(name);
    return found == indices_.end() ? nullptr : &graph.initializers[found->second];
  }

 private:
  std::unordered_map<std::string, std::size_t> indices_;
};

/// Puts nodes into an order in which every value is made before it is used, and keeps the order that there is
/// as far as that allows. User error if nodes wait for each other.
Status sort_nodes(Graph& graph);

/// Calls `work(Graph&)` for the main graph and every subgraph, inner ones first; not for functions' bodies.
template <class Work>
void for_each_graph(Graph& graph, Work&& work) {
  for (Node& node : graph.nodes) {
    for (Attribute& attribute : node.attributes) {
      if (auto* inner = std::get_if<Box<Graph>>(&attribute.value)) for_each_graph(**inner, work);
      if (auto* list = std::get_if<std::vector<Graph>>(&attribute.value)) {
        for (Graph& inner : *list) for_each_graph(inner, work);
      }
    }
  }
  work(graph);
}

}  // namespace joulery::onnx
