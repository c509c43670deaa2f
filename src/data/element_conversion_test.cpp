#include "data/element_conversion.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "data/sample_shape.hpp"

namespace joulery::data {
namespace {

template <class From, class To>
std::optional<ConversionFault> convert(DataType from, const std::vector<From>& values, DataType to,
                                       std::vector<To>& result) {
  result.assign(values.size(), To());
  return convert_elements(from, reinterpret_cast<const std::byte*>(values.data()), to,
                          reinterpret_cast<std::byte*>(result.data()), values.size());
}

TEST(Halves, EveryOneSurvivesTheWayToFloatAndBack) {
  for (std::uint32_t bits = 0; bits <= 0xFFFF; ++bits) {
    const float value = float_from_half(static_cast<std::uint16_t>(bits));
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(float_from_half(half_from_float(value))));
    } else {
      ASSERT_EQ(half_from_float(value), bits);
    }
    const float wide = float_from_bfloat(static_cast<std::uint16_t>(bits));
    if (!std::isnan(wide)) ASSERT_EQ(bfloat_from_float(wide), bits);
  }
}

TEST(Halves, RoundToTheNearestAndTiesToEven) {
  // Steps between 2048 and 4096 are 2 wide.
  EXPECT_EQ(float_from_half(half_from_float(2049.0F)), 2048.0F);
  EXPECT_EQ(float_from_half(half_from_float(2051.0F)), 2052.0F);
  EXPECT_EQ(float_from_half(half_from_float(2049.01F)), 2050.0F);
  EXPECT_EQ(float_from_half(half_from_float(65519.0F)), 65504.0F);
  EXPECT_EQ(float_from_half(half_from_float(65520.0F)), std::numeric_limits<float>::infinity());
  EXPECT_EQ(float_from_half(half_from_float(0x1.8p-25F)), 0x1p-24F);
  EXPECT_EQ(half_from_float(0x1p-25F), 0);
  EXPECT_EQ(float_from_bfloat(bfloat_from_float(257.0F)), 256.0F);
  EXPECT_EQ(float_from_bfloat(bfloat_from_float(259.0F)), 260.0F);
}

TEST(Conversion, WholeNumbersKeepTheirRange) {
  std::vector<std::int8_t> narrow;
  EXPECT_FALSE(convert<std::int32_t>(DataType::i32, {-128, 127}, DataType::i8, narrow));
  EXPECT_EQ(narrow, (std::vector<std::int8_t>{-128, 127}));
  auto fault = convert<std::int32_t>(DataType::i32, {1, 128}, DataType::i8, narrow);
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->index, 1u);
  EXPECT_EQ(fault->reason, "128 does not fit i8");
  std::vector<std::uint64_t> positive;
  EXPECT_TRUE(convert<std::int8_t>(DataType::i8, {-1}, DataType::u64, positive));
}

TEST(Conversion, FloatsBecomeWholeNumbersOnlyIfTheyAre) {
  std::vector<std::int64_t> whole;
  EXPECT_FALSE(convert<float>(DataType::f32, {-3.0F, 0x1p62F}, DataType::i64, whole));
  EXPECT_EQ(whole[1], 1LL << 62);
  EXPECT_EQ(convert<float>(DataType::f32, {2.5F}, DataType::i64, whole)->reason, "2.5 is no whole number");
  for (const float value : {0x1p63F, -0x1.000002p63F, std::numeric_limits<float>::infinity(),
                            std::numeric_limits<float>::quiet_NaN()}) {
    EXPECT_TRUE(convert<float>(DataType::f32, {value}, DataType::i64, whole)) << value;
  }
  EXPECT_FALSE(convert<float>(DataType::f32, {-0x1p63F}, DataType::i64, whole));
}

TEST(Conversion, NothingFiniteBecomesInfinite) {
  std::vector<float> narrow;
  EXPECT_FALSE(
      convert<double>(DataType::f64, {0.1, std::numeric_limits<double>::infinity()}, DataType::f32, narrow));
  EXPECT_EQ(narrow[0], 0.1F);
  EXPECT_TRUE(convert<double>(DataType::f64, {1e39}, DataType::f32, narrow));
  std::vector<std::uint16_t> half;
  EXPECT_TRUE(convert<float>(DataType::f32, {70000.0F}, DataType::f16, half));
  EXPECT_FALSE(convert<float>(DataType::f32, {70000.0F}, DataType::bf16, half));
}

TEST(Conversion, EveryPairOfTypesCarriesOne) {
  for (int from = 1; from < kDataTypes; ++from) {
    for (int to = 1; to < kDataTypes; ++to) {
      const auto source = static_cast<DataType>(from);
      const auto target = static_cast<DataType>(to);
      std::array<std::byte, 8> one{};
      std::array<std::byte, 8> converted{};
      std::array<std::byte, 8> expected{};
      ASSERT_FALSE(store_number(std::int64_t{1}, source, one.data()));
      ASSERT_FALSE(store_number(1.0, target, expected.data()));
      ASSERT_FALSE(convert_elements(source, one.data(), target, converted.data(), 1));
      EXPECT_EQ(converted, expected) << data_type_name(source) << " to " << data_type_name(target);
    }
  }
  std::byte none{};
  EXPECT_TRUE(convert_elements(DataType::unknown, &none, DataType::u8, &none, 1));
  EXPECT_FALSE(convert_elements(DataType::f32, nullptr, DataType::f32, nullptr, 0));
  EXPECT_TRUE(store_number(1.0, DataType::unknown, &none));
}

std::string fitted(const Shape& input, const Shape& sample) {
  const auto result = fit_sample(input, sample);
  if (!result) return "none";
  return result->sample.text() + (result->batched ? "" : " whole");
}

TEST(SampleShapes, FitWhereOnlyDimensionsOfOneDiffer) {
  EXPECT_EQ(fitted({-1, 3, 4}, {3, 4}), "[3, 4]");
  EXPECT_EQ(fitted({8, 3, 4}, {3, 4}), "[3, 4]");
  EXPECT_EQ(fitted({1, 1, 28, 28}, {28, 28}), "[1, 28, 28]");
  EXPECT_EQ(fitted({1, 1, 28, 28}, {1, 28, 28}), "[1, 28, 28]");
  EXPECT_EQ(fitted({-1, 5}, {1, 5, 1}), "[5]");
  EXPECT_EQ(fitted({-1, 1}, {}), "[1]");
  EXPECT_EQ(fitted({-1}, {}), "[]");
  EXPECT_EQ(fitted({-1}, {1}), "[]");
  EXPECT_EQ(fitted({-1, -1, 3}, {7, 3}), "[7, 3]");
  EXPECT_EQ(fitted({-1, -1, 3}, {3}), "[1, 3]");
}

TEST(SampleShapes, TheWholeInputIsASampleIfThereIsNoBatch) {
  EXPECT_EQ(fitted({640}, {640}), "[640] whole");
  EXPECT_EQ(fitted({-1}, {640}), "[640] whole");
  EXPECT_EQ(fitted({}, {}), "[] whole");
  EXPECT_EQ(fitted({3, 4}, {3, 4}), "[3, 4] whole");
}

TEST(SampleShapes, NothingElseFits) {
  EXPECT_EQ(fitted({-1, 3, 4}, {4, 3}), "none");
  EXPECT_EQ(fitted({-1, 12}, {3, 4}), "none");
  EXPECT_EQ(fitted({-1, 3}, {2, 3}), "none");
  EXPECT_EQ(fitted({-1, 3}, {-1, 3}), "none");
  Shape many;
  const auto created = Shape::create(std::vector<std::int64_t>(12, -1));
  ASSERT_TRUE(created);
  many = *created;
  const auto ones = Shape::create(std::vector<std::int64_t>{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2});
  ASSERT_TRUE(ones);
  EXPECT_NE(fitted(many, *ones), "none");
}

}  // namespace
}  // namespace joulery::data
