#pragma once

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "base/test_folder.hpp"
#include "onnx/decode.hpp"
#include "onnx/encode.hpp"
#include "onnx/finding.hpp"
#include "onnx/model.hpp"
#include "onnx/tensor_values.hpp"

namespace joulery::onnx {

/// The value of a result; a test failure with its message if there is none.
template <class T>
T must(Result<T> result) {
  if (!result) {
    ADD_FAILURE() << result.error().message;
    throw std::runtime_error(result.error().message);
  }
  return std::move(*result);
}

/// The message of an error; a text that no test expects if there is none.
template <class T>
std::string message_of(const Result<T>& result) {
  return result ? std::string("(no error)") : result.error().message;
}

inline ValueInfo float_value(std::string name, const std::vector<std::int64_t>& dims) {
  Shape shape;
  for (const std::int64_t dim : dims) shape.dimensions.push_back({dim, "", {}});
  return {std::move(name), Type{TensorType{DataType::float32, shape, {}}, "", {}}, "", {}, {}};
}

inline Node make_node(std::string op, std::vector<std::string> inputs, std::vector<std::string> outputs,
                      std::vector<Attribute> attributes = {}) {
  Node node;
  node.op_type = std::move(op);
  node.inputs = std::move(inputs);
  node.outputs = std::move(outputs);
  node.attributes = std::move(attributes);
  return node;
}

inline Attribute make_attribute(std::string name, AttributeValue value) {
  Attribute attribute;
  attribute.name = std::move(name);
  attribute.type = type_of(value);
  attribute.value = std::move(value);
  return attribute;
}

/// y = Relu(x · w), with x of 2 and w of 2×3 floats.
inline Model small_model() {
  Model model;
  model.ir_version = 8;
  model.opset_imports.push_back({"", 17, {}});
  Graph graph;
  graph.name = "main";
  graph.inputs.push_back(float_value("x", {1, 2}));
  graph.outputs.push_back(float_value("y", {1, 3}));
  graph.initializers.push_back(make_tensor("w", {2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6}));
  graph.nodes.push_back(make_node("MatMul", {"x", "w"}, {"h"}));
  graph.nodes.push_back(make_node("Relu", {"h"}, {"y"}));
  model.graph = std::move(graph);
  return model;
}

inline SharedBytes bytes_of(const Model& model) {
  return join(encode_model(model));
}

/// A tensor whose data lies in another file.
inline Tensor external_tensor(std::string name, std::vector<std::int64_t> dims,
                              std::vector<std::pair<std::string, std::string>> keys) {
  Tensor tensor;
  tensor.name = std::move(name);
  tensor.dims = std::move(dims);
  tensor.data_type = DataType::float32;
  tensor.storage = TensorStorage::external;
  for (auto& [key, value] : keys) tensor.external_data.push_back({std::move(key), std::move(value), {}});
  return tensor;
}

inline const Finding* find_rule(const Findings& findings, const std::string& rule) {
  for (const Finding& finding : findings) {
    if (finding.rule == rule) return &finding;
  }
  return nullptr;
}

/// All findings as text, for messages of failed tests.
inline std::string all_of(const Findings& findings) {
  std::string text;
  for (const Finding& finding : findings) {
    text += finding.rule + " at " + finding.where + ": " + finding.what + "\n";
  }
  return text;
}

/// A folder of its own, which goes with the test.
class FolderTest : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_.path(name); }
  void write(const std::string& name, std::string_view content) const { folder_.write(name, content); }
  void write(const std::string& name, const SharedBytes& content) const {
    write(name, {reinterpret_cast<const char*>(content.data()), content.size()});
  }
  std::string read(const std::string& name) const { return folder_.read(name); }
  TestFolder folder_;
};

}  // namespace joulery::onnx
