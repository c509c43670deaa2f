#include "data/tensor.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace joulery::data {
namespace {

TEST(DataTypes, NamesAndWidthsAreThoseOfTheTypes) {
  EXPECT_EQ(byte_width(DataType::f32), sizeof(float));
  EXPECT_EQ(byte_width(DataType::f64), sizeof(double));
  EXPECT_EQ(byte_width(DataType::bf16), 2u);
  EXPECT_EQ(byte_width(DataType::boolean), 1u);
  EXPECT_EQ(byte_width(DataType::unknown), 0u);
  for (int i = 1; i < kDataTypes; ++i) {
    const auto type = static_cast<DataType>(i);
    EXPECT_EQ(parse_data_type(data_type_name(type)), type);
    EXPECT_GT(byte_width(type), 0u);
  }
  EXPECT_FALSE(parse_data_type("unknown"));
  EXPECT_FALSE(parse_data_type("float"));
}

TEST(DataTypes, ANumberThatIsNoTypeIsUnknown) {
  EXPECT_STREQ(data_type_name(static_cast<DataType>(200)), "unknown");
  EXPECT_EQ(byte_width(static_cast<DataType>(200)), 0u);
}

TEST(Shapes, AreParsedAndShown) {
  const auto shape = Shape::parse("1, 3,?,224");
  ASSERT_TRUE(shape);
  EXPECT_EQ(shape->text(), "[1, 3, ?, 224]");
  EXPECT_FALSE(shape->is_known());
  EXPECT_FALSE(shape->element_count());
  const auto scalar = Shape::parse(" ");
  ASSERT_TRUE(scalar);
  EXPECT_EQ(scalar->rank(), 0u);
  EXPECT_EQ(scalar->element_count(), 1u);
  EXPECT_EQ(Shape::parse("-1,2")->text(), "[?, 2]");
}

TEST(Shapes, WhatIsNoneIsAUserError) {
  for (const char* text :
       {"1,,2", "a", "1;2", "-2", "1.5", "1,2,", "99999999999999999999", "1,1,1,1,1,1,1,1,1,1,1,1,1"}) {
    const auto shape = Shape::parse(text);
    ASSERT_FALSE(shape) << text;
    EXPECT_EQ(shape.error().kind, Error::Kind::user) << text;
  }
  EXPECT_FALSE(Shape::create(std::vector<std::int64_t>{2, -7}));
}

TEST(Shapes, AHugeProductHasNoCount) {
  const Shape huge{std::int64_t{1} << 40, std::int64_t{1} << 40};
  EXPECT_FALSE(huge.element_count());
  EXPECT_FALSE(tensor_bytes(DataType::f32, huge));
  // Empty, whatever else it is.
  EXPECT_EQ((Shape{std::int64_t{1} << 62, std::int64_t{1} << 62, 0}).element_count(), 0u);
  // The count fits, the bytes do not.
  EXPECT_FALSE(tensor_bytes(DataType::f64, Shape{std::numeric_limits<std::int64_t>::max()}));
}

TEST(Shapes, UnknownDimensionsAdmitAnything) {
  const Shape declared{kUnknownDimension, 3};
  EXPECT_TRUE(declared.admits(Shape{7, 3}));
  EXPECT_FALSE(declared.admits(Shape{7, 4}));
  EXPECT_FALSE(declared.admits(Shape{3}));
  EXPECT_FALSE(declared.admits(declared));
}

TEST(Tensors, StartAsZeroAndAreAligned) {
  const auto tensor = Tensor::create(DataType::f32, Shape{3, 5});
  ASSERT_TRUE(tensor);
  EXPECT_EQ(tensor->view().bytes, 60u);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor->view().data) % 64, 0u);
  EXPECT_THAT(tensor->elements<float>(), testing::Each(0.0F));
  EXPECT_EQ(tensor->elements<float>().size(), 15u);
}

TEST(Tensors, AnEmptyOneHasAnAddress) {
  const auto tensor = Tensor::create(DataType::i64, Shape{0, 5});
  ASSERT_TRUE(tensor);
  EXPECT_NE(tensor->view().data, nullptr);
  EXPECT_EQ(tensor->view().bytes, 0u);
}

TEST(Tensors, AreRefusedWithoutTypeOrShapeOrMemory) {
  EXPECT_EQ(Tensor::create(DataType::unknown, Shape{1}).error().kind, Error::Kind::user);
  EXPECT_EQ(Tensor::create(DataType::f32, Shape{kUnknownDimension}).error().kind, Error::Kind::user);
}

TEST(Tensors, NonFiniteValuesAreFoundInEveryFloatType) {
  const auto floats = Tensor::create(DataType::f32, Shape{4});
  ASSERT_TRUE(floats);
  floats->elements<float>()[3] = std::numeric_limits<float>::max();
  EXPECT_FALSE(has_non_finite(floats->view()));
  floats->elements<float>()[3] = std::nanf("");
  EXPECT_TRUE(has_non_finite(floats->view()));
  floats->elements<float>()[3] = -std::numeric_limits<float>::infinity();
  EXPECT_TRUE(has_non_finite(floats->view()));

  const auto doubles = Tensor::create(DataType::f64, Shape{2});
  ASSERT_TRUE(doubles);
  EXPECT_FALSE(has_non_finite(doubles->view()));
  doubles->elements<double>()[1] = std::numeric_limits<double>::infinity();
  EXPECT_TRUE(has_non_finite(doubles->view()));

  for (const auto& [type, infinity] : {std::pair{DataType::f16, 0x7c00}, std::pair{DataType::bf16, 0xff80}}) {
    const auto halves = Tensor::create(type, Shape{2});
    ASSERT_TRUE(halves);
    halves->elements<std::uint16_t>()[0] = 0x3c00;
    EXPECT_FALSE(has_non_finite(halves->view()));
    halves->elements<std::uint16_t>()[1] = static_cast<std::uint16_t>(infinity);
    EXPECT_TRUE(has_non_finite(halves->view()));
  }

  const auto whole = Tensor::create(DataType::i32, Shape{1});
  ASSERT_TRUE(whole);
  whole->elements<std::int32_t>()[0] = -1;
  EXPECT_FALSE(has_non_finite(whole->view()));
}

}  // namespace
}  // namespace joulery::data
