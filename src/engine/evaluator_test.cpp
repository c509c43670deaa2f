#include "engine/evaluator.hpp"

#include <gmock/gmock.h>

#include "engine/fake_engine_fixture.hpp"
#include "onnx/tensor_values.hpp"

namespace joulery::engine {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// The made-up engine reads its words in whatever bytes it gets: here in the name of the model's graph.
class EvaluatorTest : public FakeEngineTest {
 protected:
  static onnx::Model model(const std::string& words) {
    onnx::Model model;
    model.ir_version = 8;
    model.opset_imports.push_back({"", 17, {}});
    onnx::Graph graph;
    graph.name = words;
    graph.inputs.resize(1);
    graph.inputs[0].name = "in";
    graph.outputs.resize(1);
    graph.outputs[0].name = "out";
    model.graph = std::move(graph);
    return model;
  }
  std::unique_ptr<Engine> open() const {
    auto engine = open_engine(location());
    EXPECT_TRUE(engine) << engine.error().message;
    return std::move(*engine);
  }
  const std::vector<onnx::Tensor> inputs_{
      onnx::make_tensor("in", {2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6})};
};

TEST_F(EvaluatorTest, OutputsUnderTheNamesOfTheModel) {
  const auto engine = open();
  const auto results = EngineEvaluator(*engine).evaluate(model("good"), inputs_);
  ASSERT_TRUE(results) << results.error().message;
  ASSERT_EQ(results->size(), 1U);
  EXPECT_EQ(results->at(0).name, "out");
  EXPECT_EQ(results->at(0).dims, (std::vector<std::int64_t>{2, 3}));
  EXPECT_THAT(*onnx::real_values(results->at(0)), ElementsAre(2, 4, 6, 8, 10, 12));
}

TEST_F(EvaluatorTest, TypesNeedNoRun) {
  const auto engine = open();
  const auto types = EngineEvaluator(*engine).output_types(model("refuse_run"), inputs_);
  ASSERT_TRUE(types) << types.error().message;
  EXPECT_THAT(*types, ElementsAre(onnx::DataType::float32));
}

TEST_F(EvaluatorTest, WhatFailsSaysWhy) {
  const auto engine = open();
  EngineEvaluator evaluator(*engine);
  EXPECT_THAT(evaluator.evaluate(model("refuse_load"), inputs_).error().message, HasSubstr("refused"));
  EXPECT_THAT(evaluator.evaluate(model("refuse_run"), inputs_).error().message, HasSubstr("can't be run"));
  EXPECT_THAT(evaluator.evaluate(model("good"), {}).error().message, HasSubstr("'in' has no values"));
  auto wrong = inputs_;
  wrong[0].dims = {3, 2};
  EXPECT_THAT(evaluator.evaluate(model("good"), wrong).error().message, HasSubstr("can't be of shape"));
}

TEST_F(EvaluatorTest, EveryTypeHasItsTwin) {
  for (int i = 1; i < data::kDataTypes; ++i) {
    const auto type = static_cast<data::DataType>(i);
    EXPECT_EQ(data_type_of(onnx_type_of(type)), type);
    EXPECT_EQ(onnx::bits_of(onnx_type_of(type)), 8 * data::byte_width(type));
  }
  EXPECT_EQ(data_type_of(onnx::DataType::int4), data::DataType::unknown);
}

}  // namespace
}  // namespace joulery::engine
