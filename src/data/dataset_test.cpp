#include "data/dataset.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "data/dataset_fixture.hpp"

namespace joulery::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const InputSpec kVector{.name = "in", .type = DataType::f32, .shape = Shape{-1, 2, 3}};

std::string error_of(const DatasetRequest& request) {
  const auto dataset = open_dataset(request);
  return dataset ? "opened" : dataset.error().message + " hint: " + dataset.error().hint;
}

TEST(Npy, SamplesComeAsTheyWereSavedWhateverTheBatch) {
  for (const std::size_t most : {1U, 2U, 100U}) {
    const auto dataset = open_dataset(request_for(fixture("f32_5x2x3.npy"), {kVector}));
    ASSERT_TRUE(dataset) << dataset.error().message;
    EXPECT_EQ((*dataset)->info().count, 5u);
    EXPECT_FALSE((*dataset)->info().has_labels);
    EXPECT_EQ((*dataset)->info().note, "");
    const auto all = read_all<float>(**dataset, most);
    ASSERT_EQ(all.values.size(), 30u) << all.error;
    EXPECT_EQ(all.values[0], 0.34558418F);
    EXPECT_EQ(all.values[6], -0.5369532F);
    EXPECT_EQ(all.shapes[0], most == 1 ? "[1, 2, 3]" : most == 2 ? "[2, 2, 3]" : "[5, 2, 3]");
    EXPECT_EQ(all.ids.size(), 5u);
  }
}

TEST(Npy, RewindsAndGivesTheSameIds) {
  const auto dataset = open_dataset(request_for(fixture("f32_5x2x3.npy"), {kVector}));
  ASSERT_TRUE(dataset);
  const auto first = read_all<float>(**dataset, 3);
  ASSERT_TRUE((*dataset)->rewind());
  const auto second = read_all<float>(**dataset, 2);
  EXPECT_EQ(first.values, second.values);
  EXPECT_EQ(first.ids, second.ids);
  EXPECT_NE(first.ids[0], first.ids[1]);
}

TEST(Npy, OtherByteOrdersTypesAndVersionsAreRead) {
  auto dataset = open_dataset(request_for(fixture("f64_big_endian_5x6.npy"),
                                          {{.name = "in", .type = DataType::f32, .shape = Shape{-1, 6}}}));
  ASSERT_TRUE(dataset) << dataset.error().message;
  EXPECT_EQ((*dataset)->info().note, "'in': f64 read as f32");
  EXPECT_EQ(read_all<float>(**dataset, 4).values[6], -0.5369532F);

  dataset = open_dataset(
      request_for(fixture("f16_4x3.npy"), {{.name = "in", .type = DataType::f32, .shape = Shape{-1, 3}}}));
  ASSERT_TRUE(dataset);
  const auto halves = read_all<float>(**dataset, 4).values;
  EXPECT_EQ(halves[2], -2.5F);
  EXPECT_EQ(halves[3], 65504.0F);
  EXPECT_EQ(halves[4], 0x1p-24F);
  EXPECT_EQ(halves[6], std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(halves[8]));
  EXPECT_TRUE(std::signbit(halves[9]));

  dataset = open_dataset(
      request_for(fixture("bf16_2x2.npy"), {{.name = "in", .type = DataType::f32, .shape = Shape{-1, 2}}}));
  ASSERT_TRUE(dataset) << dataset.error().message;
  EXPECT_THAT(read_all<float>(**dataset, 2).values, ElementsAre(1, -2, 0.5, 3.140625F));
  EXPECT_THAT((*dataset)->info().note, HasSubstr("bf16"));

  for (const char* name : {"version2_u8_3x2.npy", "version3_u8_3x2.npy"}) {
    dataset = open_dataset(
        request_for(fixture(name), {{.name = "in", .type = DataType::i64, .shape = Shape{-1, 2}}}));
    ASSERT_TRUE(dataset) << name;
    EXPECT_THAT(read_all<std::int64_t>(**dataset, 2).values, ElementsAre(0, 1, 2, 3, 4, 5));
  }
}

TEST(Npy, WhatCannotBeReadIsExplained) {
  EXPECT_THAT(error_of(request_for(fixture("objects.npy"), {kVector})), HasSubstr("would run code"));
  EXPECT_THAT(error_of(request_for(fixture("record.npy"), {kVector})), HasSubstr("records"));
  EXPECT_THAT(error_of(request_for(fixture("fortran_5x6.npy"), {kVector})), HasSubstr("ascontiguousarray"));
  EXPECT_THAT(error_of(request_for(fixture("nothing.npy"), {kVector})), HasSubstr("No such file"));
}

TEST(Npy, AFileThatWasCutShortIsRefusedBeforeItIsRead) {
  const TestFolder folder;
  auto bytes = read_file(fixture("f32_5x2x3.npy"), 1000);
  ASSERT_TRUE(bytes);
  const std::string path = folder.write("cut.npy", bytes->substr(0, bytes->size() - 1));
  EXPECT_THAT(error_of(request_for(path, {kVector})), HasSubstr("cut short"));
}

TEST(Shapes, AWrongOneIsExplainedWithBothSides) {
  const auto wrong = [](const Shape& shape) {
    return error_of(
        request_for(fixture("f32_5x2x3.npy"), {{.name = "in", .type = DataType::f32, .shape = shape}}));
  };
  EXPECT_THAT(wrong(Shape{-1, 4}),
              HasSubstr("samples of [2, 3], which do not fit the input 'in' of f32 [?, 4]"));
  EXPECT_THAT(wrong(Shape{-1, 3, 2}), HasSubstr("another order"));
  EXPECT_THAT(wrong(Shape{-1, 6}), HasSubstr("reshape the samples to [6]"));
}

TEST(Shapes, DimensionsOfOneDoNotMatterAndOpenOnesAreFilledIn) {
  const auto shape_of = [](const Shape& shape) {
    const auto dataset = open_dataset(
        request_for(fixture("f32_5x2x3.npy"), {{.name = "in", .type = DataType::f32, .shape = shape}}));
    return dataset ? read_all<float>(**dataset, 2).shapes[0] : dataset.error().message;
  };
  EXPECT_EQ(shape_of(Shape{1, 1, 2, 3}), "[2, 1, 2, 3]");
  EXPECT_EQ(shape_of(Shape{-1, -1, -1}), "[2, 2, 3]");
  EXPECT_EQ(shape_of(Shape{-1, 2, 1, 3, 1}), "[2, 2, 1, 3, 1]");
  // The model has no batch: one at a time, in its own shape.
  EXPECT_EQ(shape_of(Shape{2, 3}), "[2, 3]");
}

TEST(Npz, ColumnsAreFoundByName) {
  for (const char* name : {"stored.npz", "deflated.npz"}) {
    auto request = request_for(fixture(name), {kVector});
    request.needs_labels = true;
    request.group = "who";
    const auto dataset = open_dataset(request);
    ASSERT_TRUE(dataset) << dataset.error().message;
    EXPECT_EQ((*dataset)->info().count, 5u);
    const auto all = read_all<float>(**dataset, 2);
    EXPECT_EQ(all.error, "");
    ASSERT_EQ(all.values.size(), 30u);
    EXPECT_EQ(all.values[6], -0.5369532F);
    EXPECT_THAT(all.labels,
                ElementsAre(Label(std::int64_t{2}), Label(std::int64_t{0}), Label(std::int64_t{1}),
                            Label(std::int64_t{1}), Label(std::int64_t{0})));
    EXPECT_THAT(all.groups, ElementsAre("ann", "bob", "ann", "zoë", "bob"));
  }
}

TEST(Npz, WhatIsNotAskedForNeedNotBeReadable) {
  auto request = request_for(fixture("objects_beside.npz"), {kVector});
  const auto dataset = open_dataset(request);
  ASSERT_TRUE(dataset) << dataset.error().message;
  EXPECT_EQ(read_all<float>(**dataset, 9).values.size(), 30u);
  request.labels = "meta";
  EXPECT_THAT(error_of(request), HasSubstr("would run code"));
}

TEST(Npz, ColumnsOfUnequalLengthsAreRefused) {
  EXPECT_THAT(error_of(request_for(fixture("unequal.npz"), {kVector})),
              HasSubstr("unequal.npz:x.npy' has 5 samples, but"));
}

TEST(Npz, AMissingColumnIsNamedWithThoseThatThereAre) {
  const InputSpec other{.name = "mask", .type = DataType::f32, .shape = Shape{-1, 4}};
  EXPECT_THAT(
      error_of(request_for(fixture("stored.npz"), {kVector, other})),
      HasSubstr("no column for the model's input 'in' (f32 [?, 2, 3]); it has 'x', 'y', 'who', 'sr'"));
  auto request = request_for(fixture("stored.npz"), {kVector});
  request.labels = "target";
  request.needs_labels = true;
  EXPECT_THAT(error_of(request), HasSubstr("no column 'target'"));
}

TEST(Npz, DamageIsFoundByTheChecksum) {
  auto bytes = read_file(fixture("deflated.npz"), 10000);
  ASSERT_TRUE(bytes);
  // In the middle of the first member's values.
  (*bytes)[120] = static_cast<char>((*bytes)[120] ^ 0x55);
  const auto dataset = open_bytes(Format::npz, *bytes, request_for("damaged.npz", {kVector}));
  const std::string error = dataset ? read_all<float>(**dataset, 100).error : dataset.error().message;
  EXPECT_THAT(error, HasSubstr("is damaged"));
}

TEST(Constants, FillInputsThatTheDataLacks) {
  const InputSpec rate{.name = "sr", .type = DataType::i64, .shape = Shape{}};
  const InputSpec state{.name = "state", .type = DataType::f32, .shape = Shape{2, -1, 4}};
  auto request = request_for(fixture("f32_5x2x3.npy"), {rate, kVector, state});
  request.constants = {{.input = "sr", .value = 16000}, {.input = "state", .value = 0}};
  const auto dataset = open_dataset(request);
  ASSERT_TRUE(dataset) << dataset.error().message;
  const auto batch = (*dataset)->read(3);
  ASSERT_TRUE(batch) << batch.error().message;
  EXPECT_EQ((*batch)->inputs[0].shape.rank(), 0u);
  EXPECT_EQ((*batch)->inputs[0].elements<std::int64_t>()[0], 16000);
  EXPECT_EQ((*batch)->inputs[1].shape, (Shape{3, 2, 3}));
  EXPECT_EQ((*batch)->inputs[2].shape, (Shape{2, 3, 4}));
  request.constants[0].value = 0.5;
  const auto refused = open_dataset(request);
  ASSERT_TRUE(refused);
  const auto failed = (*refused)->read(3);
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().message, HasSubstr("'sr': 0.5 is no whole number"));
  request.inputs = {rate};
  EXPECT_THAT(error_of(request), HasSubstr("no input 'state' for a constant"));
  request.constants.resize(1);
  EXPECT_THAT(error_of(request), HasSubstr("nothing is left for the data"));
  request.constants[0].input = "srr";
  EXPECT_THAT(error_of(request), HasSubstr("no input 'srr'"));
}

TEST(Constants, AreParsedFromText) {
  const auto constant = parse_constant("sr = 16000");
  ASSERT_TRUE(constant);
  EXPECT_EQ(constant->input, "sr");
  EXPECT_EQ(constant->value, 16000);
  EXPECT_FALSE(parse_constant("sr"));
  EXPECT_FALSE(parse_constant("=1"));
  EXPECT_FALSE(parse_constant("sr=fast"));
}

TEST(Idx, LabelsAreInTheFileBeside) {
  for (const char* name : {"tiny-images-idx3-ubyte", "packed-images-idx3-ubyte.gz"}) {
    auto request =
        request_for(fixture(name), {{.name = "Input3", .type = DataType::f32, .shape = Shape{1, 1, 3, 2}}});
    request.needs_labels = true;
    const auto dataset = open_dataset(request);
    ASSERT_TRUE(dataset) << dataset.error().message;
    EXPECT_EQ((*dataset)->info().count, 4u);
    EXPECT_EQ((*dataset)->info().note, "'Input3': u8 read as f32");
    const auto all = read_all<float>(**dataset, 3);
    EXPECT_EQ(all.shapes[0], "[3, 1, 3, 2]");
    EXPECT_EQ(all.values[0], 216);
    EXPECT_EQ(all.values[23], 198);
    EXPECT_EQ(std::get<std::int64_t>(all.labels[2]), 9);
  }
}

TEST(Idx, LabelsCanBeNamed) {
  auto request = request_for(fixture("tiny-images-idx3-ubyte") + ":" + fixture("packed-labels-idx1-ubyte.gz"),
                             {{.name = "in", .type = DataType::u8, .shape = Shape{-1, 3, 2}}});
  const auto dataset = open_dataset(request);
  ASSERT_TRUE(dataset) << dataset.error().message;
  EXPECT_EQ(std::get<std::int64_t>(read_all<std::uint8_t>(**dataset, 9).labels[0]), 7);
}

TEST(Raw, IsReadByTypeAndShape) {
  const TestFolder folder;
  const std::vector<std::int16_t> values{1, -2, 3, 4, 5, 6};
  const std::string path = folder.write(
      "x.bin", "HEAD" + std::string(reinterpret_cast<const char*>(values.data()), 2 * values.size()));
  auto request = request_for(path, {{.name = "in", .type = DataType::f32, .shape = Shape{-1, 3}}});
  EXPECT_THAT(error_of(request), HasSubstr("does not say what its numbers are"));
  request.raw.type = DataType::i16;
  EXPECT_THAT(error_of(request), HasSubstr("no multiple of the 6"));
  request.raw.header_bytes = 4;
  auto dataset = open_dataset(request);
  ASSERT_TRUE(dataset) << dataset.error().message;
  EXPECT_THAT(read_all<float>(**dataset, 9).values, ElementsAre(1, -2, 3, 4, 5, 6));
  request.raw.big_endian = true;
  dataset = open_dataset(request);
  ASSERT_TRUE(dataset);
  EXPECT_EQ(read_all<float>(**dataset, 9).values[0], 256);
}

TEST(Synthetic, IsMarkedAndTheSameForASeedWhateverTheBatch) {
  auto request = request_for("", {kVector, {.name = "ids", .type = DataType::i64, .shape = Shape{-1, -1}}});
  request.format = Format::synthetic;
  request.synthetic = {.seed = 7, .count = 50, .low = -3, .high = 3, .open_dimension = 4};
  const auto first = open_dataset(request);
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_TRUE((*first)->info().synthetic);
  EXPECT_THAT((*first)->info().note, HasSubstr("not for quality"));
  const auto all = read_all<float>(**first, 50);
  ASSERT_EQ(all.values.size(), 300u);
  for (const float value : all.values) EXPECT_TRUE(value >= -3 && value < 3);
  const auto again = open_dataset(request);
  EXPECT_EQ(read_all<float>(**again, 7).values, all.values);
  request.synthetic.seed = 8;
  EXPECT_NE(read_all<float>(**open_dataset(request), 50).values, all.values);
}

TEST(Synthetic, AnInputThatIsWholeKeepsItsFirstDimension) {
  for (const bool is_whole : {true, false}) {
    DatasetRequest request =
        request_for("", {{.name = "x", .type = DataType::f32, .shape = {10, 1, 4}, .is_whole = is_whole}});
    request.format = Format::synthetic;
    request.synthetic.count = 2;
    auto dataset = open_dataset(request);
    ASSERT_TRUE(dataset) << dataset.error().message;
    const auto all = read_all<float>(**dataset, 2);
    EXPECT_EQ(all.error, "");
    EXPECT_EQ(all.shapes.front(), is_whole ? "[10, 1, 4]" : "[2, 1, 4]");
    EXPECT_EQ(all.values.size(), is_whole ? 80U : 8U);
  }
}

TEST(Synthetic, AnInputWithoutABatchGetsItsOwnShape) {
  auto request = request_for("", {{.name = "in", .type = DataType::f32, .shape = Shape{640}}});
  request.format = Format::synthetic;
  request.synthetic.count = 2;
  const auto dataset = open_dataset(request);
  ASSERT_TRUE(dataset) << dataset.error().message;
  EXPECT_THAT(read_all<float>(**dataset, 10).shapes, ElementsAre("[640]", "[640]"));
}

TEST(Formats, AFileThatIsNotWhatItsNameSaysIsTold) {
  const TestFolder folder;
  const auto npz = read_file(fixture("stored.npz"), 10000);
  ASSERT_TRUE(npz);
  EXPECT_THAT(error_of(request_for(folder.write("x.csv", *npz), {kVector})),
              HasSubstr("is called csv, but its content is npz"));
  EXPECT_THAT(error_of(request_for(folder.write("x.npz", "a,b\n1,2\n"), {kVector})),
              HasSubstr("is called npz, but does not begin as one"));
  EXPECT_THAT(error_of(request_for(folder.write("x.xyz", "hello"), {kVector})), HasSubstr("no known format"));
  const auto dataset = open_dataset(request_for(folder.write("nameless", *npz), {kVector}));
  EXPECT_TRUE(dataset) << dataset.error().message;
}

TEST(Formats, NamesGoBothWays) {
  for (int i = 0; i <= static_cast<int>(Format::synthetic); ++i) {
    EXPECT_EQ(parse_format(format_name(static_cast<Format>(i))), static_cast<Format>(i));
  }
  EXPECT_FALSE(parse_format("xls"));
}

}  // namespace
}  // namespace joulery::data
