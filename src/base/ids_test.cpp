#include "base/ids.hpp"

#include <gtest/gtest.h>

#include <array>
#include <set>

namespace joulery {
namespace {

TEST(Sha256, MatchesThePublishedVectors) {  // FIPS 180-4 examples
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  const std::array<std::string_view, 2> parts{"a", "bc"};
  EXPECT_EQ(sha256_hex(parts), sha256_hex("abc"));
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256_hex(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(RunId, IsAVersion7UuidThatSortsByTime) {
  const std::string early = make_run_id(1'700'000'000'000'000'000);
  const std::string late = make_run_id(1'700'000'000'001'000'000);
  ASSERT_TRUE(is_run_id(early));
  EXPECT_EQ(early[12], '7');
  EXPECT_NE(std::string("89ab").find(early[16]), std::string::npos);
  EXPECT_EQ(early.substr(0, 12), "018bcfe56800");
  EXPECT_LT(early.substr(0, 12), late.substr(0, 12));
}

TEST(RunId, DoesNotRepeatInOneMillisecond) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(make_run_id(1'700'000'000'000'000'000));
  EXPECT_EQ(seen.size(), 1000U);
}

TEST(RunId, RejectsWhatIsNone) {
  EXPECT_FALSE(is_run_id(""));
  EXPECT_FALSE(is_run_id("018BCFE5680070008000000000000000"));
  EXPECT_FALSE(is_run_id("018bcfe568007000800000000000000g"));
  EXPECT_FALSE(is_run_id("018bcfe56800700080000000000000000"));
}

}  // namespace
}  // namespace joulery
