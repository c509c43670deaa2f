#include "onnx/decode.hpp"

#include <gmock/gmock.h>

#include "onnx/model_fixture.hpp"
#include "onnx/wire.hpp"

namespace joulery::onnx {
namespace {

using testing::HasSubstr;

std::string varint(std::uint64_t value) {
  std::string text;
  for (; value >= 0x80; value >>= 7) text += static_cast<char>(value | 0x80);
  return text + static_cast<char>(value);
}
std::string number(unsigned field, std::uint64_t value) {
  return varint(field << 3U) + varint(value);
}
std::string bytes(unsigned field, const std::string& payload) {
  return varint(field << 3U | 2U) + varint(payload.size()) + payload;
}
/// A model whose graph holds `fields`.
std::string in_graph(const std::string& fields) {
  return number(1, 8) + bytes(7, fields);
}
std::string in_tensor(const std::string& fields) {
  return in_graph(bytes(5, fields));
}
std::string in_attribute(const std::string& fields) {
  return in_graph(bytes(1, bytes(5, fields)));
}

Result<Model> decode(const std::string& text, const DecodeLimits& limits = {}) {
  return decode_model(SharedBytes::copy_of(std::string_view(text)), "the file", limits);
}
const Tensor& first_tensor(const Model& model) {
  return model.graph->initializers.at(0);
}

TEST(DecodeTest, TellsTheByteAndThePlaceOfWhatIsWrong) {
  const std::string attribute = bytes(1, "axis") + varint(5U << 3U | 2U) + varint(99) + "short";
  const std::string node = bytes(1, "x") + bytes(5, bytes(1, "good")) + bytes(5, attribute);
  const auto model = decode(number(1, 8) + bytes(7, bytes(1, "") + bytes(1, node)));
  EXPECT_THAT(message_of(model), HasSubstr("in graph.node[1].attribute[1]: a length runs past the end"));
  EXPECT_THAT(message_of(model), HasSubstr("at byte 27 "));
}

TEST(DecodeTest, WireThatIsBrokenIsRefused) {
  const struct {
    std::string text;
    const char* why;
  } cases[] = {
      {"\x08", "cut off"},
      {"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02", "longer than 64 bits"},
      {"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", "longer than 64 bits"},
      {"\x80", "tag is cut off"},
      {std::string("\x00\x01", 2), "number that does not exist"},
      {"\x80\x80\x80\x80\x10\x01", "number that does not exist"},
      {"\x0b\x0c", "group"},
      {"\x0c", "group"},
      {"\x0e", "wire type"},
      {"\x0f", "wire type"},
      {"\x0d\x01\x02", "cut off"},
      {"\x09\x01\x02\x03\x04", "cut off"},
      {"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x", "runs past the end"},
      {bytes(1, "x"), "field 1 is not a number"},
      {number(7, 1), "field 7 is not a message"},
      {number(2, 1), "field 2 is not a text"},
      {bytes(2, "\xc3\x28"), "no UTF-8"},
      {bytes(2, "\xed\xa0\x80"), "no UTF-8"},
      {bytes(2, "\xc0\x80"), "no UTF-8"},
      {bytes(2, "\xf4\x90\x80\x80"), "no UTF-8"},
  };
  for (const auto& [text, why] : cases) {
    EXPECT_THAT(message_of(decode(text)), HasSubstr(why)) << testing::PrintToString(text);
  }
}

TEST(DecodeTest, WhatTwoReadersMayUnderstandDifferentlyIsRefused) {
  const struct {
    std::string text;
    const char* why;
  } cases[] = {
      {number(1, 8) + bytes(7, "") + bytes(7, ""), "in graph: it occurs twice"},
      {in_attribute(number(3, 1) + bytes(8, "\x01")), "values of two kinds"},
      {in_attribute(bytes(5, "") + bytes(5, "")), "attribute[0].t: it occurs twice"},
      {in_graph(bytes(11, bytes(2, "") + bytes(2, ""))), "input[0].type: it occurs twice"},
      {in_graph(bytes(11, bytes(2, bytes(1, "") + bytes(1, "")))), "given twice"},
      {in_graph(bytes(11, bytes(2, bytes(1, "") + bytes(4, "")))), "given twice"},
      {in_tensor(bytes(9, "1234") + bytes(4, "1234")), "data of two kinds"},
      {in_tensor(bytes(9, "1234") + number(14, 1)), "data of its own and in another file"},
      {in_tensor(number(14, 2)), "no such place: 2"},
      {in_tensor(number(2, 1ULL << 32U | 1U)), "does not fit 32 bits"},
      {in_tensor(bytes(5, varint(1ULL << 32U))), "does not fit 32 bits"},
      {in_tensor(bytes(4, "12345")), "ends within a number"},
      {in_tensor(bytes(7, "\x80")), "cut off"},
  };
  for (const auto& [text, why] : cases) {
    EXPECT_THAT(message_of(decode(text)), HasSubstr(why)) << testing::PrintToString(text);
  }
}

TEST(DecodeTest, OfScalarsThatOccurTwiceTheLastOneCounts) {
  const Model model = must(decode(number(1, 3) + bytes(2, "old") + bytes(2, "new") + number(1, 8)));
  EXPECT_EQ(model.ir_version, 8);
  EXPECT_EQ(model.producer_name, "new");
  const Model sized =
      must(decode(in_graph(bytes(11, bytes(2, bytes(1, bytes(2, bytes(1, number(1, 5) + bytes(2, "N")))))))));
  const auto& type = std::get<TensorType>(sized.graph->inputs[0].type->value);
  EXPECT_EQ(std::get<std::string>(type.shape->dimensions[0].size), "N");
}

TEST(DecodeTest, ListsOfNumbersMayBePackedOrNot) {
  const std::string mixed = number(1, 2) + bytes(1, varint(3) + varint(4)) + number(1, 5);
  EXPECT_EQ(first_tensor(must(decode(in_tensor(mixed)))).dims, (std::vector<std::int64_t>{2, 3, 4, 5}));
  const auto ints = must(decode(in_attribute(bytes(8, varint(1) + varint(~0ULL)) + number(8, 7))));
  EXPECT_EQ(std::get<std::vector<std::int64_t>>(ints.graph->nodes[0].attributes[0].value),
            (std::vector<std::int64_t>{1, -1, 7}));
  const auto floats =
      must(decode(in_attribute(bytes(7, std::string("\0\0\x80\x3f", 4)) + std::string("\x3d\0\0\0\x40", 5))));
  EXPECT_EQ(std::get<std::vector<float>>(floats.graph->nodes[0].attributes[0].value),
            (std::vector<float>{1, 2}));
}

TEST(DecodeTest, DataOfTensorsMayComeInSeveralParts) {
  const std::string parts = number(1, 4) + number(2, 7) + bytes(7, varint(1) + varint(2)) + number(7, 3) +
                            bytes(7, std::string("\x84\x00", 2));
  const Tensor tensor = first_tensor(must(decode(in_tensor(parts))));
  EXPECT_EQ(must(integer_values(tensor)), (std::vector<std::int64_t>{1, 2, 3, 4}));
  EXPECT_EQ(tensor.data.size(), 4U) << "numbers in a longer form than they need are shortened";
  const std::string floats = number(1, 2) + number(2, 1) + std::string("\x25\0\0\x80\x3f", 5) +
                             bytes(4, std::string("\0\0\0\x40", 4));
  EXPECT_EQ(must(real_values(first_tensor(must(decode(in_tensor(floats)))))), (std::vector<double>{1, 2}));
}

TEST(DecodeTest, RawDataIsAViewIntoTheFile) {
  const SharedBytes bytes = bytes_of(small_model());
  const Tensor tensor = must(decode_model(bytes, "it")).graph->initializers[0];
  EXPECT_GE(tensor.data.data(), bytes.data());
  EXPECT_LE(tensor.data.data() + tensor.data.size(), bytes.data() + bytes.size());
}

TEST(DecodeTest, UnknownFieldsAreKept) {
  const std::string text = number(1, 8) + bytes(7, bytes(2, "g") + bytes(99, "new")) + number(500, 7);
  const Model model = must(decode(text));
  EXPECT_EQ(*model.graph->unknown, bytes(99, "new"));
  EXPECT_EQ(bytes_of(model), SharedBytes::copy_of(std::string_view(text)));
}

TEST(DecodeTest, AnEmptyListLeavesOnlyItsType) {
  const auto model = must(decode(in_attribute(bytes(1, "axes") + number(20, 7))));
  EXPECT_TRUE(std::holds_alternative<std::vector<std::int64_t>>(model.graph->nodes[0].attributes[0].value));
}

TEST(DecodeTest, DeepNestingIsRefused) {
  std::string graph = bytes(2, "inner");
  for (int i = 0; i < 40; ++i) graph = bytes(1, bytes(5, bytes(6, graph)));
  EXPECT_THAT(message_of(decode(number(1, 8) + bytes(7, graph))), HasSubstr("nested too deep"));
}

TEST(DecodeTest, ASmallFileGetsLittleMemory) {
  std::string nodes;
  for (int i = 0; i < 600'000; ++i) nodes += bytes(1, "");
  EXPECT_THAT(message_of(decode(in_graph(nodes))), HasSubstr("too much memory"));
}

TEST(DecodeTest, NumbersAreNoParts) {
  std::string numbers;
  for (int i = 0; i < 5000; ++i) numbers += number(8, i);
  DecodeLimits few;
  few.items = 100;
  const auto model = must(decode(in_attribute(bytes(1, "nodes_nodeids") + numbers + number(20, 7)), few));
  EXPECT_EQ(std::get<std::vector<std::int64_t>>(model.graph->nodes[0].attributes[0].value).size(), 5000U);
}

TEST(DecodeTest, FewBytesCannotTakeMuchMemory) {
  std::string nodes;
  for (int i = 0; i < 5000; ++i) nodes += bytes(1, "");
  DecodeLimits few;
  few.items = 1000;
  EXPECT_THAT(message_of(decode(in_graph(nodes), few)), HasSubstr("too many parts"));
  DecodeLimits small;
  small.memory_bytes = 100'000;
  EXPECT_THAT(message_of(decode(in_graph(nodes), small)), HasSubstr("too much memory"));
  EXPECT_TRUE(decode(in_graph(nodes)));
}

}  // namespace
}  // namespace joulery::onnx
