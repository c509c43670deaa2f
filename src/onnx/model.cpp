#include "onnx/model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace joulery::onnx {

AttributeType type_of(const AttributeValue& value) {
  using enum AttributeType;
  // In the order of the variant.
  constexpr std::array kTypes{undefined, float_number,  integer, string,         tensor,
                              graph,     sparse_tensor, type,    floats,         integers,
                              strings,   tensors,       graphs,  sparse_tensors, types};
  static_assert(kTypes.size() == std::variant_size_v<AttributeValue>);
  return kTypes[value.index()];
}

std::string attribute_type_name(AttributeType type) {
  constexpr std::array<std::string_view, 15> kNames{
      "UNDEFINED", "FLOAT",   "INT",    "STRING",        "TENSOR",         "GRAPH",      "FLOATS",     "INTS",
      "STRINGS",   "TENSORS", "GRAPHS", "SPARSE_TENSOR", "SPARSE_TENSORS", "TYPE_PROTO", "TYPE_PROTOS"};
  const auto index = static_cast<std::int32_t>(type);
  if (index < 0 || static_cast<std::size_t>(index) >= kNames.size()) return fmt::format("type {}", index);
  return std::string(kNames[static_cast<std::size_t>(index)]);
}

const Attribute* Node::attribute(std::string_view attribute_name) const {
  const auto found = std::ranges::find(attributes, attribute_name, &Attribute::name);
  return found == attributes.end() ? nullptr : &*found;
}

std::string_view canonical_domain(std::string_view domain) {
  return domain == "ai.onnx" ? std::string_view() : domain;
}

}  // namespace joulery::onnx
