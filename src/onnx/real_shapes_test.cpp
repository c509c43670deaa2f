#include "onnx/real_shapes.hpp"

#include <gmock/gmock.h>

#include <map>
#include <set>

#include "onnx/check.hpp"
#include "onnx/model_fixture.hpp"

namespace joulery::onnx {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

/// Knows the shapes beforehand, and refuses models that ask for a value on its list.
class FakeEvaluator final : public Evaluator {
 public:
  Result<std::vector<Tensor>> evaluate(const Model& model, std::span<const Tensor>) override {
    EXPECT_TRUE(check_model(model).empty()) << all_of(check_model(model));
    most_outputs = std::max(most_outputs, model.graph->outputs.size());
    ++evaluations;
    std::vector<Tensor> results;
    for (const ValueInfo& output : model.graph->outputs) {
      const Node& node =
          model.graph->nodes[model.graph->nodes.size() - model.graph->outputs.size() + results.size()];
      EXPECT_EQ(node.op_type, "Shape");
      EXPECT_EQ(node.outputs[0], output.name);
      if (refused.contains(node.inputs[0])) return environment_error("a sequence has no shape");
      const auto& dims = known.at(node.inputs[0]).dims;
      results.push_back(make_tensor(output.name, {std::ssize(dims)}, dims));
    }
    return results;
  }
  Result<std::vector<DataType>> output_types(const Model& model, std::span<const Tensor>) override {
    std::vector<DataType> types;
    for (const ValueInfo& output : model.graph->outputs) {
      EXPECT_FALSE(output.type);
      if (without_type.contains(output.name)) return environment_error("text");
      types.push_back(known.at(output.name).type);
    }
    return types;
  }

  std::map<std::string, ValueShape> known{{"h", {DataType::float32, {1, 3}}},
                                          {"y", {DataType::float16, {1, 3}}}};
  std::set<std::string> refused, without_type;
  std::size_t most_outputs = 0;
  std::size_t evaluations = 0;
};

class RealShapesTest : public testing::Test {
 protected:
  Model model_ = small_model();
  std::vector<Tensor> inputs_{make_tensor("x", {1, 2}, std::vector<float>{1, 2})};
  FakeEvaluator evaluator_;
};

TEST_F(RealShapesTest, EveryValueAndTheModelStaysAsItIs) {
  const Model before = model_;
  // What the file claims is not believed.
  model_.graph->value_infos.push_back(float_value("h", {77}));
  const RealShapes result = must(real_shapes(model_, inputs_, evaluator_));
  EXPECT_EQ(result.shapes.at("h"), (ValueShape{DataType::float32, {1, 3}}));
  EXPECT_EQ(result.shapes.at("y"), (ValueShape{DataType::float16, {1, 3}}));
  EXPECT_EQ(result.shapes.at("w"), (ValueShape{DataType::float32, {2, 3}}));
  EXPECT_EQ(result.shapes.at("x"), (ValueShape{DataType::float32, {1, 2}}));
  EXPECT_THAT(result.unknown, IsEmpty());
  model_.graph->value_infos.clear();
  EXPECT_EQ(model_, before);
}

TEST_F(RealShapesTest, OneValueThatIsRefusedSpoilsNoOther) {
  Graph& graph = *model_.graph;
  for (int i = 0; i < 20; ++i) {
    const std::string name = "v" + std::to_string(i);
    graph.nodes.push_back(make_node("Neg", {"h"}, {name}));
    evaluator_.known[name] = {DataType::float32, {i}};
  }
  evaluator_.refused = {"v3", "v17"};
  evaluator_.without_type = {"v5"};
  const RealShapes result = must(real_shapes(model_, inputs_, evaluator_));
  EXPECT_THAT(result.unknown, UnorderedElementsAre("v3", "v17"));
  EXPECT_EQ(result.shapes.at("v4"), (ValueShape{DataType::float32, {4}}));
  EXPECT_EQ(result.shapes.at("v5"), (ValueShape{DataType::undefined, {5}}));
}

TEST_F(RealShapesTest, InGroupsAndNotForEver) {
  const RealShapes result = must(real_shapes(model_, inputs_, evaluator_, {.values_at_a_time = 1}));
  EXPECT_EQ(evaluator_.most_outputs, 1U);
  EXPECT_TRUE(result.shapes.contains("h") && result.shapes.contains("y"));
  evaluator_.evaluations = 0;
  evaluator_.refused = {"h", "y"};
  EXPECT_THAT(message_of(real_shapes(model_, inputs_, evaluator_, {.most_evaluations = 1})),
              HasSubstr("a sequence has no shape"));
  EXPECT_EQ(evaluator_.evaluations, 1U);
}

TEST_F(RealShapesTest, InputsThatAreMissing) {
  EXPECT_THAT(message_of(real_shapes(model_, {}, evaluator_)), HasSubstr("input 'x' has no values"));
}

TEST_F(RealShapesTest, AModelWithoutTheStandardsOperators) {
  model_.opset_imports = {{"ai.onnx.ml", 3, {}}};
  for (Node& node : model_.graph->nodes) node.domain = "ai.onnx.ml";
  EXPECT_TRUE(must(real_shapes(model_, inputs_, evaluator_)).shapes.contains("y"));
}

TEST_F(RealShapesTest, DeclaredShapesAreThoseThatAreWhole) {
  ValueInfo open = float_value("open", {1, 2});
  std::get<TensorType>(open.type->value).shape->dimensions[0].size = std::string("batch");
  model_.graph->value_infos = {open, float_value("fixed", {4}), {"nothing", {}, "", {}, {}}};
  const ValueShapes shapes = declared_shapes(model_);
  EXPECT_FALSE(shapes.contains("open") || shapes.contains("nothing"));
  EXPECT_EQ(shapes.at("fixed").dims, std::vector<std::int64_t>{4});
  EXPECT_EQ(shapes.at("w").dims, (std::vector<std::int64_t>{2, 3}));
}

}  // namespace
}  // namespace joulery::onnx
