#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "onnx/model.hpp"

namespace joulery::onnx {

/// The functions of a model, by what a node calls them. The model must outlive the table.
class FunctionTable {
 public:
  explicit FunctionTable(const Model& model);
  /// The function that a node calls; null if it is an operator.
  const Function* find(const Node& node) const;
  /// True if there are functions of this domain.
  bool has_domain(std::string_view domain) const;
  /// Indices of functions whose domain, name and overload an earlier one has already.
  const std::vector<std::size_t>& doubled() const { return doubled_; }

 private:
  using Key = std::tuple<std::string_view, std::string_view, std::string_view>;
  std::map<Key, const Function*> functions_;
  std::vector<std::size_t> doubled_;
};

/// What a model becomes when each call is replaced by the function's body, as engines do.
struct Expansion {
  /// Names of functions that call each other in a circle, in order; empty if there is none.
  std::vector<std::string> circle;
  /// Nodes after the replacement, those of subgraphs included; at most 2^63. Not counted if there is a
  /// circle.
  std::uint64_t nodes = 0;
};
Expansion expand_calls(const Model& model, const FunctionTable& table);

}  // namespace joulery::onnx
