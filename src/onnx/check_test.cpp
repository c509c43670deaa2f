#include "onnx/check.hpp"

#include <gmock/gmock.h>

#include "onnx/model_fixture.hpp"

namespace joulery::onnx {
namespace {

using testing::HasSubstr;

class CheckTest : public testing::Test {
 protected:
  CheckTest() : model_(small_model()), graph_(*model_.graph) {}

  void expect_problem(const std::string& where, const std::string& what,
                      Severity severity = Severity::critical) {
    const Findings findings = check_model(model_);
    for (const Finding& finding : findings) {
      if (finding.where.find(where) != std::string::npos && finding.what.find(what) != std::string::npos) {
        EXPECT_EQ(finding.severity, severity) << finding.what;
        return;
      }
    }
    ADD_FAILURE() << "not found: " << what << " at " << where << "; found:\n" << all_of(findings);
  }
  void expect_sound() {
    const Findings findings = check_model(model_);
    EXPECT_TRUE(findings.empty()) << all_of(findings);
  }
  /// An If whose branches give `then_output` and `else_output` by the nodes given.
  void add_if(std::vector<Node> then_nodes, const std::string& then_output) {
    Graph then_graph;
    then_graph.name = "then";
    then_graph.nodes = std::move(then_nodes);
    then_graph.outputs.push_back(float_value(then_output, {1, 3}));
    Graph else_graph;
    else_graph.name = "else";
    else_graph.nodes.push_back(make_node("Neg", {"h"}, {"negative"}));
    else_graph.outputs.push_back(float_value("negative", {1, 3}));
    graph_.inputs.push_back(float_value("condition", {}));
    graph_.nodes.push_back(make_node("If", {"condition"}, {"z"},
                                     {make_attribute("then_branch", Box<Graph>(then_graph)),
                                      make_attribute("else_branch", Box<Graph>(else_graph))}));
    graph_.outputs.push_back(float_value("z", {1, 3}));
  }
  void add_function(std::vector<Node> nodes) {
    Function function;
    function.domain = "local";
    function.name = "Twice";
    function.inputs = {"a"};
    function.outputs = {"b"};
    function.nodes = std::move(nodes);
    function.opset_imports = {{"", 17, {}}, {"local", 1, {}}};
    model_.functions.push_back(function);
    model_.opset_imports.push_back({"local", 1, {}});
  }
  static Node call(std::vector<std::string> inputs, std::vector<std::string> outputs) {
    Node node = make_node("Twice", std::move(inputs), std::move(outputs));
    node.domain = "local";
    return node;
  }

  Model model_;
  Graph& graph_;
};

TEST_F(CheckTest, ASoundModelHasNoFindings) {
  expect_sound();
}

TEST_F(CheckTest, Versions) {
  model_.ir_version = 2;
  expect_problem("model", "IR version 2 is too old");
  model_.ir_version = 15;
  expect_problem("model", "IR version 15 is newer");
  model_.ir_version = 8;
  model_.opset_imports[0].version = 6;
  expect_problem("opset_import", "version 6 of the operators of ai.onnx is too old");
  model_.opset_imports[0].version = 99;
  expect_problem("opset_import", "is newer than 28");
  model_.opset_imports[0].version = 17;
  model_.opset_imports.push_back({"ai.onnx", 17, {}});
  expect_sound();
  model_.opset_imports.back().version = 18;
  expect_problem("opset_import", "imported in versions 17 and 18");
  model_.opset_imports.clear();
  expect_problem("graph.node[0] (MatMul)", "no opset_import has its domain 'ai.onnx'");
}

TEST_F(CheckTest, ValuesAreDefinedOnceAndBeforeTheirUse) {
  graph_.nodes[0].inputs[1] = "absent";
  expect_problem("graph.node[0] (MatMul)", "nothing gives its input 'absent'");
  graph_.nodes[0].inputs[1] = "w";
  std::swap(graph_.nodes[0], graph_.nodes[1]);
  expect_problem("graph.node[0] (Relu)", "'h' is only made by a later node");
  std::swap(graph_.nodes[0], graph_.nodes[1]);
  graph_.nodes[1].outputs[0] = "h";
  graph_.nodes[1].name = "relu";
  expect_problem("graph.node[1] (Relu 'relu')", "'h' is defined twice");
  expect_problem("graph", "nothing gives the output 'y'");
  graph_.nodes[1].outputs[0] = "y";
  graph_.initializers.push_back(graph_.initializers[0]);
  expect_problem("graph", "initializer 'w' is given twice");
  graph_.initializers.pop_back();
  graph_.inputs.push_back(graph_.inputs[0]);
  expect_problem("graph", "input 'x' is defined twice");
}

TEST_F(CheckTest, AnInitializerMayBeAnInput) {
  graph_.inputs.push_back(float_value("w", {2, 3}));
  expect_sound();
}

TEST_F(CheckTest, LeftOutInputsAndOutputsHaveNoName) {
  graph_.nodes[1].inputs = {"h", "", ""};
  graph_.nodes[1].outputs = {"y", "", ""};
  expect_sound();
}

TEST_F(CheckTest, SubgraphsSeeOuterValues) {
  add_if({make_node("Abs", {"h"}, {"positive"})}, "positive");
  expect_sound();
}

TEST_F(CheckTest, SubgraphsHideTheirValues) {
  add_if({make_node("Abs", {"h"}, {"positive"})}, "positive");
  graph_.nodes.push_back(make_node("Neg", {"positive"}, {"last"}));
  expect_problem("graph.node[3] (Neg)", "nothing gives its input 'positive'");
}

TEST_F(CheckTest, SubgraphsMayNotUseOuterNamesForTheirOwn) {
  add_if({make_node("Abs", {"h"}, {"y"})}, "y");
  expect_problem("graph.node[2].attribute[0].g.node[0] (Abs)", "has the name of a value of an outer graph");
}

TEST_F(CheckTest, ASubgraphThatPassesAnOuterValueOnIsTold) {
  add_if({}, "h");
  expect_problem("graph.node[2].attribute[0].g", "value of an outer graph", Severity::warning);
}

TEST_F(CheckTest, AttributesAreWhatTheySay) {
  graph_.nodes[1].attributes.push_back(make_attribute("a", std::int64_t{1}));
  expect_sound();
  graph_.nodes[1].attributes[0].type = AttributeType::floats;
  expect_problem("graph.node[1].attribute[0] (attribute 'a')", "says FLOATS but holds INT");
  graph_.nodes[1].attributes[0].value = {};
  expect_problem("attribute[0]", "says FLOATS but has no value");
  graph_.nodes[1].attributes[0].reference = "outer";
  expect_problem("attribute[0]", "outside of a function");
  graph_.nodes[1].attributes = {make_attribute("a", 1.0F), make_attribute("a", 2.0F)};
  expect_problem("graph.node[1] (Relu)", "'a' is given twice");
}

TEST_F(CheckTest, TensorsHaveAsMuchDataAsTheyNeed) {
  graph_.initializers[0].dims = {2, 4};
  expect_problem("graph.initializer[0] (tensor 'w')", "24 bytes of data, but its type and shape need 32");
  graph_.initializers[0].dims = {2, -3};
  expect_problem("graph.initializer[0]", "negative dimension");
  graph_.initializers[0].dims = {2, 3};
  graph_.initializers[0].data_type = DataType::float6e2m3;
  graph_.initializers[0].dims = {32};
  expect_problem("graph.initializer[0]", "came with IR version 14", Severity::warning);
}

TEST_F(CheckTest, SparseTensors) {
  const auto set = [&](std::vector<std::int64_t> dims, std::vector<std::int64_t> index_dims,
                       const std::vector<std::int64_t>& indices) {
    graph_.sparse_initializers.assign(1, {make_tensor("s", {2}, std::vector<float>{1, 2}),
                                          make_tensor("", std::move(index_dims), indices),
                                          std::move(dims),
                                          {}});
  };
  set({3, 3}, {2}, {0, 8});
  expect_sound();
  set({3, 3}, {2, 2}, {0, 1, 2, 2});
  expect_sound();
  set({3, 3}, {2}, {0, 9});
  expect_problem("graph.sparse_initializer[0]", "outside its shape");
  set({3, 3}, {2}, {8, 0});
  expect_problem("graph.sparse_initializer[0]", "do not ascend");
  set({3, 3}, {2, 2}, {0, 1, 0, 3});
  expect_problem("graph.sparse_initializer[0]", "outside its shape");
  set({3, 3}, {2, 2}, {1, 1, 0, 2});
  expect_problem("graph.sparse_initializer[0]", "do not ascend");
  set({3, 3}, {1}, {4});
  expect_problem("graph.sparse_initializer[0]", "not as many");
  graph_.sparse_initializers[0].values.reset();
  expect_problem("graph.sparse_initializer[0]", "lacks its values");
}

TEST_F(CheckTest, CallsFitTheirFunction) {
  add_function({make_node("Add", {"a", "a"}, {"b"})});
  graph_.nodes.push_back(call({"h"}, {"twice"}));
  expect_sound();
  graph_.nodes.back().inputs = {"h", "x"};
  expect_problem("graph.node[2] (Twice)", "it has 2 inputs and 1 outputs, its function has 1 and 1");
  graph_.nodes.back().inputs = {"h"};
  model_.functions[0].attributes = {"factor"};
  expect_problem("graph.node[2] (Twice)", "lacks the attribute 'factor'");
  model_.functions[0].attributes = {};
  graph_.nodes.back().op_type = "Thrice";
  expect_problem("graph.node[2] (Thrice)", "but not this one");
}

TEST_F(CheckTest, BodiesOfFunctions) {
  Node reference = make_node("LeakyRelu", {"a"}, {"b"});
  reference.attributes.push_back({"alpha", "slope", "", AttributeType::float_number, {}, {}});
  add_function({reference});
  expect_problem("functions[0].node[0].attribute[0]", "refers to 'slope', which its function has not");
  model_.functions[0].attributes = {"slope"};
  expect_sound();
  model_.functions[0].nodes[0].inputs = {"x"};
  expect_problem("functions[0].node[0] (LeakyRelu)", "nothing gives its input 'x'");
  model_.functions.push_back(model_.functions[0]);
  expect_problem("functions[1]", "'Twice' is defined twice");
}

TEST_F(CheckTest, AttributesOfFunctionsHaveOneDefault) {
  add_function({make_node("Relu", {"a"}, {"b"})});
  model_.functions[0].default_attributes = {make_attribute("slope", 1.0F)};
  expect_sound();
  model_.functions[0].default_attributes.push_back(make_attribute("slope", 2.0F));
  expect_problem("functions[0]", "attribute 'slope' is defined twice");
  model_.functions[0].default_attributes.pop_back();
  model_.functions[0].attributes = {"slope"};
  expect_problem("functions[0]", "attribute 'slope' is defined twice");
}

TEST_F(CheckTest, ManyCallsThatLackManyAttributesAreNoTrouble) {
  // Had each to be looked for and told, this would not end.
  add_function({make_node("Relu", {"a"}, {"b"})});
  for (int i = 0; i < 50'000; ++i) {
    model_.functions[0].attributes.push_back("a" + std::to_string(i));
    graph_.nodes.push_back(call({"h"}, {""}));
  }
  EXPECT_THAT(check_model(model_).back().what, HasSubstr("49900 more"));
}

TEST_F(CheckTest, FunctionsThatCallThemselves) {
  add_function({call({"a"}, {"b"})});
  expect_problem("functions", "'Twice' calls itself");
}

TEST_F(CheckTest, ManyFindingsAreCutShort) {
  for (int i = 0; i < 1000; ++i) graph_.nodes.push_back(make_node("Relu", {"absent"}, {}));
  const Findings findings = check_model(model_);
  EXPECT_EQ(findings.size(), 101U);
  EXPECT_THAT(findings.back().what, HasSubstr("900 more"));
}

TEST_F(CheckTest, TheFirstCriticalFindingIsTheError) {
  graph_.nodes[0].inputs = {"gone", "lost"};
  const Status status = require_sound(check_model(model_), "'m.onnx'");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message,
            "'m.onnx': graph.node[0] (MatMul): nothing gives its input 'gone' (and 1 more)");
  EXPECT_EQ(status.error().kind, Error::Kind::user);
  EXPECT_TRUE(require_sound(check_model(small_model()), "'m.onnx'"));
}

}  // namespace
}  // namespace joulery::onnx
