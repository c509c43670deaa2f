#include "onnx/passes/opset_upgrade.hpp"

#include <gmock/gmock.h>

#include "onnx/check.hpp"
#include "onnx/model_fixture.hpp"

namespace joulery::onnx {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Integers = std::vector<std::int64_t>;

/// One node from "x" to "y", upgraded. That outputs stay the same is shown with an engine, in
/// tests/onnx_models/test_opsets.py.
class OpsetUpgradeTest : public testing::Test {
 protected:
  OpsetUpgradeTest() : model_(small_model()), graph_(*model_.graph) {
    graph_.initializers.clear();
    at(7);
  }
  void at(std::int64_t version) { model_.opset_imports[0].version = version; }
  void node(const std::string& op, std::vector<Attribute> attributes = {},
            std::vector<std::string> inputs = {"x"}, std::vector<std::string> outputs = {"y"}) {
    graph_.nodes = {make_node(op, std::move(inputs), std::move(outputs), std::move(attributes))};
  }
  std::vector<std::string> operators_at(std::int64_t target) {
    must(upgrade_opset(model_, target));
    EXPECT_EQ(model_.opset_imports[0].version, target);
    EXPECT_TRUE(check_model(model_).empty()) << all_of(check_model(model_));
    std::vector<std::string> names;
    for (const Node& each : graph_.nodes) names.push_back(each.op_type);
    return names;
  }
  /// Numbers of the Constant that a node takes.
  std::vector<double> taken(const Node& of, std::size_t input) {
    for (const Node& each : graph_.nodes) {
      if (input < of.inputs.size() && each.op_type == "Constant" && each.outputs[0] == of.inputs[input]) {
        return must(real_values(*std::get<Box<Tensor>>(each.attributes[0].value)));
      }
    }
    return {};
  }
  const Node& last() { return graph_.nodes.back(); }
  void expect_refused(const std::string& why, std::int64_t target = kDefaultOpset) {
    const Model before = model_;
    EXPECT_THAT(message_of(upgrade_opset(model_, target)), HasSubstr(why));
    EXPECT_EQ(model_, before);
  }

  Model model_;
  Graph& graph_;
};

TEST_F(OpsetUpgradeTest, AttributesBecomeInputs) {
  node("Squeeze", {make_attribute("axes", Integers{0, 2})});
  EXPECT_THAT(operators_at(13), ElementsAre("Constant", "Squeeze"));
  EXPECT_THAT(taken(last(), 1), ElementsAre(0, 2));
  EXPECT_THAT(last().attributes, IsEmpty());
  at(12);
  node("ReduceMean", {make_attribute("axes", Integers{1}), make_attribute("keepdims", std::int64_t{0})});
  EXPECT_THAT(operators_at(17), ElementsAre("ReduceMean"));
  EXPECT_THAT(operators_at(18), ElementsAre("Constant", "ReduceMean"));
  EXPECT_THAT(taken(last(), 1), ElementsAre(1));
  EXPECT_NE(last().attribute("keepdims"), nullptr);
}

TEST_F(OpsetUpgradeTest, ClipTakesBoundsOfItsType) {
  node("Clip", {make_attribute("max", 6.0F)});
  EXPECT_THAT(operators_at(kDefaultOpset), ElementsAre("Constant", "Clip"));
  EXPECT_THAT(last().inputs, ElementsAre("x", "", graph_.nodes[0].outputs[0]));
  at(10);
  std::get<TensorType>(graph_.inputs[0].type->value).element = DataType::float16;
  node("Clip", {make_attribute("min", 0.5F), make_attribute("max", 6.0F)});
  EXPECT_THAT(operators_at(kDefaultOpset), ElementsAre("Constant", "Cast", "Constant", "Cast", "Clip"));
  at(10);
  graph_.nodes = {make_node("Mul", {"x", "x"}, {"h"}),
                  make_node("Clip", {"h"}, {"y"}, {make_attribute("min", 0.5F)})};
  expect_refused("the type of its input is not known");
  EXPECT_TRUE(upgrade_opset(model_, kDefaultOpset, {{"h", {DataType::float16, {1, 2}}}}));
}

TEST_F(OpsetUpgradeTest, SoftmaxOverSeveralDimensions) {
  std::get<TensorType>(graph_.inputs[0].type->value).shape->dimensions.resize(3);
  node("Softmax");
  EXPECT_THAT(operators_at(13), ElementsAre("Shape", "Flatten", "Softmax", "Reshape"));
  EXPECT_EQ(graph_.nodes[3].outputs[0], "y");
  at(11);
  node("Softmax", {make_attribute("axis", std::int64_t{2})});
  EXPECT_THAT(operators_at(13), ElementsAre("Softmax"));
  EXPECT_EQ(std::get<std::int64_t>(last().attribute("axis")->value), -1);
}

TEST_F(OpsetUpgradeTest, UpsampleBecomesResize) {
  node("Upsample", {make_attribute("scales", std::vector<float>{1, 1, 2, 2})});
  EXPECT_THAT(operators_at(kDefaultOpset), ElementsAre("Constant", "Resize"));
  EXPECT_THAT(last().inputs, ElementsAre("x", "", graph_.nodes[0].outputs[0]));
  EXPECT_EQ(std::get<std::string>(last().attribute("nearest_mode")->value), "floor");
  EXPECT_EQ(std::get<std::string>(last().attribute("coordinate_transformation_mode")->value), "asymmetric");
}

TEST_F(OpsetUpgradeTest, WhatIsNoLongerPossibleIsRefused) {
  node("BatchNormalization", {make_attribute("spatial", std::int64_t{0})}, {"x", "x", "x", "x", "x"});
  expect_refused("spatial=0");
  node("Dropout", {}, {"x"}, {"y", "mask"});
  graph_.outputs.push_back(float_value("mask", {}));
  expect_refused("its mask is used");
  graph_.outputs.pop_back();
  EXPECT_THAT(operators_at(kDefaultOpset), ElementsAre("Dropout"));
  at(10);
  graph_.inputs.push_back(float_value("scales", {4}));
  node("Resize", {}, {"x", "scales"});
  expect_refused("not constant");
}

TEST_F(OpsetUpgradeTest, OperatorsThatAreNotKnown) {
  node("Surprise");
  expect_refused("'Surprise' is no operator of opset 7");
  node("Mish");
  expect_refused("'Mish' is no operator of opset 7");
  node("Surprise");
  graph_.nodes[0].domain = "my.own";
  model_.opset_imports.push_back({"my.own", 1, {}});
  EXPECT_THAT(operators_at(kDefaultOpset), ElementsAre("Surprise"));
}

TEST_F(OpsetUpgradeTest, VersionsOutOfReach) {
  node("Relu");
  at(6);
  expect_refused("opset 6 is older");
  at(7);
  expect_refused("opset 99 is not known", 99);
  at(20);
  EXPECT_EQ(must(upgrade_opset(model_, 13)).count, 0U);
  EXPECT_EQ(model_.opset_imports[0].version, 20);
}

TEST_F(OpsetUpgradeTest, BothNamesOfTheDomain) {
  node("Relu");
  model_.opset_imports.push_back({"ai.onnx", 7, {}});
  EXPECT_THAT(operators_at(kDefaultOpset), ElementsAre("Relu"));
  EXPECT_EQ(model_.opset_imports[1].version, kDefaultOpset);
}

TEST_F(OpsetUpgradeTest, SubgraphsAndNamesThatAreTaken) {
  Graph branch;
  branch.nodes.push_back(make_node("Unsqueeze", {"x"}, {"inner"}, {make_attribute("axes", Integers{0})}));
  branch.nodes.push_back(make_node("Identity", {"inner"}, {"y_Constant"}));
  branch.outputs.push_back(float_value("y_Constant", {}));
  graph_.nodes = {make_node("Squeeze", {"x"}, {"y"}, {make_attribute("axes", Integers{0})}),
                  make_node("If", {"x"}, {"z"}, {make_attribute("then_branch", Box(branch))})};
  EXPECT_THAT(operators_at(kDefaultOpset), ElementsAre("Constant", "Squeeze", "If"));
  EXPECT_NE(graph_.nodes[0].outputs[0], "y_Constant");
  const Graph& inner = **std::get_if<Box<Graph>>(&last().attributes[0].value);
  EXPECT_EQ(inner.nodes.size(), 3U);
}

TEST_F(OpsetUpgradeTest, FunctionsHaveTheirOwnOpset) {
  Function function;
  function.name = "Twice";
  function.domain = "my.own";
  function.inputs = {"a"};
  function.outputs = {"b"};
  function.attributes = {"where"};
  function.opset_imports = {{"", 11, {}}};
  function.nodes = {make_node("Unsqueeze", {"a"}, {"b"}, {make_attribute("axes", Integers{0})})};
  model_.functions = {function};
  model_.opset_imports.push_back({"my.own", 1, {}});
  node("Relu");
  EXPECT_THAT(operators_at(kDefaultOpset), ElementsAre("Relu"));
  EXPECT_EQ(model_.functions[0].nodes.size(), 2U);
  EXPECT_EQ(model_.functions[0].opset_imports[0].version, kDefaultOpset);
  // What a call decides on can't become a constant.
  at(7);
  function.nodes[0].attributes[0].value = {};
  function.nodes[0].attributes[0].reference = "where";
  model_.functions = {function};
  expect_refused("a call of its function");
}

TEST_F(OpsetUpgradeTest, OldInputsThatNameInitializersGo) {
  model_.ir_version = 3;
  graph_.inputs.push_back(float_value("w", {2}));
  graph_.initializers.push_back(make_tensor("w", {2}, std::vector<float>{1, 2}));
  node("Mul", {}, {"x", "w"});
  EXPECT_THAT(operators_at(kDefaultOpset), ElementsAre("Mul"));
  EXPECT_EQ(model_.ir_version, 10);
  EXPECT_EQ(graph_.inputs.size(), 1U);
}

TEST_F(OpsetUpgradeTest, ManySmallChanges) {
  node("Slice", {make_attribute("starts", Integers{0}), make_attribute("ends", Integers{5})});
  EXPECT_THAT(operators_at(10), ElementsAre("Constant", "Constant", "Slice"));
  at(7);
  node("TopK", {make_attribute("k", std::int64_t{3})}, {"x"}, {"y", "i"});
  EXPECT_THAT(operators_at(10), ElementsAre("Constant", "TopK"));
  at(7);
  node("Pad", {make_attribute("pads", Integers{0, 1, 0, 1}), make_attribute("value", 2.0F)});
  EXPECT_THAT(operators_at(11), ElementsAre("Constant", "Constant", "Pad"));
  at(7);
  node("Split", {}, {"x"}, {"y", "z"});
  EXPECT_THAT(operators_at(18), ElementsAre("Split"));
  EXPECT_EQ(std::get<std::int64_t>(last().attribute("num_outputs")->value), 2);
  at(9);
  node("Scatter", {}, {"x", "x", "x"});
  EXPECT_THAT(operators_at(11), ElementsAre("ScatterElements"));
  at(16);
  node("GridSample", {make_attribute("mode", std::string("bicubic"))}, {"x", "x"});
  operators_at(20);
  EXPECT_EQ(std::get<std::string>(last().attribute("mode")->value), "cubic");
  at(17);
  node("DFT");
  EXPECT_THAT(operators_at(20), ElementsAre("Constant", "DFT"));
  EXPECT_THAT(taken(last(), 2), ElementsAre(1));
  at(10);
  node("RoiAlign", {}, {"x", "x", "x"});
  operators_at(16);
  EXPECT_EQ(std::get<std::string>(last().attribute("coordinate_transformation_mode")->value),
            "output_half_pixel");
}

}  // namespace
}  // namespace joulery::onnx
