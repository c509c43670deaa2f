#include "bundle/deployment.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace joulery::bundle {
namespace {

using testing::HasSubstr;

TEST(Deployment, ReadsEverySetting) {
  const auto deployment = parse_deployment(
      "engine = \"openvino\"\nprecision = \"bf16\"\nthreads = 2\nstreams = 3\nbatch = 16\noptimisation = "
      "\"basic\"\npin_threads = true\nspin = false\nflush_denormals = true\n",
      "deployment.toml");
  ASSERT_TRUE(deployment) << deployment.error().message;
  EXPECT_EQ(deployment->engine, "openvino");
  EXPECT_EQ(deployment->precision, "bf16");
  EXPECT_EQ(deployment->threads, 2);
  EXPECT_EQ(deployment->streams, 3);
  EXPECT_EQ(deployment->batch, 16);
  EXPECT_EQ(deployment->optimisation, "basic");
  EXPECT_EQ(deployment->pin_threads, true);
  EXPECT_EQ(deployment->spin, false);
  EXPECT_EQ(deployment->flush_denormals, true);
}

TEST(Deployment, WhatIsNotThereIsLeftOpen) {
  const auto deployment = parse_deployment("threads = 1\n", "d");
  ASSERT_TRUE(deployment);
  EXPECT_FALSE(deployment->engine);
  EXPECT_FALSE(deployment->batch);
}

TEST(Deployment, NamesWhatIsWrong) {
  for (const auto& [text, part] :
       std::initializer_list<std::pair<const char*, const char*>>{{"threads = 0", "threads = 0"},
                                                                  {"threads = \"many\"", "threads = many"},
                                                                  {"batch = 1.5", "batch = 1.5"},
                                                                  {"batch = 99999999999", "batch"},
                                                                  {"spin = 1", "spin = 1"},
                                                                  {"library = \"/tmp/evil.so\"", "'library'"},
                                                                  {"threads = ", "deployment.toml"}}) {
    const auto deployment = parse_deployment(text, "deployment.toml");
    ASSERT_FALSE(deployment) << text;
    EXPECT_EQ(deployment.error().kind, Error::Kind::user);
    EXPECT_THAT(deployment.error().message, HasSubstr(part));
  }
}

TEST(Deployment, AFolderWithoutOneHasNone) {
  const auto deployment = read_deployment("/no/such/bundle");
  ASSERT_TRUE(deployment);
  EXPECT_FALSE(deployment->threads);
}

}  // namespace
}  // namespace joulery::bundle
