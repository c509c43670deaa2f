#include "onnx/policy.hpp"

#include <gmock/gmock.h>

#include "onnx/model_fixture.hpp"

namespace joulery::onnx {
namespace {

using testing::HasSubstr;

class PolicyTest : public testing::Test {
 protected:
  PolicyTest() : model_(small_model()), graph_(*model_.graph) {}

  void expect_finding(const std::string& rule, Severity severity, const std::string& where) {
    const Findings findings = inspect_model(model_, nullptr);
    const Finding* finding = find_rule(findings, rule);
    ASSERT_NE(finding, nullptr) << rule << " not among\n" << all_of(findings);
    EXPECT_EQ(finding->severity, severity) << finding->what;
    EXPECT_THAT(finding->where, HasSubstr(where));
  }
  void expect_nothing() {
    const Findings findings = inspect_model(model_, nullptr);
    EXPECT_TRUE(findings.empty()) << all_of(findings);
  }
  Node& add_node(const std::string& op, const std::string& domain) {
    graph_.nodes.push_back(make_node(op, {"h"}, {"made_by_" + op}));
    graph_.nodes.back().domain = domain;
    return graph_.nodes.back();
  }
  /// `count` functions, each of which calls the next one `calls` times.
  void add_chain(int count, int calls) {
    for (int i = 0; i < count; ++i) {
      Function function;
      function.domain = "local";
      function.name = "f" + std::to_string(i);
      for (int j = 0; j < calls; ++j) {
        function.nodes.push_back(make_node(i + 1 < count ? "f" + std::to_string(i + 1) : "Relu", {}, {}));
        if (i + 1 < count) function.nodes.back().domain = "local";
      }
      model_.functions.push_back(function);
    }
    add_node("f0", "local");
  }

  Model model_;
  Graph& graph_;
};

TEST_F(PolicyTest, AnOrdinaryModelHasNoFindings) {
  for (const char* domain : {"", "ai.onnx", "ai.onnx.ml", "ai.onnx.preview.training"})
    add_node("Relu", domain);
  expect_nothing();
}

TEST_F(PolicyTest, OperatorsOfOthersAreTold) {
  add_node("Gelu", "com.microsoft");
  expect_finding("domain", Severity::warning, "graph.node[2] (Gelu)");
  graph_.nodes.back().domain = "my.company";
  expect_finding("domain", Severity::critical, "graph.node[2] (Gelu)");
}

TEST_F(PolicyTest, OperatorsThatRunCodeOrLoadFiles) {
  add_node("PyOp", "ai.onnx.contrib");
  expect_finding("python-op", Severity::critical, "graph.node[2] (PyOp)");
  graph_.nodes.back().op_type = "PythonOp";
  graph_.nodes.back().domain = "com.microsoft";
  expect_finding("python-op", Severity::critical, "graph.node[2] (PythonOp)");
  graph_.nodes.back().op_type = "EPContext";
  expect_finding("context-file", Severity::critical, "graph.node[2] (EPContext)");
}

TEST_F(PolicyTest, FunctionsOfTheModelAreItsOwn) {
  add_chain(2, 1);
  expect_nothing();
}

TEST_F(PolicyTest, AFunctionInThePlaceOfAnOperatorIsTold) {
  Function function;
  function.domain = "ai.onnx";
  function.name = "Relu";
  model_.functions.push_back(function);
  expect_finding("domain", Severity::warning, "functions[0]");
}

TEST_F(PolicyTest, FunctionsThatCallEachOtherInACircle) {
  add_chain(3, 1);
  model_.functions[2].nodes.push_back(make_node("f0", {}, {}));
  model_.functions[2].nodes[1].domain = "local";
  expect_finding("recursion", Severity::critical, "functions");
}

TEST_F(PolicyTest, FunctionsThatExpandWithoutEnd) {
  add_chain(30, 2);
  expect_finding("recursion", Severity::critical, "functions");
  model_.functions.clear();
  graph_.nodes.pop_back();
  // More than 64 bits count.
  add_chain(100, 2);
  expect_finding("recursion", Severity::critical, "functions");
}

TEST_F(PolicyTest, ALongChainOfCallsIsNoTrouble) {
  add_chain(50'000, 1);
  expect_nothing();
}

TEST_F(PolicyTest, DeepGraphs) {
  for (int i = 0; i < 20; ++i) {
    Graph outer;
    outer.nodes.push_back(make_node("If", {}, {}, {make_attribute("then_branch", Box<Graph>(graph_))}));
    graph_ = outer;
  }
  expect_finding("depth", Severity::warning, ".attribute[0].g");
}

TEST_F(PolicyTest, LoopsWithoutEnd) {
  graph_.nodes.push_back(make_node("Loop", {"", "h"}, {}));
  expect_finding("loop", Severity::note, "graph.node[2] (Loop)");
  graph_.initializers.push_back(make_tensor("trips", {}, std::vector<std::int64_t>{1LL << 40U}));
  graph_.nodes[2].inputs[0] = "trips";
  expect_finding("loop", Severity::warning, "graph.node[2] (Loop)");
  graph_.initializers.back() = make_tensor("trips", {}, std::vector<std::int64_t>{100});
  expect_nothing();
}

TEST_F(PolicyTest, HugeValues) {
  graph_.outputs[0] = float_value("y", {1LL << 40U, 1LL << 40U});
  expect_finding("size", Severity::warning, "graph.output[0]");
  graph_.outputs[0] = float_value("y", {1, 3});
  graph_.initializers.push_back(make_tensor("shape", {2}, std::vector<std::int64_t>{1LL << 20U, 1LL << 20U}));
  graph_.nodes.push_back(make_node("ConstantOfShape", {"shape"}, {"huge"}));
  expect_finding("size", Severity::critical, "graph.node[2] (ConstantOfShape)");
  graph_.nodes.back() = make_node("Expand", {"h", "shape"}, {"huge"});
  expect_finding("size", Severity::critical, "graph.node[2] (Expand)");
  graph_.nodes.back() =
      make_node("RandomNormal", {}, {"huge"},
                {make_attribute("shape", std::vector<std::int64_t>{1LL << 40U, 1LL << 40U})});
  expect_finding("size", Severity::critical, "graph.node[2] (RandomNormal)");
}

TEST_F(PolicyTest, HugeValuesInsideOfOthers) {
  SparseTensor sparse;
  sparse.values = make_tensor("few", {1}, std::vector<float>{1});
  sparse.indices = make_tensor("", {1}, std::vector<std::int64_t>{0});
  sparse.dims = {1LL << 20U, 1LL << 20U};
  graph_.sparse_initializers.push_back(sparse);
  expect_finding("size", Severity::critical, "graph.sparse_initializer[0]");
  graph_.sparse_initializers[0].dims = {1LL << 10U};
  expect_nothing();
  const ValueInfo huge = float_value("y", {1LL << 40U, 1LL << 40U});
  graph_.outputs[0].type = Type{SequenceType{*huge.type, {}}, "", {}};
  expect_finding("size", Severity::warning, "graph.output[0]");
}

TEST_F(PolicyTest, ConstantsOfNodesAreLookedAtToo) {
  const std::vector<std::int64_t> huge{1LL << 20U, 1LL << 20U};
  graph_.nodes.push_back(make_node("Constant", {}, {"shape"}, {make_attribute("value_ints", huge)}));
  graph_.nodes.push_back(make_node("ConstantOfShape", {"shape"}, {"huge"}));
  expect_finding("size", Severity::critical, "graph.node[3] (ConstantOfShape)");
  graph_.nodes[2].attributes = {make_attribute("value", Box<Tensor>(make_tensor("", {2}, huge)))};
  expect_finding("size", Severity::critical, "graph.node[3] (ConstantOfShape)");
  graph_.nodes[2].attributes = {make_attribute("value_int", std::int64_t{1LL << 40U})};
  graph_.nodes[3] = make_node("Loop", {"shape", ""}, {});
  expect_finding("loop", Severity::warning, "graph.node[3] (Loop)");
}

TEST_F(PolicyTest, BodiesOfFunctionsHaveConstantsOfTheirOwn) {
  add_chain(2, 1);
  const std::vector<std::int64_t> huge{1LL << 20U, 1LL << 20U};
  model_.functions[0].nodes.push_back(
      make_node("Constant", {}, {"shape"}, {make_attribute("value_ints", huge)}));
  model_.functions[1].nodes.push_back(make_node("ConstantOfShape", {"shape"}, {"not that one"}));
  expect_nothing();
  model_.functions[0].nodes.push_back(make_node("ConstantOfShape", {"shape"}, {"huge"}));
  expect_finding("size", Severity::critical, "functions[0].node[2] (ConstantOfShape)");
}

TEST_F(PolicyTest, ALargeConstantThatEverybodyTakesAsShapeIsNoTrouble) {
  // Had it to be looked through for each node, this would not end.
  graph_.initializers.push_back(make_tensor("many", {2'000'000}, std::vector<std::int64_t>(2'000'000, 1)));
  graph_.initializers.back().dims = {1};
  graph_.initializers.back().storage = TensorStorage::int64_data;
  for (int i = 0; i < 200'000; ++i) graph_.nodes.push_back(make_node("ConstantOfShape", {"many"}, {}));
  expect_finding("tensor-data", Severity::critical, "graph.initializer[1] (tensor 'many')");
}

TEST_F(PolicyTest, DataThatIsNotThere) {
  graph_.initializers[0].dims = {1LL << 30U, 1LL << 30U};
  expect_finding("tensor-data", Severity::critical, "graph.initializer[0] (tensor 'w')");
}

TEST_F(PolicyTest, ManyNodes) {
  PolicyLimits limits;
  limits.nodes = 1;
  EXPECT_NE(find_rule(inspect_model(model_, nullptr, limits), "nodes"), nullptr);
}

TEST_F(PolicyTest, UnknownFieldsAreTold) {
  graph_.nodes[1].unknown = std::string("\xC0\x3E\x01");
  expect_finding("unknown-fields", Severity::warning, "graph.node[1]");
}

TEST_F(PolicyTest, UnknownFieldsOfTheSmallestPartsAreTold) {
  const std::string hidden = "\xC0\x3E\x01";
  std::get<TensorType>(graph_.inputs[0].type->value).shape->dimensions[0].unknown = hidden;
  expect_finding("unknown-fields", Severity::warning, "model");
  model_ = small_model();
  model_.opset_imports[0].unknown = hidden;
  expect_finding("unknown-fields", Severity::warning, "model");
  model_ = small_model();
  model_.metadata.push_back({"key", "value", hidden});
  expect_finding("unknown-fields", Severity::warning, "model");
}

TEST_F(PolicyTest, OneErrorForPolicyAndStructure) {
  EXPECT_TRUE(require_trusted(model_, nullptr, "'m'"));
  graph_.nodes[0].inputs[0] = "absent";
  EXPECT_THAT(require_trusted(model_, nullptr, "'m'").error().message, HasSubstr("nothing gives its input"));
  add_node("PyOp", "x");
  EXPECT_THAT(require_trusted(model_, nullptr, "'m'").error().message, HasSubstr("Python"));
}

}  // namespace
}  // namespace joulery::onnx
