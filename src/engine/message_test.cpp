#include "engine/message.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace joulery::engine {
namespace {

LoadedFacts some_facts() {
  return {.inputs = {{.name = "x", .type = data::DataType::i64, .shape = {data::kUnknownDimension, 4}}},
          .outputs = {{.name = "y", .type = data::DataType::f32, .shape = {}}},
          .effective = {{.name = "threads", .value = "2", .known = Known::read_back}}};
}

TEST(Messages, ComeBackAsTheyWere) {
  const LoadedFacts facts = some_facts();
  LoadedFacts read;
  ASSERT_TRUE(decode(encode(facts), read));
  EXPECT_EQ(read.inputs[0].name, "x");
  EXPECT_EQ(read.inputs[0].type, data::DataType::i64);
  EXPECT_EQ(read.inputs[0].shape, facts.inputs[0].shape);
  EXPECT_EQ(read.effective[0].known, Known::read_back);

  const SessionOptions options{.precision = Precision::bf16,
                               .threads = 3,
                               .streams = 2,
                               .batch = 8,
                               .shapes = {{"x", {1, 2}}},
                               .pin_threads = true,
                               .spin = true,
                               .flush_denormals = false,
                               .optimisation = Optimisation::basic};
  SessionOptions got;
  ModelSource model;
  const ModelSource sent{
      .path = "/a/model.onnx", .bytes = {}, .input_names = {"x", "z"}, .output_names = {"y"}};
  ASSERT_TRUE(decode(encode(options, sent), got, model));
  EXPECT_EQ(model.path, "/a/model.onnx");
  EXPECT_EQ(model.input_names, sent.input_names);
  EXPECT_EQ(model.output_names, sent.output_names);
  EXPECT_EQ(got.precision, Precision::bf16);
  EXPECT_EQ(got.threads, 3);
  EXPECT_EQ(got.streams, 2);
  EXPECT_EQ(got.batch, 8);
  EXPECT_EQ(got.shapes[0].shape, (data::Shape{1, 2}));
  EXPECT_TRUE(got.pin_threads);
  EXPECT_TRUE(got.spin);
  EXPECT_FALSE(got.flush_denormals);
  EXPECT_EQ(got.optimisation, Optimisation::basic);

  Error error;
  ASSERT_TRUE(decode(encode(Error{Error::Kind::environment, "what", "hint"}), error));
  EXPECT_EQ(error.kind, Error::Kind::environment);
  EXPECT_EQ(error.message, "what");
}

TEST(Messages, EveryTruncationIsRefused) {
  const std::string bytes = encode(some_facts());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    LoadedFacts facts;
    EXPECT_FALSE(decode(std::string_view(bytes).substr(0, size), facts)) << size;
  }
  LoadedFacts facts;
  EXPECT_FALSE(decode(bytes + "x", facts));
}

TEST(Messages, TensorsOutsideTheSharedMemoryAreRefused) {
  constexpr std::uint64_t kSize = 1024;
  const SharedTensor good{.is_output = true,
                          .index = 0,
                          .type = data::DataType::f32,
                          .shape = {4},
                          .offset = kSize - 16,
                          .bytes = 16};
  std::vector<SharedTensor> read;
  EXPECT_TRUE(decode(encode(std::vector{good}), kSize, read));
  for (const auto& change : std::vector<void (*)(SharedTensor&)>{
           [](SharedTensor& tensor) { tensor.offset += 1; },
           [](SharedTensor& tensor) { tensor.offset = std::numeric_limits<std::uint64_t>::max() - 7; },
           [](SharedTensor& tensor) { tensor.bytes = 12; },
           [](SharedTensor& tensor) { tensor.shape = {1 << 20}; },
           [](SharedTensor& tensor) { tensor.shape = {data::kUnknownDimension}; },
           [](SharedTensor& tensor) { tensor.type = data::DataType::unknown; },
           [](SharedTensor& tensor) { tensor.type = static_cast<data::DataType>(77); },
           [](SharedTensor& tensor) { tensor.index = 1U << 30; }}) {
    SharedTensor bad = good;
    change(bad);
    std::vector<SharedTensor> refused;
    EXPECT_FALSE(decode(encode(std::vector{bad}), kSize, refused));
  }
}

}  // namespace
}  // namespace joulery::engine
