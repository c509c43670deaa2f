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
  Set outputs_, inner_uses_;
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

/// True if `other` means the same value wherever `value` is taken: no subgraph there has one of its own of
/// that name.
bool can_replace(const Graph& graph, std::string_view value, std::string_view other);

/// Everybody who took `value` takes `other`, in subgraphs too. The graph's outputs keep their names: a value
/// that is an output is not replaced there. A subgraph that has a value of its own called `value` keeps it.
void replace_uses(Graph& graph, const std::string& value, const std::string& other);

/// Gives a value of this graph another name, where it is made, where it is taken, and in what describes it.
void rename_value(Graph& graph, const std::string& value, const std::string& other);

/// Removes the nodes with these indices; what describes values that are gone goes too.
void remove_nodes(Graph& graph, const std::set<std::size_t>& indices);
/// Removes the initializers with these names; inputs that only named them (IR version 3) stay.
void remove_initializers(Graph& graph, const std::unordered_set<std::string>& names);

/// Adds an initializer under a fresh name made from its own; gives the name.
std::string add_initializer(Graph& graph, FreshNames& names, Tensor tensor);

/// The initializer of this name that no input can replace; null if there is none.
const Tensor* constant_initializer(const Graph& graph, std::string_view name, std::int64_t ir_version);

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
