#include "onnx/passes/node_rewrite.hpp"

#include <fmt/format.h>

#include "base/text.hpp"
#include "onnx/tensor_values.hpp"

namespace joulery::onnx {

Attribute attribute_of(std::string name, AttributeValue value) {
  Attribute attribute;
  attribute.name = std::move(name);
  attribute.type = type_of(value);
  attribute.value = std::move(value);
  return attribute;
}

void NodeRewrite::set(std::string name, AttributeValue value) {
  std::erase_if(node_.attributes, [&](const Attribute& attribute) { return attribute.name == name; });
  node_.attributes.push_back(attribute_of(std::move(name), std::move(value)));
}

void NodeRewrite::set_input(std::size_t at, std::string value) {
  if (node_.inputs.size() <= at) node_.inputs.resize(at + 1);
  node_.inputs[at] = std::move(value);
}

std::string NodeRewrite::before(std::string op_type, std::vector<std::string> inputs,
                                std::vector<Attribute> attributes) {
  Node node;
  node.op_type = std::move(op_type);
  node.inputs = std::move(inputs);
  node.attributes = std::move(attributes);
  const std::string base = node_.outputs.empty() ? node_.op_type : node_.outputs[0];
  node.outputs = {names_.make(base + "_" + node.op_type)};
  before_.push_back(std::move(node));
  return before_.back().outputs[0];
}

std::string NodeRewrite::constant(Tensor tensor) {
  auto values = real_values(tensor);
  std::string name = before("Constant", {}, {attribute_of("value", Box<Tensor>(std::move(tensor)))});
  if (values) facts_.constants[name] = std::move(*values);
  return name;
}

std::string NodeRewrite::constant(const std::vector<std::int64_t>& values) {
  return constant(make_tensor("", {std::ssize(values)}, values));
}

std::optional<std::string> NodeRewrite::number_like(const std::string& value, float number) {
  const auto found = facts_.types.find(value);
  DataType type = found == facts_.types.end() ? DataType::undefined : found->second;
  if (type == DataType::undefined && facts_.only_float32) type = DataType::float32;
  if (type == DataType::undefined) return std::nullopt;
  std::string name = constant(make_tensor("", {}, std::vector{number}));
  if (type == DataType::float32) return name;
  return before("Cast", {name}, {attribute_of("to", static_cast<std::int64_t>(type))});
}

std::unexpected<Error> NodeRewrite::refuse(std::int64_t version, std::string_view why) const {
  return user_error(
      fmt::format("{} '{}' can't be rewritten for opset {}: {}", printable(node_.op_type),
                  printable(node_.name.empty() && !node_.outputs.empty() ? node_.outputs[0] : node_.name),
                  version, why),
      "export the model again with a newer opset");
}

void NodeRewrite::finish(std::vector<Node>& out) {
  while (!node_.inputs.empty() && node_.inputs.back().empty()) node_.inputs.pop_back();
  for (Node& node : before_) out.push_back(std::move(node));
  out.push_back(std::move(node_));
  for (Node& node : after_) out.push_back(std::move(node));
}

}  // namespace joulery::onnx
