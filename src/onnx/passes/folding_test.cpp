#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <map>

#include "onnx/check.hpp"
#include "onnx/model_fixture.hpp"
#include "onnx/passes/pass.hpp"

namespace joulery::onnx {
namespace {

using testing::ElementsAre;

class FoldingTest : public testing::Test {
 protected:
  FoldingTest() : model_(small_model()), graph_(*model_.graph) {}

  std::vector<std::string> operators_after(const Pass& pass) {
    must(pass.apply(model_));
    EXPECT_TRUE(check_model(model_).empty()) << all_of(check_model(model_));
    EXPECT_EQ(must(pass.apply(model_)).count, 0U);
    std::vector<std::string> names;
    for (const Node& node : graph_.nodes) names.push_back(node.op_type);
    return names;
  }
  std::vector<double> numbers(const std::string& name) {
    const auto found = std::ranges::find(graph_.initializers, name, &Tensor::name);
    return found == graph_.initializers.end() ? std::vector<double>() : must(real_values(*found));
  }
  void constant(const std::string& name, std::vector<std::int64_t> dims, const std::vector<float>& values) {
    graph_.initializers.push_back(make_tensor(name, std::move(dims), values));
  }
  /// Replaces the nodes by a chain from "x" to "y".
  void chain(std::vector<Node> nodes) {
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      nodes[i].inputs[0] = i == 0 ? "x" : "v" + std::to_string(i);
      nodes[i].outputs = {i + 1 == nodes.size() ? "y" : "v" + std::to_string(i + 1)};
    }
    graph_.nodes = std::move(nodes);
  }

  Model model_;
  Graph& graph_;
};

class BiasFoldingTest : public FoldingTest {
 protected:
  std::unique_ptr<Pass> pass_ = make_bias_folding();
};

TEST_F(BiasFoldingTest, ConvolutionsWithAndWithoutBias) {
  constant("k", {2, 1, 3, 3}, std::vector<float>(18));
  constant("b", {2}, {10, 20});
  constant("c", {1, 2, 1, 1}, {1, 2});
  constant("one", {}, {0.5F});
  chain({make_node("Conv", {"", "k"}, {}), make_node("Add", {"", "c"}, {}), make_node("Neg", {""}, {}),
         make_node("Conv", {"", "k", "b"}, {}), make_node("Add", {"", "one"}, {})});
  EXPECT_THAT(operators_after(*pass_), ElementsAre("Conv", "Neg", "Conv"));
  EXPECT_THAT(numbers(graph_.nodes[0].inputs.at(2)), ElementsAre(1, 2));
  EXPECT_THAT(numbers(graph_.nodes[2].inputs.at(2)), ElementsAre(10.5, 20.5));
  EXPECT_EQ(graph_.nodes[2].outputs[0], "y");
}

TEST_F(BiasFoldingTest, TransposedConvolutionsCountTheirGroups) {
  constant("k", {4, 3, 2, 2}, std::vector<float>(48));
  constant("c", {6, 1, 1}, {1, 2, 3, 4, 5, 6});
  chain({make_node("ConvTranspose", {"", "k"}, {}, {make_attribute("group", std::int64_t{2})}),
         make_node("Add", {"", "c"}, {})});
  EXPECT_THAT(operators_after(*pass_), ElementsAre("ConvTranspose"));
  EXPECT_THAT(numbers(graph_.nodes[0].inputs.at(2)), ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST_F(BiasFoldingTest, ConvolutionsLeftAlone) {
  constant("k", {2, 1, 3, 3}, std::vector<float>(18));
  constant("along width", {2}, {1, 2});
  constant("one more dimension", {1, 1, 2, 1, 1}, {1, 2});
  constant("for each image", {2, 1, 1, 1}, {1, 2});
  constant("largest", {2}, {std::numeric_limits<float>::max(), 0});
  constant("again", {2, 1, 1}, {std::numeric_limits<float>::max(), 0});
  for (const char* other : {"along width", "one more dimension", "for each image", "x"}) {
    chain({make_node("Conv", {"", "k"}, {}), make_node("Add", {"", other}, {})});
    EXPECT_THAT(operators_after(*pass_), ElementsAre("Conv", "Add")) << other;
  }
  chain({make_node("Conv", {"", "k", "largest"}, {}), make_node("Add", {"", "again"}, {})});
  EXPECT_THAT(operators_after(*pass_), ElementsAre("Conv", "Add"));
}

TEST_F(BiasFoldingTest, GemmTakesARowTimesItsBeta) {
  constant("g", {3, 2}, std::vector<float>(6));
  constant("c", {2}, {1, 2});
  constant("row", {1, 2}, {10, 20});
  chain({make_node("Gemm", {"", "g", "c"}, {}, {make_attribute("beta", 2.0F), make_attribute("alpha", 3.0F)}),
         make_node("Add", {"", "row"}, {})});
  EXPECT_THAT(operators_after(*pass_), ElementsAre("Gemm"));
  EXPECT_THAT(numbers(graph_.nodes[0].inputs.at(2)), ElementsAre(12, 24));
  EXPECT_EQ(graph_.nodes[0].attribute("beta"), nullptr);
  EXPECT_NE(graph_.nodes[0].attribute("alpha"), nullptr);
  constant("column", {2, 1}, {10, 20});
  chain({make_node("Gemm", {"", "g", "c"}, {}), make_node("Add", {"", "column"}, {})});
  EXPECT_THAT(operators_after(*pass_), ElementsAre("Gemm", "Add"));
}

TEST_F(BiasFoldingTest, TwoSumsBecomeOne) {
  constant("a", {2, 1}, {1, 2});
  constant("b", {2, 3}, {10, 20, 30, 40, 50, 60});
  constant("c", {3}, {1, 2, 3});
  chain(
      {make_node("MatMul", {"", "w"}, {}), make_node("Add", {"", "a"}, {}), make_node("Add", {"", "b"}, {})});
  EXPECT_THAT(operators_after(*pass_), ElementsAre("MatMul", "Add"));
  EXPECT_THAT(numbers(graph_.nodes[1].inputs.at(1)), ElementsAre(11, 21, 31, 42, 52, 62));
  // Their sum would need more elements than both have.
  chain({make_node("Add", {"", "a"}, {}), make_node("Add", {"", "c"}, {})});
  EXPECT_THAT(operators_after(*pass_), ElementsAre("Add", "Add"));
}

TEST_F(BiasFoldingTest, WhatSomebodyElseTakesStays) {
  constant("a", {3}, {1, 2, 3});
  chain({make_node("Add", {"", "a"}, {}), make_node("Add", {"", "a"}, {})});
  graph_.outputs.push_back(float_value("v1", {1, 3}));
  EXPECT_THAT(operators_after(*pass_), ElementsAre("Add", "Add"));
}

class ActivationFoldingTest : public FoldingTest {
 protected:
  /// Bounds of the Clip that is left of two.
  std::vector<double> left_of(const std::vector<float>& first, const std::vector<float>& second) {
    const auto make = [&](const std::vector<float>& bounds, const std::string& name) {
      if (bounds.empty()) return make_node("Relu", {""}, {});
      Node node = make_node("Clip", {""}, {});
      for (const float bound : bounds) {
        const bool is_open = std::isnan(bound);
        const std::string own = name + std::to_string(node.inputs.size());
        if (!is_open) constant(own, {}, {bound});
        node.inputs.push_back(is_open ? "" : own);
      }
      while (node.inputs.back().empty() && node.inputs.size() > 1) node.inputs.pop_back();
      return node;
    };
    ++count_;
    chain({make(first, "f" + std::to_string(count_)), make(second, "s" + std::to_string(count_))});
    EXPECT_THAT(operators_after(*pass_), ElementsAre("Clip"));
    std::vector<double> bounds;
    for (std::size_t i = 1; i < 3; ++i) {
      const auto& inputs = graph_.nodes[0].inputs;
      const auto own = i < inputs.size() ? numbers(inputs[i]) : std::vector<double>();
      bounds.push_back(own.empty() ? std::nan("") : own[0]);
    }
    return bounds;
  }
  static constexpr float kOpen = std::numeric_limits<float>::quiet_NaN();
  int count_ = 0;
  std::unique_ptr<Pass> pass_ = make_activation_folding();
};

TEST_F(ActivationFoldingTest, ReluOfRelu) {
  chain({make_node("Relu", {""}, {}), make_node("Relu", {""}, {}), make_node("Relu", {""}, {})});
  EXPECT_THAT(operators_after(*pass_), ElementsAre("Relu"));
  EXPECT_THAT(graph_.nodes[0].inputs, ElementsAre("x"));
}

TEST_F(ActivationFoldingTest, RangesAreCutToEachOther) {
  const std::vector<float> relu;
  EXPECT_THAT(left_of(relu, {-1, 6}), ElementsAre(0, 6));
  EXPECT_THAT(left_of(relu, {2, 6}), ElementsAre(2, 6));
  EXPECT_THAT(left_of(relu, {-5, -2}), ElementsAre(-2, -2));
  EXPECT_THAT(left_of({-1, 6}, relu), ElementsAre(0, 6));
  EXPECT_THAT(left_of({-3, -1}, relu), ElementsAre(0, 0));
  EXPECT_THAT(left_of({0, 4}, {2, 6}), ElementsAre(2, 4));
  EXPECT_THAT(left_of({0, 1}, {2, 6}), ElementsAre(2, 2));
  EXPECT_THAT(left_of({7, 9}, {2, 6}), ElementsAre(6, 6));
  EXPECT_THAT(left_of({7, kOpen}, {kOpen, 6}), ElementsAre(6, 6));
  EXPECT_THAT(left_of({kOpen, 1}, {2, kOpen}), ElementsAre(2, 2));
  EXPECT_THAT(left_of({1, kOpen}, {kOpen, 6}), ElementsAre(1, 6));
  EXPECT_THAT(left_of({1, kOpen}, {2, kOpen}), ElementsAre(2, testing::IsNan()));
  EXPECT_THAT(left_of({kOpen, 4}, {kOpen, 3}), ElementsAre(testing::IsNan(), 3));
}

TEST_F(ActivationFoldingTest, BeforeOpset11BoundsAreAttributes) {
  model_.opset_imports[0].version = 10;
  chain({make_node("Relu", {""}, {}), make_node("Clip", {""}, {}, {make_attribute("max", 6.0F)})});
  EXPECT_THAT(operators_after(*pass_), ElementsAre("Clip"));
  EXPECT_EQ(std::get<float>(graph_.nodes[0].attribute("min")->value), 0);
  EXPECT_EQ(std::get<float>(graph_.nodes[0].attribute("max")->value), 6);
}

TEST_F(ActivationFoldingTest, LeftAlone) {
  constant("low", {}, {4});
  constant("high", {}, {2});
  const auto clip = [](const char* low, const char* high) { return make_node("Clip", {"", low, high}, {}); };
  const Node relu = make_node("Relu", {""}, {});
  graph_.inputs.push_back(float_value("given", {}));
  for (const Node& other : {clip("low", "high"), clip("given", "low"), make_node("Clip", {""}, {})}) {
    chain({other, relu});
    EXPECT_THAT(operators_after(*pass_), ElementsAre("Clip", "Relu"));
  }
  chain({relu, relu});
  graph_.outputs.push_back(float_value("v1", {1, 3}));
  EXPECT_THAT(operators_after(*pass_), ElementsAre("Relu", "Relu"));
}

/// Has the answers beforehand, and none for other values.
class FakeEvaluator final : public Evaluator {
 public:
  Result<std::vector<Tensor>> evaluate(const Model& model, std::span<const Tensor> inputs) override {
    EXPECT_TRUE(inputs.empty());
    EXPECT_TRUE(check_model(model).empty()) << all_of(check_model(model));
    ++evaluations;
    std::vector<Tensor> results;
    for (const ValueInfo& output : model.graph->outputs) {
      const auto found = answers.find(output.name);
      if (found == answers.end()) return environment_error("not that one");
      results.push_back(found->second);
    }
    return results;
  }
  Result<std::vector<DataType>> output_types(const Model&, std::span<const Tensor>) override {
    return internal_error("nobody asks");
  }
  void answer(const std::string& name, std::int64_t size) {
    answers[name] = make_tensor(name, {size}, std::vector<float>(static_cast<std::size_t>(size)));
  }
  std::map<std::string, Tensor> answers;
  int evaluations = 0;
};

class ConstantFoldingTest : public FoldingTest {
 protected:
  void add(const std::string& op, std::vector<std::string> inputs, const std::string& output) {
    graph_.nodes.push_back(make_node(op, std::move(inputs), {output}));
  }
  void take(const std::string& value) {
    add("Add", {"y", value}, "t_" + value);
    graph_.outputs.push_back(float_value("t_" + value, {}));
  }
  void constants(const std::string& name, std::int64_t size) {
    constant(name, {size}, std::vector<float>(static_cast<std::size_t>(size)));
  }
  bool is_constant(const std::string& name) {
    return std::ranges::find(graph_.initializers, name, &Tensor::name) != graph_.initializers.end();
  }
  std::uint64_t constant_bytes() {
    must(make_dead_removal()->apply(model_));
    std::uint64_t bytes = 0;
    for (const Tensor& tensor : graph_.initializers) bytes += must(raw_bytes(tensor)).size();
    return bytes;
  }

  FakeEvaluator evaluator_;
  std::unique_ptr<Pass> pass_ =
      make_constant_folding(evaluator_, {.small_bytes = 400, .most_growth_bytes = 1000, .shape_elements = 8});
};

TEST_F(ConstantFoldingTest, AChainBecomesItsLastValue) {
  constants("a", 1000);
  add("Neg", {"a"}, "b");
  add("Exp", {"b"}, "c");
  take("c");
  evaluator_.answer("b", 1000);
  evaluator_.answer("c", 1000);
  EXPECT_THAT(operators_after(*pass_), ElementsAre("MatMul", "Relu", "Add"));
  EXPECT_TRUE(is_constant("c"));
  EXPECT_FALSE(is_constant("b"));
  EXPECT_EQ(evaluator_.evaluations, 1);
}

TEST_F(ConstantFoldingTest, ConstantNodesBecomeInitializers) {
  graph_.nodes.push_back(
      make_node("Constant", {}, {"a"}, {make_attribute("value_ints", std::vector<std::int64_t>{3})}));
  graph_.nodes.push_back(make_node("Constant", {}, {"b"},
                                   {make_attribute("value", Box(make_tensor("", {}, std::vector{2.5F})))}));
  graph_.nodes.push_back(
      make_node("Constant", {}, {"s"}, {make_attribute("value_string", std::string("text"))}));
  add("Expand", {"b", "a"}, "c");
  take("c");
  take("s");
  evaluator_.answer("c", 3);
  EXPECT_THAT(operators_after(*pass_), ElementsAre("MatMul", "Relu", "Constant", "Add", "Add"));
  EXPECT_THAT(numbers("b"), ElementsAre(2.5));
  EXPECT_TRUE(is_constant("c"));
}

TEST_F(ConstantFoldingTest, TheModelDoesNotGrow) {
  constants("one", 1);
  for (const auto& [name, size] : {std::pair{"large", 1000}, {"small", 100}, {"next", 100}, {"last", 100}}) {
    add("Expand", {"one", "one"}, name);
    take(name);
    evaluator_.answer(name, size);
  }
  const std::uint64_t before = constant_bytes();
  must(pass_->apply(model_));
  EXPECT_FALSE(is_constant("large"));
  EXPECT_LE(constant_bytes(), before + 1000);
  EXPECT_EQ(is_constant("small") + is_constant("next") + is_constant("last"), 2);
}

TEST_F(ConstantFoldingTest, TiedWeightsStayTied) {
  constants("tied", 20);
  take("tied");
  add("Neg", {"tied"}, "n");
  take("n");
  evaluator_.answer("n", 20);
  // A number that is computed from them is none of them.
  add("Size", {"tied"}, "s");
  take("s");
  evaluator_.answer("s", 1);
  must(pass_->apply(model_));
  EXPECT_FALSE(is_constant("n"));
  EXPECT_TRUE(is_constant("s"));
}

TEST_F(ConstantFoldingTest, TwoResultsOfOneConstantAreNotTwoConstants) {
  constants("a", 1000);
  add("Neg", {"a"}, "b");
  add("Exp", {"a"}, "c");
  take("b");
  take("c");
  evaluator_.answer("b", 1000);
  evaluator_.answer("c", 1000);
  const std::uint64_t before = constant_bytes();
  must(pass_->apply(model_));
  EXPECT_LE(constant_bytes(), before);
}

TEST_F(ConstantFoldingTest, LeftAlone) {
  constants("a", 4);
  add("RandomNormalLike", {"a"}, "r");
  add("DequantizeLinear", {"a", "a", "a"}, "d");
  add("Neg", {"x"}, "n");
  add("Mine", {"a"}, "m");
  graph_.nodes.back().domain = "my.own";
  add("Neg", {"a"}, "out");
  graph_.outputs.push_back(float_value("out", {4}));
  for (const char* name : {"r", "d", "n", "m"}) {
    take(name);
    evaluator_.answer(name, 4);
  }
  evaluator_.answer("out", 4);
  EXPECT_EQ(must(pass_->apply(model_)).count, 0U);
}

TEST_F(ConstantFoldingTest, WhatTheEngineRefusesSpoilsNoOther) {
  constants("a", 4);
  for (int i = 0; i < 9; ++i) {
    const std::string name = "v" + std::to_string(i);
    add("Neg", {"a"}, name);
    take(name);
    if (i != 4) evaluator_.answer(name, 4);
  }
  must(pass_->apply(model_));
  EXPECT_FALSE(is_constant("v4"));
  EXPECT_TRUE(is_constant("v3") && is_constant("v5"));
}

TEST_F(ConstantFoldingTest, ADefaultThatCallersMayReplaceIsNoConstant) {
  constants("a", 4);
  graph_.inputs.push_back(float_value("a", {4}));
  add("Neg", {"a"}, "n");
  take("n");
  evaluator_.answer("n", 4);
  EXPECT_EQ(must(pass_->apply(model_)).count, 0U);
}

}  // namespace
}  // namespace joulery::onnx
