#include "engine/runtime_profile.hpp"

#include <gmock/gmock.h>

#include "engine/operator_precision.hpp"

namespace joulery::engine {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

std::string node_event(const std::string& name, int microseconds, const std::string& op,
                       const std::string& in, const std::string& out) {
  return R"({"cat":"Node","pid":1,"tid":2,"dur":)" + std::to_string(microseconds) +
         R"(,"ts":5,"ph":"X","name":")" + name + R"(_kernel_time","args":{"op_name":")" + op +
         R"(","provider":"CPUExecutionProvider",)" +
         R"("thread_scheduling_stats":{"main_thread":{"op_name":"other","block_size":[1,2]}},)" +
         R"("input_type_shape":[{")" + in + R"(":[1,2]}],"output_type_shape":[{")" + out + R"(":[1]}]}})";
}

TEST(RuntimeProfileTest, CallsOfANodeAddUp) {
  const std::string json = R"([{"cat":"Session","dur":9999,"name":"model_run","args":{}},)" +
                           node_event("a", 3, "Add", "float", "float") + "," +
                           node_event("c", 10, "Conv", "float", "float") + "," +
                           node_event("a", 4, "Add", "float", "float") +
                           R"(,{"cat":"Node","dur":500,"name":"a_fence_before","args":{"op_name":"Add"}}])";
  const auto times = parse_runtime_profile(json);
  ASSERT_TRUE(times) << times.error().message;
  ASSERT_EQ(times->size(), 2U);
  EXPECT_EQ(times->at(0).node, "c");
  EXPECT_EQ(times->at(1).node, "a");
  EXPECT_EQ(times->at(1).op_type, "Add");
  EXPECT_EQ(times->at(1).calls, 2U);
  EXPECT_DOUBLE_EQ(times->at(1).seconds, 7e-6);
  EXPECT_EQ(times->at(1).kernel, "CPUExecutionProvider");
}

std::string precision(const std::string& op, const std::string& in, const std::string& out) {
  const auto times = parse_runtime_profile("[" + node_event("n", 1, op, in, out) + "]");
  return times && times->size() == 1 ? times->at(0).precision : "none";
}

TEST(RuntimeProfileTest, PrecisionIsThatOfWhatGoesIn) {
  EXPECT_EQ(precision("QLinearConv", "uint8", "uint8"), "i8");
  EXPECT_EQ(precision("MatMulIntegerToFloat", "int8", "float"), "i8");
  EXPECT_EQ(precision("MaxPool", "uint8", "uint8"), "i8");
  EXPECT_EQ(precision("Conv", "float", "float"), "f32");
  EXPECT_EQ(precision("Conv", "float16", "float16"), "f16");
  EXPECT_EQ(precision("DequantizeLinear", "uint8", "float"), "f32");
  EXPECT_EQ(precision("QuantizeLinear", "float", "uint8"), "f32");
  EXPECT_EQ(precision("MatMulNBits", "float", "float"), "packed");
  EXPECT_EQ(precision("Gather", "int64", "int64"), "");
}

TEST(RuntimeProfileTest, WhatIsNoProfile) {
  for (const char* text : {"", "{}", "[", "[{\"cat\":", "12", "[{\"cat\":\"Node\"}", "\xff\xfe"}) {
    const auto times = parse_runtime_profile(text);
    ASSERT_FALSE(times) << text;
    EXPECT_THAT(times.error().message, HasSubstr("cut off or none"));
  }
  EXPECT_FALSE(parse_runtime_profile(std::string(100'000, '[')));
  EXPECT_THAT(*parse_runtime_profile("[]"), IsEmpty());
  EXPECT_THAT(*parse_runtime_profile(R"([1,"a",[2],{"cat":7,"name":[],"dur":"x","args":5}])"), IsEmpty());
  EXPECT_FALSE(read_runtime_profile("/nowhere/profile.json"));
}

TEST(OperatorPrecisionTest, KernelsSayWhatTheyComputeIn) {
  EXPECT_EQ(precision_of_kernel("brgemm_avx512_amx_I8"), "i8");
  EXPECT_EQ(precision_of_kernel("jit_avx512_core_u8"), "i8");
  EXPECT_EQ(precision_of_kernel("jit_gemm_FP32"), "f32");
  EXPECT_EQ(precision_of_kernel("brgconv_avx512_amx_BF16"), "bf16");
  EXPECT_EQ(precision_of_kernel("ref_any_f32"), "f32");
  EXPECT_EQ(precision_of_kernel("undef"), "");
  EXPECT_TRUE(is_low_precision("i8") && is_low_precision("packed"));
  EXPECT_FALSE(is_low_precision("bf16") || is_low_precision(""));
  EXPECT_TRUE(is_boundary("Reorder") && is_boundary("QuantizeLinear"));
  EXPECT_FALSE(is_boundary("QLinearConv"));
}

}  // namespace
}  // namespace joulery::engine
