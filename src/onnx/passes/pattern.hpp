#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "onnx/edit.hpp"
#include "onnx/model.hpp"

namespace joulery::onnx {

/// True if the node is this operator of the standard's.
inline bool is_standard(const Node& node, std::string_view op) {
  return node.op_type == op && canonical_domain(node.domain).empty() && node.overload.empty();
}

/// The node that alone takes `value`, and no output or subgraph does.
inline std::size_t only_consumer(const GraphIndex& index, const std::string& value) {
  if (index.is_output(value) || index.is_used_inside(value)) return GraphIndex::kNone;
  const auto& consumers = index.consumers(value);
  return consumers.size() == 1 ? consumers[0] : GraphIndex::kNone;
}

/// True if there is a graph in an attribute of the node.
bool has_subgraph(const Node& node);
/// True if chance is in what a standard operator gives.
bool is_by_chance(const Node& node);

}  // namespace joulery::onnx
