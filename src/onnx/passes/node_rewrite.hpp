#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "onnx/edit.hpp"
#include "onnx/model.hpp"

namespace joulery::onnx {

/// What is known of values while a model is upgraded.
struct UpgradeFacts {
  /// Element types and ranks by name; a rank is missing if it is not known.
  std::unordered_map<std::string, DataType> types;
  std::unordered_map<std::string, std::size_t> ranks;
  /// Values of constants that a decision may hang on.
  std::unordered_map<std::string, std::vector<double>> constants;
  /// Values made by Resize nodes that were Upsample nodes, which only enlarge.
  std::unordered_set<std::string> enlarged;
  /// No type of floats but float32 is anywhere in the model.
  bool only_float32 = false;
};

/// A node that is to become one or more of a newer opset.
class NodeRewrite {
 public:
  NodeRewrite(Node node, const GraphIndex& index, FreshNames& names, UpgradeFacts& facts)
      : node_(std::move(node)), index_(index), names_(names), facts_(facts) {}

  Node& node() { return node_; }
  UpgradeFacts& facts() { return facts_; }
  bool has_input(std::size_t at) const { return at < node_.inputs.size() && !node_.inputs[at].empty(); }
  bool uses_output(std::size_t at) const {
    return at < node_.outputs.size() && !node_.outputs[at].empty() && !index_.is_unused(node_.outputs[at]);
  }

  /// An attribute that is to go; nothing if there is none of this type. An attribute of a function's call
  /// counts as refused.
  template <class Value>
  std::optional<Value> take(std::string_view name) {
    for (std::size_t i = 0; i < node_.attributes.size(); ++i) {
      if (node_.attributes[i].name != name) continue;
      Attribute found = std::move(node_.attributes[i]);
      node_.attributes.erase(node_.attributes.begin() + static_cast<std::ptrdiff_t>(i));
      if (!found.reference.empty()) refers_ = true;
      auto* value = std::get_if<Value>(&found.value);
      return value == nullptr ? std::nullopt : std::optional<Value>(std::move(*value));
    }
    return std::nullopt;
  }
  void set(std::string name, AttributeValue value);
  /// True if an attribute that was taken gets its value from a call.
  bool refers() const { return refers_; }

  /// Puts in a value at an input, after leaving out what lies between.
  void set_input(std::size_t at, std::string value);
  /// A Constant before the node; gives its value's name.
  std::string constant(Tensor tensor);
  std::string constant(const std::vector<std::int64_t>& values);
  /// A single number of the element type of `value`. Nothing if that is not known.
  std::optional<std::string> number_like(const std::string& value, float number);
  /// A node before or behind this one; gives the name of its output.
  std::string before(std::string op_type, std::vector<std::string> inputs, std::vector<Attribute> attributes);
  void after(Node node) { after_.push_back(std::move(node)); }
  std::string fresh(const std::string& wish) { return names_.make(wish); }

  /// "Clip 'c1' can't be rewritten for opset 11: …"
  std::unexpected<Error> refuse(std::int64_t version, std::string_view why) const;
  /// Gives the nodes in order.
  void finish(std::vector<Node>& out);

 private:
  Node node_;
  const GraphIndex& index_;
  FreshNames& names_;
  UpgradeFacts& facts_;
  std::vector<Node> before_, after_;
  bool refers_ = false;
};

Attribute attribute_of(std::string name, AttributeValue value);

/// Rewrites a node of the version before for this one.
using Adapter = Status (*)(NodeRewrite& rewrite, std::int64_t version);
/// How an operator becomes that of a version; null if it stays as it is.
Adapter adapter_of(std::string_view op_type, std::int64_t version);

}  // namespace joulery::onnx
