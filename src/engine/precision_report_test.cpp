#include "engine/precision_report.hpp"

#include <gmock/gmock.h>

namespace joulery::engine {
namespace {

using testing::DoubleEq;

onnx::Node node(const std::string& name, const std::string& op, std::vector<std::string> inputs,
                const std::string& output) {
  onnx::Node node;
  node.name = name;
  node.op_type = op;
  node.inputs = std::move(inputs);
  node.outputs = {output};
  return node;
}

OperatorTime time(const std::string& name, const std::string& op, const std::string& precision,
                  double seconds) {
  return {.node = name, .op_type = op, .kernel = "k", .precision = precision, .calls = 1, .seconds = seconds};
}

onnx::Model model() {
  onnx::Model model;
  onnx::Graph graph;
  graph.nodes = {node("dx", "DequantizeLinear", {"x"}, "xd"), node("dw", "DequantizeLinear", {"w"}, "wd"),
                 node("one", "Conv", {"xd", "wd"}, "a"),      node("two", "Conv", {"xd", "wd"}, "b"),
                 node("", "Conv", {"xd", "wd"}, "c"),         node("four", "MatMul", {"xd", "wd"}, "d"),
                 node("five", "Conv", {"x", "w"}, "e")};
  model.graph = std::move(graph);
  return model;
}

TEST(PrecisionReportTest, WhatWasAskedForAndWhatRan) {
  const std::vector<OperatorTime> times{time("one_quant", "QLinearConv", "i8", 1),
                                        time("two", "Conv", "f32", 2),
                                        time("c_nchwc", "Conv", "f32", 3),
                                        time("dx", "DequantizeLinear", "f32", 0.5),
                                        time("five", "Conv", "f32", 4),
                                        time("four", "Reorder", "i8", 0.25)};
  const PrecisionReport report = precision_report(model(), times);
  ASSERT_EQ(report.requested.size(), 4U);
  EXPECT_EQ(report.requested[0].is_low, true);
  EXPECT_EQ(report.requested[0].kernel, "k");
  EXPECT_EQ(report.requested[1].is_low, false);
  EXPECT_EQ(report.requested[2].is_low, false);
  // A reorder of that name is not the operator.
  EXPECT_EQ(report.requested[3].is_low, std::nullopt);
  EXPECT_EQ(report.low, 1U);
  EXPECT_EQ(report.not_low, 2U);
  EXPECT_THAT(report.total_seconds, DoubleEq(10.75));
  EXPECT_THAT(report.low_seconds, DoubleEq(1));
  EXPECT_THAT(report.boundary_seconds, DoubleEq(0.75));
  ASSERT_EQ(report.boundaries.size(), 2U);
  EXPECT_EQ(report.boundaries[0].node, "dx");
}

TEST(PrecisionReportTest, AFloatModelAsksForNothing) {
  onnx::Model floats = model();
  floats.graph->nodes.erase(floats.graph->nodes.begin(), floats.graph->nodes.begin() + 2);
  const PrecisionReport report = precision_report(floats, {});
  EXPECT_TRUE(report.requested.empty());
  EXPECT_EQ(report.total_seconds, 0);
}

}  // namespace
}  // namespace joulery::engine
