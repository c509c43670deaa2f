#include "engine/options.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace joulery::engine {
namespace {

using testing::HasSubstr;

constexpr std::int64_t kOpen = data::kUnknownDimension;

Port port(std::string name, data::Shape shape) {
  return {.name = std::move(name), .type = data::DataType::f32, .shape = shape};
}

TEST(ShapeOverrides, AreReadWithAndWithoutAName) {
  const auto named = parse_shape_override("x:0:1,3,?");
  ASSERT_TRUE(named);
  EXPECT_EQ(named->input, "x:0");
  EXPECT_EQ(named->shape.text(), "[1, 3, ?]");
  EXPECT_EQ(parse_shape_override("8,2")->input, "");
  for (const char* text : {"x:1,a", "x:1,,2", "1,-5"}) EXPECT_FALSE(parse_shape_override(text)) << text;
}

TEST(ResolvedInputs, ABatchFillsTheFirstOpenDimension) {
  const std::vector<Port> inputs{port("a", {kOpen, 3}), port("b", {kOpen, 3, kOpen}), port("scalar", {})};
  const auto resolved = resolve_inputs(inputs, {.batch = 4});
  ASSERT_TRUE(resolved);
  EXPECT_EQ((*resolved)[0].shape, (data::Shape{4, 3}));
  EXPECT_EQ((*resolved)[1].shape.text(), "[4, 3, ?]");
  EXPECT_EQ((*resolved)[2].shape.rank(), 0u);
}

TEST(ResolvedInputs, ABatchThatTheModelForbidsIsAUserError) {
  const std::vector<Port> inputs{port("a", {1, 3})};
  EXPECT_TRUE(resolve_inputs(inputs, {.batch = 1}));
  const auto resolved = resolve_inputs(inputs, {.batch = 4});
  ASSERT_FALSE(resolved);
  EXPECT_EQ(resolved.error().kind, Error::Kind::user);
  EXPECT_THAT(resolved.error().message, HasSubstr("[1, 3]"));
}

TEST(ResolvedInputs, AShapeBeatsTheBatch) {
  const std::vector<Port> inputs{port("a", {kOpen, 3}), port("b", {kOpen})};
  const auto resolved = resolve_inputs(inputs, {.batch = 4, .shapes = {{"a", {7, 3}}}});
  ASSERT_TRUE(resolved);
  EXPECT_EQ((*resolved)[0].shape, (data::Shape{7, 3}));
  EXPECT_EQ((*resolved)[1].shape, (data::Shape{4}));
}

TEST(ResolvedInputs, AShapeMayLeaveDimensionsOpenAndMayNotContradict) {
  const std::vector<Port> inputs{port("a", {kOpen, 3, kOpen})};
  const auto resolved = resolve_inputs(inputs, {.shapes = {{"", {2, kOpen, kOpen}}}});
  ASSERT_TRUE(resolved);
  EXPECT_EQ((*resolved)[0].shape.text(), "[2, 3, ?]");
  for (const data::Shape& shape : {data::Shape{2, 4, 1}, data::Shape{2, 3}, data::Shape{2, 3, 1, 1}}) {
    const auto refused = resolve_inputs(inputs, {.shapes = {{"a", shape}}});
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("the model says [?, 3, ?]"));
  }
}

TEST(ResolvedInputs, NamesMustBeThoseOfTheModel) {
  const std::vector<Port> inputs{port("tokens", {kOpen}), port("mask", {kOpen})};
  auto refused = resolve_inputs(inputs, {.shapes = {{"token", {1}}}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().hint, "did you mean 'tokens'?");
  refused = resolve_inputs(inputs, {.shapes = {{"", {1}}}});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().hint, HasSubstr("--shape tokens:1"));
  refused = resolve_inputs(inputs, {.shapes = {{"mask", {1}}, {"mask", {2}}}});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("two shapes"));
}

TEST(OptionNames, GoBothWays) {
  for (const auto precision : {Precision::f32, Precision::bf16, Precision::f16, Precision::i8_as_in_model}) {
    EXPECT_EQ(parse_precision(precision_name(precision)), precision);
  }
  for (const auto level :
       {Optimisation::none, Optimisation::basic, Optimisation::extended, Optimisation::all}) {
    EXPECT_EQ(parse_optimisation(optimisation_name(level)), level);
  }
  EXPECT_FALSE(parse_precision("f8"));
  EXPECT_STREQ(known_name(static_cast<Known>(9)), "unknown");
}

}  // namespace
}  // namespace joulery::engine
