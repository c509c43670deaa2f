#include "onnx/edit.hpp"

#include <gmock/gmock.h>

#include "onnx/check.hpp"
#include "onnx/model_fixture.hpp"

namespace joulery::onnx {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class EditTest : public testing::Test {
 protected:
  EditTest() : model_(small_model()), graph_(*model_.graph) {
    Graph branch;
    branch.name = "branch";
    branch.nodes.push_back(make_node("Add", {"h", "w"}, {"inner"}));
    branch.outputs.push_back(float_value("inner", {2, 3}));
    graph_.inputs.push_back(float_value("condition", {}));
    graph_.nodes.push_back(
        make_node("If", {"condition"}, {"z"}, {make_attribute("then_branch", Box<Graph>(branch))}));
  }
  Graph& branch() { return **std::get_if<Box<Graph>>(&graph_.nodes[2].attributes[0].value); }

  Model model_;
  Graph& graph_;
};

TEST_F(EditTest, ProducersAndConsumers) {
  const GraphIndex index(graph_);
  EXPECT_EQ(index.producer("h"), 0U);
  EXPECT_EQ(index.producer("x"), GraphIndex::kNone);
  EXPECT_THAT(index.consumers("h"), ElementsAre(1, 2));
  EXPECT_THAT(index.consumers("w"), ElementsAre(0, 2));
  EXPECT_THAT(index.consumers("inner"), IsEmpty());
  EXPECT_TRUE(index.is_used_inside("h"));
  EXPECT_FALSE(index.is_used_inside("x"));
  EXPECT_TRUE(index.is_output("y"));
  EXPECT_TRUE(index.is_unused("z"));
  EXPECT_FALSE(index.is_unused("y"));
  EXPECT_TRUE(index.is_defined_inside("inner"));
  EXPECT_FALSE(index.is_defined_inside("h"));
  EXPECT_TRUE(index.can_replace("h", "x"));
  EXPECT_FALSE(index.can_replace("h", "inner"));
  EXPECT_TRUE(index.can_replace("x", "inner")) << "no subgraph takes it";
  EXPECT_THAT(outer_values(branch()), ElementsAre("h", "w"));
  EXPECT_THAT(outer_values(graph_), IsEmpty());
}

TEST_F(EditTest, UsesAreReplacedInSubgraphsToo) {
  replace_uses(graph_, {{"h", "x"}});
  EXPECT_THAT(graph_.nodes[1].inputs, ElementsAre("x"));
  EXPECT_THAT(branch().nodes[0].inputs, ElementsAre("x", "w"));
  EXPECT_THAT(graph_.nodes[0].outputs, ElementsAre("h"));
}

TEST_F(EditTest, ASubgraphsOwnValueOfThatNameStays) {
  branch().inputs.push_back(float_value("h", {}));
  replace_uses(graph_, {{"h", "x"}});
  EXPECT_THAT(branch().nodes[0].inputs, ElementsAre("h", "w"));
}

TEST_F(EditTest, AnOuterValueThatASubgraphPassesOnIsReplaced) {
  branch().outputs[0] = float_value("h", {});
  replace_uses(graph_, {{"h", "x"}});
  EXPECT_EQ(branch().outputs[0].name, "x");
}

TEST_F(EditTest, RenamingKeepsTheModelSound) {
  graph_.value_infos.push_back(float_value("h", {1, 3}));
  rename_values(graph_, {{"h", "hidden"}, {"y", "result"}, {"w", "weights"}});
  EXPECT_EQ(graph_.outputs[0].name, "result");
  EXPECT_EQ(graph_.value_infos[0].name, "hidden");
  EXPECT_TRUE(check_model(model_).empty()) << all_of(check_model(model_));
}

TEST_F(EditTest, FreshNamesAreTakenNowhere) {
  FreshNames names(graph_);
  EXPECT_EQ(names.make("h"), "h_1");
  EXPECT_EQ(names.make("h"), "h_2");
  EXPECT_EQ(names.make("inner"), "inner_1");
  EXPECT_EQ(names.make("new"), "new");
  EXPECT_FALSE(names.make("").empty());
  EXPECT_EQ(add_initializer(graph_, names, make_tensor("w", {1}, std::vector<float>{1})), "w_1");
}

TEST_F(EditTest, RemovingTakesDescriptionsAlong) {
  graph_.value_infos.push_back(float_value("h", {1, 3}));
  graph_.value_infos.push_back(float_value("other", {1, 3}));
  remove_nodes(graph_, {0, 2});
  ASSERT_EQ(graph_.nodes.size(), 1U);
  EXPECT_EQ(graph_.nodes[0].op_type, "Relu");
  ASSERT_EQ(graph_.value_infos.size(), 1U);
  remove_initializers(graph_, {"w"});
  EXPECT_THAT(graph_.initializers, IsEmpty());
}

TEST_F(EditTest, AConstantIsWhatNoCallerCanReplace) {
  EXPECT_NE(Constants(graph_, 8).find(graph_, "w"), nullptr);
  EXPECT_EQ(Constants(graph_, 8).find(graph_, "x"), nullptr);
  graph_.inputs.push_back(float_value("w", {2, 3}));
  EXPECT_EQ(Constants(graph_, 8).find(graph_, "w"), nullptr);
  EXPECT_NE(Constants(graph_, 3).find(graph_, "w"), nullptr);
}

TEST_F(EditTest, SortingFollowsTheValues) {
  std::swap(graph_.nodes[0], graph_.nodes[2]);
  ASSERT_TRUE(sort_nodes(graph_));
  EXPECT_TRUE(check_model(model_).empty()) << all_of(check_model(model_));
  EXPECT_EQ(graph_.nodes[0].op_type, "MatMul");
  EXPECT_EQ(graph_.nodes[1].op_type, "If") << "the order that there was is kept as far as it can be";
}

TEST_F(EditTest, ACircleIsAnError) {
  graph_.nodes[0].inputs[0] = "y";
  const Status status = sort_nodes(graph_);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("wait for each other"), std::string::npos);
  EXPECT_EQ(graph_.nodes.size(), 3U);
}

TEST_F(EditTest, EveryGraphIsVisitedInnerOnesFirst) {
  std::vector<std::string> names;
  for_each_graph(graph_, [&](Graph& graph) { names.push_back(graph.name); });
  EXPECT_THAT(names, ElementsAre("branch", "main"));
}

}  // namespace
}  // namespace joulery::onnx
