#include <gmock/gmock.h>

#include <cmath>

#include "onnx/check.hpp"
#include "onnx/model_fixture.hpp"
#include "onnx/passes/pass.hpp"

namespace joulery::onnx {
namespace {

using testing::ElementsAre;

class PassesTest : public testing::Test {
 protected:
  PassesTest() : model_(small_model()), graph_(*model_.graph) {}

  /// Operators in order after the pass, which must leave a sound model and then find nothing more.
  std::vector<std::string> operators_after(const Pass& pass) {
    must(pass.apply(model_));
    EXPECT_TRUE(check_model(model_).empty()) << all_of(check_model(model_));
    EXPECT_EQ(must(pass.apply(model_)).count, 0U);
    std::vector<std::string> names;
    for (const Node& node : graph_.nodes) names.push_back(node.op_type);
    return names;
  }
  void add_output(const std::string& name) { graph_.outputs.push_back(float_value(name, {1, 3})); }
  void add_if(const std::string& used) {
    Graph branch;
    branch.nodes.push_back(make_node("Neg", {used}, {"inner"}));
    branch.outputs.push_back(float_value("inner", {1, 3}));
    graph_.inputs.push_back(float_value("condition", {}));
    graph_.nodes.push_back(
        make_node("If", {"condition"}, {"z"}, {make_attribute("then_branch", Box<Graph>(branch))}));
    add_output("z");
  }

  Model model_;
  Graph& graph_;
};

class IdentityRemovalTest : public PassesTest {
 protected:
  std::unique_ptr<Pass> pass_ = make_identity_removal();
};

TEST_F(IdentityRemovalTest, InTheMiddle) {
  graph_.nodes.insert(graph_.nodes.begin() + 1, make_node("Identity", {"h"}, {"same"}));
  graph_.nodes[2].inputs = {"same"};
  EXPECT_THAT(operators_after(*pass_), ElementsAre("MatMul", "Relu"));
  EXPECT_THAT(graph_.nodes[1].inputs, ElementsAre("h"));
}

TEST_F(IdentityRemovalTest, AnOutputKeepsItsName) {
  graph_.nodes.push_back(make_node("Identity", {"h"}, {"copy"}));
  add_output("copy");
  EXPECT_THAT(operators_after(*pass_), ElementsAre("MatMul", "Relu"));
  EXPECT_THAT(graph_.nodes[0].outputs, ElementsAre("copy"));
  EXPECT_THAT(graph_.nodes[1].inputs, ElementsAre("copy"));
}

TEST_F(IdentityRemovalTest, OnlyAnIdentityCanMakeAnInputOrASecondNameAnOutput) {
  graph_.nodes.push_back(make_node("Identity", {"x"}, {"copy"}));
  graph_.nodes.push_back(make_node("Identity", {"y"}, {"again"}));
  graph_.nodes.push_back(make_node("Identity", {"w"}, {"weights"}));
  for (const char* name : {"copy", "again", "weights"}) add_output(name);
  EXPECT_THAT(operators_after(*pass_), ElementsAre("MatMul", "Relu", "Identity", "Identity", "Identity"));
}

TEST_F(IdentityRemovalTest, ChainsAndForks) {
  graph_.nodes.push_back(make_node("Identity", {"h"}, {"i"}));
  graph_.nodes.push_back(make_node("Identity", {"i"}, {"first"}));
  graph_.nodes.push_back(make_node("Identity", {"i"}, {"j"}));
  graph_.nodes.push_back(make_node("Identity", {"j"}, {"second"}));
  graph_.nodes.push_back(make_node("Neg", {"j"}, {"third"}));
  for (const char* name : {"first", "second", "third"}) add_output(name);
  // Two outputs with the same value need one Identity.
  EXPECT_THAT(operators_after(*pass_), ElementsAre("MatMul", "Relu", "Identity", "Neg"));
  EXPECT_THAT(graph_.nodes[0].outputs, ElementsAre("first"));
  EXPECT_THAT(graph_.nodes[2].inputs, ElementsAre("first"));
  EXPECT_THAT(graph_.nodes[3].inputs, ElementsAre("first"));
}

TEST_F(IdentityRemovalTest, SubgraphsFollow) {
  graph_.nodes.push_back(make_node("Identity", {"h"}, {"same"}));
  add_if("same");
  EXPECT_THAT(operators_after(*pass_), ElementsAre("MatMul", "Relu", "If"));
}

TEST_F(IdentityRemovalTest, ASubgraphThatHidesTheNameStopsIt) {
  graph_.nodes.push_back(make_node("Identity", {"h"}, {"same"}));
  add_if("same");
  auto& inner = **std::get_if<Box<Graph>>(&graph_.nodes[3].attributes[0].value);
  inner.inputs.push_back(float_value("h", {1, 3}));
  EXPECT_THAT(operators_after(*pass_), ElementsAre("MatMul", "Relu", "Identity", "If"));
}

TEST_F(IdentityRemovalTest, DropoutWhoseMaskNobodyTakes) {
  graph_.nodes.insert(graph_.nodes.begin() + 1, make_node("Dropout", {"h"}, {"same", "mask"}));
  graph_.nodes[2].inputs = {"same"};
  EXPECT_THAT(operators_after(*pass_), ElementsAre("MatMul", "Relu"));
  graph_.nodes.insert(graph_.nodes.begin() + 1, make_node("Dropout", {"h"}, {"same", "mask"}));
  add_output("mask");
  EXPECT_THAT(operators_after(*pass_), ElementsAre("MatMul", "Dropout", "Relu"));
}

class DeadRemovalTest : public PassesTest {
 protected:
  std::unique_ptr<Pass> pass_ = make_dead_removal();
};

TEST_F(DeadRemovalTest, AWholeChainAndItsConstants) {
  graph_.initializers.push_back(make_tensor("unused", {1}, std::vector<float>{1}));
  graph_.nodes.push_back(make_node("Add", {"h", "unused"}, {"a"}));
  graph_.nodes.push_back(make_node("Neg", {"a"}, {"b"}));
  EXPECT_THAT(operators_after(*pass_), ElementsAre("MatMul", "Relu"));
  EXPECT_EQ(graph_.initializers.size(), 1U);
}

TEST_F(DeadRemovalTest, WhatASubgraphTakesStays) {
  graph_.nodes.push_back(make_node("Neg", {"h"}, {"a"}));
  add_if("a");
  EXPECT_THAT(operators_after(*pass_), ElementsAre("MatMul", "Relu", "Neg", "If"));
}

TEST_F(DeadRemovalTest, InputsStay) {
  graph_.inputs.push_back(float_value("unused", {1}));
  graph_.initializers.push_back(make_tensor("unused", {1}, std::vector<float>{1}));
  operators_after(*pass_);
  EXPECT_EQ(graph_.initializers.size(), 2U);
  EXPECT_EQ(graph_.inputs.size(), 2U);
}

class DuplicateRemovalTest : public PassesTest {
 protected:
  std::unique_ptr<Pass> pass_ = make_duplicate_removal();
};

TEST_F(DuplicateRemovalTest, EqualConstants) {
  Tensor typed;
  typed.name = "v";
  typed.data_type = DataType::float32;
  typed.dims = {2, 3};
  typed.storage = TensorStorage::float_data;
  typed.data = graph_.initializers[0].data;
  graph_.initializers.push_back(typed);
  graph_.initializers.push_back(make_tensor("other_shape", {3, 2}, std::vector<float>{1, 2, 3, 4, 5, 6}));
  graph_.nodes.push_back(make_node("Sub", {"v", "other_shape"}, {"d"}));
  EXPECT_THAT(operators_after(*pass_), ElementsAre("MatMul", "Relu", "Sub"));
  EXPECT_THAT(graph_.nodes[2].inputs, ElementsAre("w", "other_shape"));
  EXPECT_EQ(graph_.initializers.size(), 2U);
}

TEST_F(DuplicateRemovalTest, NumbersThatAreEqualButNotTheSameStay) {
  graph_.initializers.push_back(make_tensor("zero", {1}, std::vector<float>{0.0F}));
  graph_.initializers.push_back(make_tensor("minus_zero", {1}, std::vector<float>{-0.0F}));
  EXPECT_EQ(must(pass_->apply(model_)).count, 0U);
}

TEST_F(DuplicateRemovalTest, AChainThatIsThereTwice) {
  graph_.nodes.push_back(make_node("MatMul", {"x", "w"}, {"h2"}));
  graph_.nodes.push_back(make_node("Neg", {"h2"}, {"n"}));
  graph_.nodes.push_back(make_node("Neg", {"h"}, {"n2"}));
  graph_.nodes.push_back(make_node("Sub", {"n", "n2"}, {"d"}));
  EXPECT_THAT(operators_after(*pass_), ElementsAre("MatMul", "Relu", "Neg", "Sub"));
  EXPECT_THAT(graph_.nodes[3].inputs, ElementsAre("n", "n"));
}

TEST_F(DuplicateRemovalTest, WhatDiffersOrIsChanceStays) {
  graph_.nodes.push_back(make_node("LeakyRelu", {"h"}, {"a"}, {make_attribute("alpha", 0.1F)}));
  graph_.nodes.push_back(make_node("LeakyRelu", {"h"}, {"b"}, {make_attribute("alpha", 0.2F)}));
  graph_.nodes.push_back(make_node("RandomNormalLike", {"h"}, {"c"}));
  graph_.nodes.push_back(make_node("RandomNormalLike", {"h"}, {"d"}));
  graph_.nodes.push_back(make_node("Relu", {"h"}, {"e"}));
  add_output("e");
  EXPECT_EQ(must(pass_->apply(model_)).count, 0U);
}

class GemmFusionTest : public PassesTest {
 protected:
  GemmFusionTest() {
    graph_.initializers.push_back(make_tensor("b", {3}, std::vector<float>{1, 2, 3}));
    graph_.nodes.insert(graph_.nodes.begin() + 1, make_node("Add", {"h", "b"}, {"s"}));
    graph_.nodes[2].inputs = {"s"};
  }
  std::unique_ptr<Pass> pass_ = make_gemm_fusion();
};

TEST_F(GemmFusionTest, AProductAndItsBias) {
  EXPECT_THAT(operators_after(*pass_), ElementsAre("Gemm", "Relu"));
  EXPECT_THAT(graph_.nodes[0].inputs, ElementsAre("x", "w", "b"));
}

TEST_F(GemmFusionTest, TheBiasMayComeFirst) {
  graph_.nodes[1].inputs = {"b", "h"};
  EXPECT_THAT(operators_after(*pass_), ElementsAre("Gemm", "Relu"));
}

TEST_F(GemmFusionTest, WhatIsNotCertainStays) {
  const Model before = model_;
  const auto expect_untouched = [&](const char* why) {
    EXPECT_EQ(must(pass_->apply(model_)).count, 0U) << why;
    model_ = before;
  };
  graph_.inputs[0] = float_value("x", {1, 1, 2});
  expect_untouched("more than two dimensions");
  std::get<TensorType>(model_.graph->inputs[0].type->value).shape.reset();
  expect_untouched("unknown rank");
  model_.graph->outputs.push_back(float_value("h", {1, 3}));
  expect_untouched("the product is an output");
  model_.graph->initializers[1].dims = {3, 1};
  expect_untouched("a column would make more rows");
  model_.graph->inputs.push_back(float_value("b", {3}));
  expect_untouched("a caller may replace the bias");
}

class BatchNormFoldingTest : public PassesTest {
 protected:
  BatchNormFoldingTest() {
    graph_.inputs = {float_value("x", {1, 1, 2, 2})};
    graph_.outputs = {float_value("y", {1, 2, 2, 2})};
    graph_.initializers = {make_tensor("w", {2, 1, 1, 1}, std::vector<float>{1, 2}),
                           make_tensor("bias", {2}, std::vector<float>{1, -1}),
                           make_tensor("scale", {2}, std::vector<float>{2, 3}),
                           make_tensor("shift", {2}, std::vector<float>{5, 7}),
                           make_tensor("mean", {2}, std::vector<float>{0.5, 1}),
                           make_tensor("variance", {2}, std::vector<float>{4, 9})};
    graph_.nodes = {make_node("Conv", {"x", "w", "bias"}, {"h"}, {make_attribute("group", std::int64_t{1})}),
                    make_node("BatchNormalization", {"h", "scale", "shift", "mean", "variance"}, {"y"},
                              {make_attribute("epsilon", 0.0F)})};
  }
  std::unique_ptr<Pass> pass_ = make_batch_norm_folding();
};

TEST_F(BatchNormFoldingTest, WeightsAndBiasTakeItIn) {
  EXPECT_THAT(operators_after(*pass_), ElementsAre("Conv"));
  const Node& conv = graph_.nodes[0];
  ASSERT_NE(conv.attribute("group"), nullptr);
  const auto find = [&](const std::string& name) {
    return must(real_values(*std::ranges::find(graph_.initializers, name, &Tensor::name)));
  };
  EXPECT_THAT(find(conv.inputs[1]), ElementsAre(1, 2));
  EXPECT_THAT(find(conv.inputs[2]), ElementsAre(1 * 1 + 5 - 0.5, -1 + 7 - 1));
}

TEST_F(BatchNormFoldingTest, TiedWeightsStayTied) {
  graph_.nodes.push_back(make_node("Conv", {"x", "w"}, {"other"}));
  EXPECT_THAT(operators_after(*pass_), ElementsAre("Conv", "BatchNormalization", "Conv"));
  EXPECT_EQ(graph_.initializers.size(), 6U);
}

TEST_F(BatchNormFoldingTest, WhatIsNotCertainStays) {
  const Model before = model_;
  const auto expect_untouched = [&](const char* why) {
    EXPECT_EQ(must(pass_->apply(model_)).count, 0U) << why;
    model_ = before;
  };
  model_.graph->outputs.push_back(float_value("h", {1, 2, 2, 2}));
  expect_untouched("the Conv's result is an output");
  model_.graph->nodes[1].attributes.push_back(make_attribute("training_mode", std::int64_t{1}));
  expect_untouched("training");
  model_.graph->initializers[5] = make_tensor("variance", {2}, std::vector<float>{0, 1});
  expect_untouched("no variance");
  model_.graph->initializers[5] = make_tensor("variance", {2}, std::vector<float>{NAN, 1});
  expect_untouched("the variance is no number");
  model_.graph->initializers[2] = make_tensor("scale", {2}, std::vector<float>{3e38F, 1});
  model_.graph->initializers[0] = make_tensor("w", {2, 1, 1, 1}, std::vector<float>{3e38F, 1});
  expect_untouched("a weight would not be finite");
  model_.graph->inputs.push_back(float_value("mean", {2}));
  expect_untouched("a caller may replace the mean");
}

TEST_F(PassesTest, WhatTrainingMayTakeStays) {
  graph_.nodes.push_back(make_node("Neg", {"h"}, {"for_training"}));
  TrainingInfo training;
  Graph algorithm;
  algorithm.nodes.push_back(make_node("Abs", {"for_training"}, {"step"}));
  algorithm.outputs.push_back(float_value("step", {1, 3}));
  training.algorithm = algorithm;
  model_.training.push_back(training);
  const Model before = model_;
  EXPECT_EQ(must(apply_passes(model_, standard_passes())).count, 0U);
  EXPECT_EQ(model_, before);
}

TEST_F(PassesTest, ModelsWithManyPartsAreNoTrouble) {
  // Had the whole graph to be gone through for each of them, this would not end.
  constexpr int kMany = 30'000;
  Node sum = make_node("Sum", {}, {"y"});
  graph_.nodes.pop_back();
  for (int i = 0; i < kMany; ++i) {
    const std::string number = std::to_string(i);
    const bool is_first = i == 0;
    graph_.nodes.push_back(
        make_node("Identity", {is_first ? "h" : "i" + std::to_string(i - 1)}, {"i" + number}));
    graph_.nodes.push_back(make_node("MatMul", {"x", "w"}, {"m" + number}));
    graph_.nodes.push_back(make_node("Add", {"m" + number, "b" + number}, {"a" + number}));
    const int pair = i / 2;
    graph_.initializers.push_back(make_tensor("b" + number, {3}, std::vector<float>{1, 2, float(pair)}));
    sum.inputs.push_back("a" + number);
    sum.inputs.push_back("i" + number);
  }
  graph_.nodes.push_back(sum);
  must(apply_passes(model_, standard_passes()));
  // A MatMul for the identities, and a Gemm for each different bias.
  EXPECT_EQ(graph_.nodes.size(), 1 + kMany / 2 + 1U);
  EXPECT_EQ(graph_.initializers.size(), 1 + kMany / 2U);
  EXPECT_TRUE(check_model(model_).empty()) << all_of(check_model(model_));
}

TEST_F(PassesTest, AnOutputsNameGoesToWhatOtherIdentitiesGaveOnToo) {
  graph_.nodes.insert(graph_.nodes.begin() + 1, make_node("Identity", {"h"}, {"same"}));
  graph_.nodes.push_back(make_node("Identity", {"same"}, {"copy"}));
  graph_.nodes[2].inputs = {"same"};
  add_output("copy");
  add_if("same");
  EXPECT_THAT(operators_after(*make_identity_removal()), ElementsAre("MatMul", "Relu", "If"));
  EXPECT_THAT(graph_.nodes[0].outputs, ElementsAre("copy"));
  EXPECT_THAT(graph_.nodes[1].inputs, ElementsAre("copy"));
}

TEST_F(PassesTest, AllTogether) {
  graph_.initializers.push_back(make_tensor("b", {3}, std::vector<float>{1, 2, 3}));
  graph_.nodes.insert(graph_.nodes.begin() + 1, make_node("Identity", {"h"}, {"i"}));
  graph_.nodes.insert(graph_.nodes.begin() + 2, make_node("Add", {"i", "b"}, {"s"}));
  graph_.nodes[3].inputs = {"s"};
  const auto passes = standard_passes();
  EXPECT_GE(must(apply_passes(model_, passes)).count, 2U);
  ASSERT_EQ(graph_.nodes.size(), 2U);
  EXPECT_EQ(graph_.nodes[0].op_type, "Gemm");
  EXPECT_TRUE(check_model(model_).empty()) << all_of(check_model(model_));
}

}  // namespace
}  // namespace joulery::onnx
