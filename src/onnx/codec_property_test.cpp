#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "onnx/check.hpp"
#include "onnx/decode.hpp"
#include "onnx/encode.hpp"
#include "onnx/policy.hpp"
#include "onnx/random_model.hpp"
#include "onnx/tensor_values.hpp"
#include "onnx/walk.hpp"

namespace joulery::onnx {
namespace {

SharedBytes bytes_of(const Model& model) {
  return join(encode_model(model));
}

TEST(CodecPropertyTest, AnyModelIsReadBackAsItWasWritten) {
  const bool held = rc::check("decode(encode(model)) == model", [](std::uint64_t seed) {
    const Model model = RandomModel(seed).model();
    const SharedBytes bytes = bytes_of(model);
    const auto again = decode_model(bytes, "it");
    if (!again) RC_FAIL(again.error().message);
    RC_ASSERT(*again == model);
    RC_ASSERT(bytes_of(*again) == bytes);
  });
  EXPECT_TRUE(held);
}

bool lies_in(const SharedBytes& part, const SharedBytes& whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

/// Whatever is read can be written, checked and inspected; what is written is read again as the same.
void use(const SharedBytes& bytes) {
  const auto model = decode_model(bytes, "it");
  if (!model) {
    RC_ASSERT(model.error().message.find("at byte ") != std::string::npos);
    return;
  }
  for_each_tensor(*model, [&](const Tensor& tensor, const Place&) {
    // Gathered elements lie in a buffer of their own.
    if (tensor.storage == TensorStorage::raw) RC_ASSERT(lies_in(tensor.data, bytes));
    if (tensor_fault(tensor) || tensor.data_type == DataType::string) return;
    const auto raw = raw_bytes(tensor);
    if (raw) RC_ASSERT(raw->size() == *raw_size(tensor.data_type, *element_count(tensor.dims)));
  });
  (void)check_model(*model);
  (void)inspect_model(*model, nullptr);
  const auto again = decode_model(bytes_of(*model), "it");
  if (!again) RC_FAIL(again.error().message);
  RC_ASSERT(bytes_of(*again) == bytes_of(*model));
}

TEST(CodecPropertyTest, FlippedBytesAreReadWithinBoundsOrRefused) {
  const bool held = rc::check("no view leaves the bytes", [](std::uint64_t seed) {
    const SharedBytes whole = bytes_of(RandomModel(seed).model());
    std::mt19937_64 random(seed);
    for (int round = 0; round < 20 && !whole.empty(); ++round) {
      // Of its own size, so that a sanitizer sees every byte that is read behind the end.
      std::vector<std::uint8_t> bytes(whole.span().begin(), whole.span().end());
      for (auto flips = 1 + random() % 4; flips > 0; --flips) {
        bytes[random() % bytes.size()] = static_cast<std::uint8_t>(random());
      }
      use(SharedBytes::adopt(std::move(bytes)));
    }
  });
  EXPECT_TRUE(held);
}

TEST(CodecPropertyTest, CutOffModelsAreReadWithinBoundsOrRefused) {
  const bool held = rc::check("a part of a model is no trouble", [](std::uint64_t seed) {
    const SharedBytes whole = bytes_of(RandomModel(seed).model());
    std::mt19937_64 random(seed);
    for (int round = 0; round < 20; ++round) {
      const auto part = whole.span().first(random() % (whole.size() + 1));
      use(SharedBytes::copy_of(part));
    }
  });
  EXPECT_TRUE(held);
}

}  // namespace
}  // namespace joulery::onnx
