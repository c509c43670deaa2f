#include "onnx/body_costs.hpp"

#include <gmock/gmock.h>

#include <map>

#include "onnx/check.hpp"
#include "onnx/cost.hpp"
#include "onnx/model_fixture.hpp"
#include "onnx/real_shapes.hpp"

namespace joulery::onnx {
namespace {

using testing::Each;

using Dims = std::vector<std::int64_t>;
using Whole = std::int64_t;

/// Infers the shapes of the few operators here, in place of an engine.
class InferringEvaluator final : public Evaluator {
 public:
  Result<std::vector<Tensor>> evaluate(const Model& model, std::span<const Tensor> inputs) override {
    EXPECT_TRUE(check_model(model).empty()) << all_of(check_model(model));
    ++evaluations;
    std::map<std::string, Dims> dims;
    for (const Tensor& input : inputs) dims[input.name] = input.dims;
    for (const Tensor& tensor : model.graph->initializers) dims[tensor.name] = tensor.dims;
    std::vector<Tensor> results;
    for (const Node& node : model.graph->nodes) {
      operators.push_back(node.op_type);
      if (node.op_type == "Sqrt") return environment_error("this operator fails");
      if (node.op_type == "Shape") {
        const Dims& found = dims.at(node.inputs[0]);
        results.push_back(make_tensor(node.outputs[0], {std::ssize(found)}, found));
      } else {
        dims[node.outputs[0]] = infer(node, dims);
      }
    }
    return results;
  }
  Result<std::vector<DataType>> output_types(const Model& model, std::span<const Tensor>) override {
    return std::vector<DataType>(model.graph->outputs.size(), DataType::float32);
  }

  std::size_t evaluations = 0;
  std::vector<std::string> operators;

 private:
  static Dims infer(const Node& node, const std::map<std::string, Dims>& dims) {
    if (node.op_type == "Constant") return std::get<Box<Tensor>>(node.attribute("value")->value)->dims;
    Dims first = dims.at(node.inputs[node.op_type == "Loop" ? 2 : 0]);
    if (node.op_type == "MatMul") first.back() = dims.at(node.inputs[1]).back();
    if (node.op_type == "Concat") first[0] += dims.at(node.inputs[1])[0];
    if (node.op_type == "Gather") first.erase(first.begin() + std::get<Whole>(node.attribute("axis")->value));
    return first;
  }
};

ValueInfo any_value(std::string name) {
  return {std::move(name), Type{TensorType{DataType::float32, std::nullopt, {}}, "", {}}, "", {}, {}};
}

Graph body(std::vector<Node> nodes, const std::vector<std::string>& inputs,
           const std::vector<std::string>& outputs) {
  Graph graph;
  graph.name = "body";
  graph.nodes = std::move(nodes);
  for (const std::string& name : inputs) graph.inputs.push_back(any_value(name));
  for (const std::string& name : outputs) graph.outputs.push_back(any_value(name));
  return graph;
}

Tensor truth(std::string name, bool value) {
  Tensor tensor;
  tensor.name = std::move(name);
  tensor.data_type = DataType::boolean;
  tensor.storage = TensorStorage::raw;
  tensor.data = SharedBytes::copy_of(std::vector<std::uint8_t>{static_cast<std::uint8_t>(value)});
  return tensor;
}

/// x [2, 4] and w [4, 4]: x · w has 32 MACs.
class BodyCostsTest : public testing::Test {
 protected:
  BodyCostsTest() {
    Graph& graph = *model_.graph;
    graph.inputs = {float_value("x", {2, 4})};
    graph.outputs = {any_value("y")};
    graph.initializers = {make_tensor("w", {4, 4}, std::vector<float>(16)),
                          make_tensor("ten", {}, std::vector<Whole>{10}), truth("yes", true),
                          truth("no", false)};
  }

  std::optional<std::uint64_t> macs_of(Node node) {
    model_.graph->nodes = {std::move(node)};
    const std::vector<Tensor> inputs{make_tensor("x", {2, 4}, std::vector<float>(8))};
    ValueShapes shapes{{"x", {DataType::float32, {2, 4}}}};
    const Model before = model_;
    const BodyCosts costs = body_costs(model_, inputs, shapes, evaluator_);
    EXPECT_EQ(model_, before);
    const ModelCost cost = model_cost(model_, shapes, costs);
    const auto macs = cost.operators.at(0).macs;
    EXPECT_EQ(cost.macs, macs.value_or(0));
    EXPECT_EQ(cost.without_macs.empty(), macs.has_value());
    return macs;
  }

  static Node loop(std::vector<Node> nodes, const std::string& again = "go",
                   std::vector<std::string> inputs = {"ten", "", "x"}) {
    return make_node("Loop", std::move(inputs), {"y"},
                     {make_attribute("body", Box(body(std::move(nodes), {"i", "go", "h"}, {again, "r"})))});
  }
  static Node branches(const std::string& condition, std::vector<Node> yes, std::vector<Node> no) {
    return make_node("If", {condition}, {"y"},
                     {make_attribute("then_branch", Box(body(std::move(yes), {}, {"r"}))),
                      make_attribute("else_branch", Box(body(std::move(no), {}, {"r"})))});
  }
  static Node product(const std::string& from, const std::string& to) {
    return make_node("MatMul", {from, "w"}, {to});
  }

  Model model_ = small_model();
  InferringEvaluator evaluator_;
};

TEST_F(BodyCostsTest, ALoopCountsOnceForEachTrip) {
  EXPECT_EQ(macs_of(loop({product("h", "m"), make_node("Relu", {"m"}, {"r"})})), 320U);
  EXPECT_EQ(macs_of(loop({product("h", "r")}, "go", {"ten", "yes", "x"})), 320U);
}

TEST_F(BodyCostsTest, ALoopThatMayEndEarlyIsUnknown) {
  Node odd = make_node("Not", {"go"}, {"again"});
  EXPECT_EQ(macs_of(loop({product("h", "r"), odd}, "again")), std::nullopt);
  EXPECT_EQ(macs_of(loop({product("h", "r")}, "go", {"ten", "no", "x"})), std::nullopt);
  EXPECT_EQ(macs_of(loop({product("h", "r")}, "go", {"", "", "x"})), std::nullopt) << "for ever";
}

TEST_F(BodyCostsTest, ALoopWhoseStateGrowsIsUnknown) {
  EXPECT_EQ(macs_of(loop({product("h", "m"), make_node("Concat", {"m", "h"}, {"r"})})), std::nullopt);
}

TEST_F(BodyCostsTest, LoopsInLoops) {
  Node inner = loop({product("h", "r")});
  inner.inputs[2] = "outer_h";
  Graph outer = body({inner, make_node("Relu", {"y"}, {"outer_r"})}, {"outer_i", "outer_go", "outer_h"},
                     {"outer_go", "outer_r"});
  EXPECT_EQ(macs_of(make_node("Loop", {"ten", "", "x"}, {"z"}, {make_attribute("body", Box(outer))})), 3200U);
}

TEST_F(BodyCostsTest, AScanTakesAsManyTripsAsItsAxisIsLong) {
  // State and slice are each 2 numbers long; the slice meets a [4, 4] after a Concat of both.
  Graph each = body({make_node("Concat", {"s", "slice"}, {"c"}), make_node("MatMul", {"c", "w"}, {"m"}),
                     make_node("Relu", {"s"}, {"t"})},
                    {"s", "slice"}, {"t", "m"});
  model_.graph->initializers.push_back(make_tensor("start", {2}, std::vector<float>(2)));
  Node scan = make_node("Scan", {"start", "x"}, {"last", "y"},
                        {make_attribute("body", Box(each)), make_attribute("num_scan_inputs", Whole{1}),
                         make_attribute("scan_input_axes", std::vector<Whole>{1})});
  // 4 trips of [4] · [4, 4].
  EXPECT_EQ(macs_of(scan), 4U * 16);
  model_.opset_imports = {{"", 8, {}}};
  EXPECT_EQ(macs_of(scan), std::nullopt) << "its first dimension was the batch then";
}

TEST_F(BodyCostsTest, BranchesCountIfTheyAreEqualOrOneIsNeverTaken) {
  const std::vector<Node> once{product("x", "r")};
  const std::vector<Node> twice{product("x", "m"), product("m", "r")};
  EXPECT_EQ(macs_of(branches("x", once, once)), 32U);
  EXPECT_EQ(macs_of(branches("x", once, twice)), std::nullopt);
  EXPECT_EQ(macs_of(branches("yes", once, twice)), 32U);
  EXPECT_EQ(macs_of(branches("no", once, twice)), 64U);
}

TEST_F(BodyCostsTest, ABranchThatFailsSpoilsNothingElse) {
  const std::vector<Node> fails{make_node("Sqrt", {"x"}, {"s"}), product("s", "r")};
  EXPECT_EQ(macs_of(branches("x", {product("x", "r")}, fails)), std::nullopt);
  EXPECT_LE(evaluator_.evaluations, 40U);
  EXPECT_EQ(macs_of(branches("yes", {product("x", "r")}, fails)), 32U);
}

TEST_F(BodyCostsTest, BodiesWithoutAProductNeedNoRun) {
  EXPECT_EQ(macs_of(loop({make_node("Relu", {"h"}, {"r"})}, "go", {"", "", "x"})), 0U);
  EXPECT_EQ(macs_of(branches("x", {make_node("Relu", {"x"}, {"r"})}, {make_node("Sqrt", {"x"}, {"r"})})), 0U);
  EXPECT_EQ(evaluator_.evaluations, 0U);
}

TEST_F(BodyCostsTest, OnlyWhatIsAskedForIsRun) {
  const std::vector<Tensor> inputs{make_tensor("x", {2, 4}, std::vector<float>(8))};
  model_.graph->nodes = {make_node("Sqrt", {"x"}, {"s"}), product("x", "y")};
  const RealShapes found = must(real_shapes_of(model_, {"y"}, inputs, evaluator_));
  EXPECT_EQ(found.shapes.at("y").dims, (Dims{2, 4}));
  EXPECT_THAT(evaluator_.operators, Each(testing::Ne("Sqrt")));
}

}  // namespace
}  // namespace joulery::onnx
