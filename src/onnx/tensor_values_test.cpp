#include "onnx/tensor_values.hpp"

#include <gmock/gmock.h>

#include <cmath>

#include "onnx/model_fixture.hpp"

namespace joulery::onnx {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Tensor tensor(DataType type, std::vector<std::int64_t> dims, TensorStorage storage,
              std::vector<std::uint8_t> data) {
  Tensor made;
  made.name = "t";
  made.data_type = type;
  made.dims = std::move(dims);
  made.storage = storage;
  made.data = SharedBytes::adopt(std::move(data));
  return made;
}

TEST(TensorValuesTest, EveryTypeHasItsSize) {
  using enum DataType;
  const struct {
    DataType type;
    std::uint64_t bytes_of_5;
  } cases[] = {{float32, 20},     {uint8, 5},          {int8, 5},       {uint16, 10},        {int16, 10},
               {int32, 20},       {int64, 40},         {boolean, 5},    {float16, 10},       {float64, 40},
               {uint32, 20},      {uint64, 40},        {complex64, 40}, {complex128, 80},    {bfloat16, 10},
               {float8e4m3fn, 5}, {float8e4m3fnuz, 5}, {float8e5m2, 5}, {float8e5m2fnuz, 5}, {uint4, 3},
               {int4, 3},         {float4e2m1, 3},     {float8e8m0, 5}, {uint2, 2},          {int2, 2},
               {float6e2m3, 4},   {float6e3m2, 4}};
  for (const auto& [type, bytes] : cases) {
    EXPECT_EQ(raw_size(type, 5), bytes) << data_type_name(type);
    EXPECT_EQ(tensor_fault(tensor(type, {5}, TensorStorage::raw, std::vector<std::uint8_t>(bytes))),
              std::nullopt);
    EXPECT_NE(tensor_fault(tensor(type, {5}, TensorStorage::raw, std::vector<std::uint8_t>(bytes + 1))),
              std::nullopt);
    EXPECT_NE(tensor_fault(tensor(type, {5}, TensorStorage::raw, std::vector<std::uint8_t>(bytes - 1))),
              std::nullopt);
  }
  EXPECT_EQ(raw_size(string, 5), std::nullopt);
  EXPECT_EQ(raw_size(static_cast<DataType>(99), 5), std::nullopt);
}

TEST(TensorValuesTest, HugeShapesDoNotWrapAround) {
  EXPECT_EQ(element_count(std::vector<std::int64_t>{1LL << 32U, 1LL << 32U}), std::nullopt);
  EXPECT_EQ(element_count(std::vector<std::int64_t>{1LL << 31U, 1LL << 31U, 2}), std::nullopt);
  EXPECT_EQ(element_count(std::vector<std::int64_t>{-1, -1}), std::nullopt);
  EXPECT_EQ(element_count(std::vector<std::int64_t>{0, 1LL << 62U, 1LL << 62U}), std::nullopt);
  EXPECT_EQ(element_count(std::vector<std::int64_t>{}), 1U);
  EXPECT_EQ(element_count(std::vector<std::int64_t>{3, 0}), 0U);
  EXPECT_EQ(raw_size(DataType::complex128, 1ULL << 60U), std::nullopt);
  EXPECT_NE(tensor_fault(tensor(DataType::float64, {1LL << 61U}, TensorStorage::raw, {})), std::nullopt);
}

TEST(TensorValuesTest, TypedDataBecomesRaw) {
  using enum DataType;
  EXPECT_THAT(must(raw_bytes(tensor(int8, {2}, TensorStorage::int32_data,
                                    {0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01, 5})))
                  .span(),
              ElementsAre(0xFE, 5));
  EXPECT_THAT(must(raw_bytes(tensor(float16, {1}, TensorStorage::int32_data, {0x80, 0x78}))).span(),
              ElementsAre(0x00, 0x3C));
  EXPECT_THAT(
      must(raw_bytes(tensor(uint32, {1}, TensorStorage::uint64_data, {0xFF, 0xFF, 0xFF, 0xFF, 0x0F}))).span(),
      ElementsAre(0xFF, 0xFF, 0xFF, 0xFF));
  // Two elements of 4 bits and four of 2 bits lie in each number.
  EXPECT_THAT(must(raw_bytes(tensor(int4, {3}, TensorStorage::int32_data, {0xF1, 0x01, 0x07}))).span(),
              ElementsAre(0xF1, 0x07));
  EXPECT_THAT(must(raw_bytes(tensor(uint2, {5}, TensorStorage::int32_data, {0x1B, 0x02}))).span(),
              ElementsAre(0x1B, 0x02));
  // Six bits: one in each number, four in three bytes of raw data.
  EXPECT_THAT(
      must(raw_bytes(tensor(float6e2m3, {5}, TensorStorage::int32_data, {0x3F, 0x01, 0x3E, 0x20, 0x15})))
          .span(),
      ElementsAre(0x7F, 0xE0, 0x83, 0x15));
}

TEST(TensorValuesTest, NumbersThatTheTypeHasNoRoomForAreRefused) {
  EXPECT_FALSE(raw_bytes(tensor(DataType::uint8, {1}, TensorStorage::int32_data, {0x80, 0x02})));
  EXPECT_FALSE(raw_bytes(tensor(DataType::float6e3m2, {1}, TensorStorage::int32_data, {0x40})));
  EXPECT_FALSE(
      raw_bytes(tensor(DataType::uint32, {1}, TensorStorage::uint64_data, {0xFF, 0xFF, 0xFF, 0xFF, 0x1F})));
}

TEST(TensorValuesTest, ValuesOfEveryKindOfInteger) {
  using enum DataType;
  EXPECT_THAT(must(integer_values(tensor(int4, {3}, TensorStorage::raw, {0x8F, 0x07}))),
              ElementsAre(-1, -8, 7));
  EXPECT_THAT(must(integer_values(tensor(uint4, {3}, TensorStorage::raw, {0x8F, 0x07}))),
              ElementsAre(15, 8, 7));
  EXPECT_THAT(must(integer_values(tensor(int2, {4}, TensorStorage::raw, {0x1B}))), ElementsAre(-1, -2, 1, 0));
  EXPECT_THAT(must(integer_values(tensor(int16, {1}, TensorStorage::raw, {0xFE, 0xFF}))), ElementsAre(-2));
  EXPECT_FALSE(integer_values(tensor(float32, {1}, TensorStorage::raw, {0, 0, 0, 0})));
}

TEST(TensorValuesTest, HalvesAreReal) {
  EXPECT_THAT(must(real_values(tensor(DataType::float16, {4}, TensorStorage::raw,
                                      {0x00, 0x3C, 0x00, 0xC0, 0x01, 0x00, 0xFF, 0x7B}))),
              ElementsAre(1, -2, std::ldexp(1, -24), 65504));
  EXPECT_THAT(
      must(real_values(tensor(DataType::bfloat16, {2}, TensorStorage::raw, {0x80, 0x3F, 0x20, 0xC1}))),
      ElementsAre(1, -10));
  const auto special =
      must(real_values(tensor(DataType::float16, {2}, TensorStorage::raw, {0x00, 0x7C, 0x01, 0x7C})));
  EXPECT_TRUE(std::isinf(special[0]) && std::isnan(special[1]));
}

TEST(TensorValuesTest, DataMustLieWhereItsTypeBelongs) {
  EXPECT_THAT(*tensor_fault(tensor(DataType::int64, {1}, TensorStorage::int32_data, {1})),
              HasSubstr("int32_data"));
  EXPECT_THAT(*tensor_fault(tensor(DataType::float32, {2}, TensorStorage::float_data, {0, 0, 0, 0})),
              HasSubstr("1 numbers"));
  EXPECT_EQ(
      tensor_fault(tensor(DataType::complex64, {1}, TensorStorage::float_data, std::vector<std::uint8_t>(8))),
      std::nullopt);
  EXPECT_EQ(tensor_fault(tensor(DataType::float32, {0}, TensorStorage::none, {})), std::nullopt);
  EXPECT_NE(tensor_fault(tensor(DataType::float32, {}, TensorStorage::none, {})), std::nullopt);
  EXPECT_THAT(*tensor_fault(tensor(static_cast<DataType>(77), {}, TensorStorage::none, {})),
              HasSubstr("type 77"));
  EXPECT_FALSE(raw_bytes(external_tensor("e", {1}, {{"location", "f"}})));
}

}  // namespace
}  // namespace joulery::onnx
