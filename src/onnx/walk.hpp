#pragma once

#include <cstdint>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include "onnx/model.hpp"

namespace joulery::onnx {

/// Where something is in a model. Lies on the stack of who walks; its text is made only when it is asked for.
struct Place {
  const Place* parent = nullptr;
  const char* name = "";
  std::int64_t index = -1;
  /// "graph.node[12].attribute[0].t"
  std::string text() const;
};

/// Goes through a model, its subgraphs, functions and training graphs. A visitor has what it needs of
///   void enter_graph(G&, const Place&, unsigned depth), void leave_graph(G&, const Place&)
///   void node(N&, const Place&), void attribute(A&, const Place&), void tensor(T&, const Place&)
///   void sparse_tensor(S&, const Place&), void type(Y&, const Place&), void function(F&, const Place&)
/// M is Model or const Model; what the visitor gets is const with it. A node comes before what is in its
/// attributes.
template <class Visitor>
class Walk {
 public:
  explicit Walk(Visitor& visitor) : visitor_(visitor) {}

  template <class M>
  void model(M& model) {
    if (model.graph.has_value()) graph(*model.graph, {nullptr, "graph"});
    each(model.training, nullptr, "training_info", [this](auto& training, const Place& at) {
      if (training.initialization.has_value()) this->graph(*training.initialization, {&at, "initialization"});
      if (training.algorithm.has_value()) this->graph(*training.algorithm, {&at, "algorithm"});
    });
    each(model.functions, nullptr, "functions",
         [this](auto& item, const Place& at) { this->function(item, at); });
  }

  template <class G>
  void graph(G& graph, const Place& at) {
    if constexpr (requires { visitor_.enter_graph(graph, at, depth_); })
      visitor_.enter_graph(graph, at, depth_);
    ++depth_;
    each(graph.initializers, &at, "initializer",
         [this](auto& item, const Place& place) { this->tensor(item, place); });
    each(graph.sparse_initializers, &at, "sparse_initializer",
         [this](auto& item, const Place& place) { this->sparse_tensor(item, place); });
    each(graph.inputs, &at, "input", [this](auto& item, const Place& place) { this->value(item, place); });
    each(graph.outputs, &at, "output", [this](auto& item, const Place& place) { this->value(item, place); });
    each(graph.value_infos, &at, "value_info",
         [this](auto& item, const Place& place) { this->value(item, place); });
    each(graph.nodes, &at, "node", [this](auto& item, const Place& place) { this->node(item, place); });
    --depth_;
    if constexpr (requires { visitor_.leave_graph(graph, at); }) visitor_.leave_graph(graph, at);
  }

  template <class N>
  void node(N& node, const Place& at) {
    if constexpr (requires { visitor_.node(node, at); }) visitor_.node(node, at);
    each(node.attributes, &at, "attribute",
         [this](auto& item, const Place& place) { this->attribute(item, place); });
  }

 private:
  template <class List, class Do>
  void each(List& list, const Place* parent, const char* name, Do&& work) {
    std::int64_t index = 0;
    for (auto& item : list) work(item, Place{parent, name, index++});
  }

  template <class F>
  void function(F& function, const Place& at) {
    if constexpr (requires { visitor_.function(function, at); }) visitor_.function(function, at);
    each(function.default_attributes, &at, "attribute_proto",
         [this](auto& item, const Place& place) { this->attribute(item, place); });
    each(function.value_infos, &at, "value_info",
         [this](auto& item, const Place& place) { this->value(item, place); });
    each(function.nodes, &at, "node", [this](auto& item, const Place& place) { this->node(item, place); });
  }

  template <class A>
  void attribute(A& attribute, const Place& at) {
    if constexpr (requires { visitor_.attribute(attribute, at); }) visitor_.attribute(attribute, at);
    auto& value = attribute.value;
    if (auto* item = std::get_if<Box<Tensor>>(&value)) tensor(**item, {&at, "t"});
    if (auto* item = std::get_if<Box<Graph>>(&value)) graph(**item, {&at, "g"});
    if (auto* item = std::get_if<Box<SparseTensor>>(&value)) sparse_tensor(**item, {&at, "sparse_tensor"});
    if (auto* item = std::get_if<Box<Type>>(&value)) type(**item, {&at, "tp"});
    if (auto* list = std::get_if<std::vector<Tensor>>(&value)) {
      each(*list, &at, "tensors", [this](auto& item, const Place& place) { this->tensor(item, place); });
    }
    if (auto* list = std::get_if<std::vector<Graph>>(&value)) {
      each(*list, &at, "graphs", [this](auto& item, const Place& place) { this->graph(item, place); });
    }
    if (auto* list = std::get_if<std::vector<SparseTensor>>(&value)) {
      each(*list, &at, "sparse_tensors",
           [this](auto& item, const Place& place) { this->sparse_tensor(item, place); });
    }
    if (auto* list = std::get_if<std::vector<Type>>(&value)) {
      each(*list, &at, "type_protos", [this](auto& item, const Place& place) { this->type(item, place); });
    }
  }

  template <class T>
  void tensor(T& tensor, const Place& at) {
    if constexpr (requires { visitor_.tensor(tensor, at); }) visitor_.tensor(tensor, at);
  }

  template <class S>
  void sparse_tensor(S& sparse, const Place& at) {
    if constexpr (requires { visitor_.sparse_tensor(sparse, at); }) visitor_.sparse_tensor(sparse, at);
    if (sparse.values) tensor(*sparse.values, {&at, "values"});
    if (sparse.indices) tensor(*sparse.indices, {&at, "indices"});
  }

  template <class V>
  void value(V& value, const Place& at) {
    if (value.type) type(*value.type, at);
  }

  template <class Y>
  void type(Y& type, const Place& at) {
    if constexpr (requires { visitor_.type(type, at); }) visitor_.type(type, at);
  }

  Visitor& visitor_;
  unsigned depth_ = 0;
};

template <class M, class Visitor>
void walk(M& model, Visitor& visitor) {
  Walk<Visitor>(visitor).model(model);
}

/// Calls `work(tensor, place)` for each tensor, wherever it is.
template <class M, class Do>
void for_each_tensor(M& model, Do&& work) {
  struct Tensors {
    Do& work;
    void tensor(std::conditional_t<std::is_const_v<M>, const Tensor, Tensor>& item, const Place& at) {
      work(item, at);
    }
  };
  Tensors visitor{work};
  walk(model, visitor);
}

}  // namespace joulery::onnx
