#include "onnx/precision_request.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <set>

#include "onnx/model_fixture.hpp"

namespace joulery::onnx {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class PrecisionRequestTest : public testing::Test {
 protected:
  PrecisionRequestTest() : model_(small_model()), graph_(*model_.graph) { graph_.nodes.clear(); }
  void add(const std::string& op, std::vector<std::string> inputs, const std::string& output) {
    graph_.nodes.push_back(make_node(op, std::move(inputs), {output}));
  }
  /// "MatMul: weights only" for each request.
  std::vector<std::string> requests() {
    std::vector<std::string> texts;
    for (const LowPrecisionRequest& request : low_precision_requests(model_)) {
      texts.push_back(graph_.nodes[request.index].op_type + ": " + low_precision_form_name(request.form));
    }
    return texts;
  }
  Model model_;
  Graph& graph_;
};

TEST_F(PrecisionRequestTest, PairsAroundOperators) {
  add("QuantizeLinear", {"x", "s", "z"}, "xq");
  add("DequantizeLinear", {"xq", "s", "z"}, "xd");
  add("DequantizeLinear", {"w", "s"}, "wd");
  add("DequantizeLinear", {"b", "s"}, "bd");
  add("Conv", {"xd", "wd", "bd"}, "c");
  add("QuantizeLinear", {"c", "s", "z"}, "cq");
  add("DequantizeLinear", {"cq", "s", "z"}, "cd");
  add("Reshape", {"cd", "shape"}, "r");
  add("QuantizeLinear", {"r", "s", "z"}, "rq");
  add("MaxPool", {"cd"}, "p");
  add("QuantizeLinear", {"p", "s", "z"}, "pq");
  add("Tanh", {"cd"}, "t");
  add("Add", {"cd", "t"}, "a");
  add("QuantizeLinear", {"a", "s", "z"}, "aq");
  EXPECT_THAT(requests(), ElementsAre("Conv: quantise pair", "MaxPool: quantise pair"));
}

TEST_F(PrecisionRequestTest, WeightsAlone) {
  add("DequantizeLinear", {"w", "s"}, "wd");
  add("MatMul", {"x", "wd"}, "m");
  add("Gemm", {"x", "w"}, "g");
  EXPECT_THAT(requests(), ElementsAre("MatMul: weights only"));
}

TEST_F(PrecisionRequestTest, OperatorsOfWholeNumbers) {
  add("QLinearConv", {"x"}, "a");
  add("MatMulInteger", {"x", "w"}, "b");
  add("MatMulNBits", {"x", "w"}, "c");
  graph_.nodes.back().domain = "com.microsoft";
  add("QLinearConv", {"x"}, "d");
  graph_.nodes.back().domain = "my.own";
  EXPECT_THAT(requests(), ElementsAre("QLinearConv: integer operator", "MatMulInteger: integer operator",
                                      "MatMulNBits: packed weights"));
}

TEST_F(PrecisionRequestTest, FloatsAskForNothing) {
  EXPECT_THAT(low_precision_requests(small_model()), IsEmpty());
}

TEST_F(PrecisionRequestTest, NodesGetNamesOfTheirOwn) {
  for (const char* name : {"", "a", "a", "Relu_0", ""}) {
    add("Relu", {"x"}, "v" + std::to_string(graph_.nodes.size()));
    graph_.nodes.back().name = name;
  }
  EXPECT_EQ(name_nodes(model_), 3U);
  std::set<std::string> names;
  for (const Node& node : graph_.nodes) names.insert(node.name);
  EXPECT_EQ(names.size(), 5U);
  EXPECT_FALSE(names.contains(""));
  EXPECT_EQ(graph_.nodes[1].name, "a");
  EXPECT_EQ(graph_.nodes[3].name, "Relu_0");
  EXPECT_EQ(name_nodes(model_), 0U);
}

}  // namespace
}  // namespace joulery::onnx
