#include "onnx/cost.hpp"

#include <gmock/gmock.h>

#include <limits>

#include "onnx/model_fixture.hpp"

namespace joulery::onnx {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

using Dims = std::vector<std::int64_t>;
using Whole = std::int64_t;

/// A model of one node, and what it costs with values of these shapes.
class CostTest : public testing::Test {
 protected:
  OperatorCost cost_of(const std::string& op, const std::vector<Dims>& inputs, const Dims& output,
                       std::vector<Attribute> attributes = {}, const std::string& domain = "") {
    Node node = make_node(op, {}, {"y"}, std::move(attributes));
    node.domain = domain;
    ValueShapes shapes{{"y", {DataType::float32, output}}};
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      node.inputs.push_back("x" + std::to_string(i));
      shapes[node.inputs.back()] = {DataType::float32, inputs[i]};
    }
    Model model = small_model();
    model.graph->nodes = {node};
    return model_cost(model, shapes).operators.at(0);
  }
  std::optional<std::uint64_t> macs(const std::string& op, const std::vector<Dims>& inputs,
                                    const Dims& output, std::vector<Attribute> attributes = {},
                                    const std::string& domain = "") {
    return cost_of(op, inputs, output, std::move(attributes), domain).macs;
  }
};

TEST_F(CostTest, Convolutions) {
  // 8 channels of 10×10, each number a sum over 3 channels of 3×3.
  EXPECT_EQ(macs("Conv", {{1, 3, 10, 10}, {8, 3, 3, 3}}, {1, 8, 10, 10}), 8 * 100 * 27);
  // Depthwise: each channel looks at itself only.
  EXPECT_EQ(macs("Conv", {{2, 8, 10, 10}, {8, 1, 3, 3}}, {2, 8, 5, 5}, {make_attribute("group", Whole{8})}),
            2 * 8 * 25 * 9);
  EXPECT_EQ(macs("Conv", {{1, 4, 100}, {6, 4, 5}}, {1, 6, 96}), 6 * 96 * 20);
  // Each of 4·5·5 numbers goes into 6 channels of 2×2.
  EXPECT_EQ(macs("ConvTranspose", {{1, 4, 5, 5}, {4, 6, 2, 2}}, {1, 6, 10, 10}), 100 * 24);
  EXPECT_EQ(macs("QLinearConv", {{1, 3, 4, 4}, {}, {}, {8, 3, 1, 1}, {}, {}, {}, {}}, {1, 8, 4, 4}),
            8 * 16 * 3);
  EXPECT_EQ(macs("ConvInteger", {{1, 3, 4, 4}, {8, 3, 1, 1}}, {1, 8, 4, 4}), 8 * 16 * 3);
  EXPECT_EQ(macs("FusedConv", {{1, 3, 4, 4}, {8, 3, 1, 1}}, {1, 8, 4, 4}, {}, "com.microsoft"), 8 * 16 * 3);
}

TEST_F(CostTest, MatrixProducts) {
  EXPECT_EQ(macs("MatMul", {{4, 7}, {7, 5}}, {4, 5}), 4 * 5 * 7);
  EXPECT_EQ(macs("MatMul", {{2, 3, 4, 7}, {7, 5}}, {2, 3, 4, 5}), 6 * 4 * 5 * 7);
  EXPECT_EQ(macs("MatMul", {{7}, {7}}, {}), 7);
  EXPECT_EQ(macs("Gemm", {{4, 7}, {5, 7}, {5}}, {4, 5}, {make_attribute("transB", Whole{1})}), 4 * 5 * 7);
  EXPECT_EQ(macs("Gemm", {{7, 4}, {7, 5}}, {4, 5}, {make_attribute("transA", Whole{1})}), 4 * 5 * 7);
  EXPECT_EQ(macs("QLinearMatMul", {{4, 7}, {}, {}, {7, 5}, {}, {}, {}, {}}, {4, 5}), 4 * 5 * 7);
  EXPECT_EQ(macs("MatMulInteger", {{4, 7}, {7, 5}}, {4, 5}), 4 * 5 * 7);
  // Packed weights have another shape; the product has not.
  EXPECT_EQ(macs("MatMulNBits", {{4, 64}, {5, 2, 16}, {10}}, {4, 5}, {}, "com.microsoft"), 4 * 5 * 64);
}

TEST_F(CostTest, RecurrentLayers) {
  // 6 steps of 2 sequences: 4 gates of 5 from 3 inputs and 5 of the state, in 2 directions.
  EXPECT_EQ(macs("LSTM", {{6, 2, 3}, {2, 20, 3}, {2, 20, 5}}, {6, 2, 2, 5}), 6 * 2 * 2 * 20 * (3 + 5));
  EXPECT_EQ(macs("GRU", {{6, 2, 3}, {1, 15, 3}, {1, 15, 5}}, {6, 1, 2, 5}), 6 * 2 * 15 * (3 + 5));
  EXPECT_EQ(
      macs("RNN", {{2, 6, 3}, {1, 5, 3}, {1, 5, 5}}, {2, 6, 1, 5}, {make_attribute("layout", Whole{1})}),
      6 * 2 * 5 * (3 + 5));
  // Peepholes: three more numbers for each of the state.
  EXPECT_EQ(macs("LSTM", {{6, 2, 3}, {1, 20, 3}, {1, 20, 5}, {1, 40}, {2}, {1, 2, 5}, {1, 2, 5}, {1, 15}},
                 {6, 1, 2, 5}),
            6 * 2 * (20 * 8 + 15));
}

TEST_F(CostTest, AttentionIsScoresAndTheirSum) {
  // 2·3 heads: 4 queries for 5 keys of 8, then sums of values of 6.
  EXPECT_EQ(macs("Attention", {{2, 3, 4, 8}, {2, 3, 5, 8}, {2, 3, 5, 6}}, {2, 3, 4, 6}),
            2 * 3 * 4 * 5 * (8 + 6));
  EXPECT_EQ(macs("Attention", {{2, 4, 24}, {2, 5, 24}, {2, 5, 18}}, {2, 4, 18},
                 {make_attribute("q_num_heads", Whole{3}), make_attribute("kv_num_heads", Whole{3})}),
            2 * 3 * 4 * 5 * (8 + 6));
  EXPECT_EQ(macs("MultiHeadAttention", {{2, 4, 24}, {2, 5, 24}, {2, 5, 18}}, {2, 4, 18}, {}, "com.microsoft"),
            2 * 4 * 5 * (24 + 18));
  // Projections of 4·2 rows from 10 to 3·6, then scores and sums.
  EXPECT_EQ(macs("Attention", {{2, 4, 10}, {10, 18}, {18}}, {2, 4, 6}, {}, "com.microsoft"),
            2 * 4 * 10 * 18 + 2 * 4 * 4 * (6 + 6));
}

TEST_F(CostTest, EinsumIsTheSpaceOfItsLetters) {
  EXPECT_EQ(macs("Einsum", {{2, 3, 4}, {2, 4, 5}}, {2, 3, 5},
                 {make_attribute("equation", std::string("bij, bjk -> bik"))}),
            2 * 3 * 4 * 5);
  EXPECT_EQ(macs("Einsum", {{2, 3, 4}, {2, 4, 5}}, {2, 3, 5},
                 {make_attribute("equation", std::string("...ij,...jk->...ik"))}),
            std::nullopt);
}

TEST_F(CostTest, WhatElseIsComputedCountsApart) {
  const OperatorCost add = cost_of("Add", {{4, 1}, {5}}, {4, 5});
  EXPECT_EQ(add.macs, 0U);
  EXPECT_EQ(add.other_operations, 20U);
  EXPECT_EQ(cost_of("ReduceMean", {{4, 5}}, {4, 1}).other_operations, 20U);
  EXPECT_EQ(cost_of("MaxPool", {{1, 1, 4, 4}}, {1, 1, 2, 2}, {make_attribute("kernel_shape", Dims{3, 3})})
                .other_operations,
            36U);
  EXPECT_EQ(cost_of("Reshape", {{4, 5}, {1}}, {20}).other_operations, 0U);
  EXPECT_EQ(cost_of("MatMul", {{4, 7}, {7, 5}}, {4, 5}).other_operations, 0U);
}

TEST_F(CostTest, WhatIsNotKnownIsNotZero) {
  EXPECT_EQ(macs("Surprise", {{4}}, {4}, {}, "my.own"), std::nullopt);
  Model model = small_model();
  const ModelCost cost = model_cost(model, {{"w", {DataType::float32, {2, 3}}}});
  EXPECT_THAT(cost.uncounted, ElementsAre(0, 1));
  EXPECT_EQ(cost.macs, 0U);
}

TEST_F(CostTest, HugeShapesStayAtTheLargestNumber) {
  constexpr std::int64_t kHuge = std::int64_t{1} << 40;
  EXPECT_EQ(macs("MatMul", {{kHuge, kHuge}, {kHuge, kHuge}}, {kHuge, kHuge}),
            std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(macs("MatMul", {{-1, 3}, {3, 2}}, {-1, 2}), std::nullopt);
}

TEST_F(CostTest, AWholeModel) {
  Model model = small_model();
  const ModelCost cost = model_cost(model, [&] {
    ValueShapes shapes = declared_shapes(model);
    shapes["h"] = {DataType::float32, {1, 3}};
    return shapes;
  }());
  EXPECT_EQ(cost.macs, 6U);
  EXPECT_EQ(cost.other_operations, 3U);
  EXPECT_EQ(cost.parameters, 6U);
  EXPECT_THAT(cost.weight_bytes, ElementsAre(Pair(DataType::float32, 24)));
  EXPECT_EQ(cost.total_weight_bytes(), 24U);
  EXPECT_THAT(cost.uncounted, IsEmpty());
}

TEST_F(CostTest, TiedWeightsCountOnceAndUnusedOnesNot) {
  Model model = small_model();
  Graph& graph = *model.graph;
  graph.nodes.push_back(make_node("MatMul", {"x", "w"}, {"again"}));
  graph.initializers.push_back(make_tensor("nobody", {100}, std::vector<float>(100)));
  graph.initializers.push_back(make_tensor("shape", {2}, std::vector<std::int64_t>{1, 3}));
  graph.nodes.push_back(make_node("Reshape", {"again", "shape"}, {"z"}));
  const ModelCost cost = model_cost(model, declared_shapes(model));
  EXPECT_EQ(cost.parameters, 6U);
  EXPECT_THAT(cost.weight_bytes, ElementsAre(Pair(DataType::float32, 24), Pair(DataType::int64, 16)));
}

TEST_F(CostTest, TwoTensorsAtOnePlaceOfAFileAreTied) {
  Model model = small_model();
  Graph& graph = *model.graph;
  Tensor first = external_tensor("a", {2, 3}, {{"location", "data"}});
  first.data = graph.initializers[0].data;
  first.attached = true;
  Tensor second = first;
  second.name = "b";
  graph.initializers = {first, second};
  graph.nodes[0] = make_node("Mul", {"a", "b"}, {"h"});
  EXPECT_EQ(model_cost(model, {}).parameters, 6U);
}

TEST_F(CostTest, WeightsInConstantNodesSubgraphsAndPackedOnes) {
  Model model = small_model();
  Graph& graph = *model.graph;
  graph.nodes.push_back(make_node(
      "Constant", {}, {"c"}, {make_attribute("value", Box(make_tensor("", {4}, std::vector<float>(4))))}));
  Graph branch;
  branch.initializers.push_back(make_tensor("inner", {5}, std::vector<float>(5)));
  branch.nodes.push_back(make_node("Add", {"inner", "c"}, {"r"}));
  branch.outputs.push_back(float_value("r", {5}));
  graph.nodes.push_back(make_node("If", {"x"}, {"z"}, {make_attribute("then_branch", Box(branch))}));
  Tensor packed = make_tensor("packed", {3, 1, 8}, std::vector<float>(24));
  packed.data_type = DataType::uint8;
  packed.storage = TensorStorage::raw;
  packed.data = SharedBytes::copy_of(std::vector<std::uint8_t>(24));
  graph.initializers.push_back(packed);
  graph.nodes.push_back(make_node("MatMulNBits", {"y", "packed"}, {"p"}, {make_attribute("bits", Whole{4})}));
  graph.nodes.back().domain = "com.microsoft";
  const ModelCost cost = model_cost(model, {});
  EXPECT_EQ(cost.parameters, 6U + 4 + 5 + 48);
  EXPECT_EQ(cost.weight_bytes.at(DataType::uint8), 24U);
  EXPECT_TRUE(std::ranges::find(cost.uncounted, 3U) != cost.uncounted.end());
}

}  // namespace
}  // namespace joulery::onnx
