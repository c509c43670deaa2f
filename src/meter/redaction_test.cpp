#include "meter/redaction.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace joulery::meter {
namespace {

using testing::ElementsAre;

TEST(Redaction, HidesValuesOfFlagsThatNameASecret) {
  EXPECT_THAT(redact_arguments(
                  {"train", "--api-key", "abc", "--token=xyz", "-v", "HF_TOKEN=q", "--db-password", "p"}),
              ElementsAre("train", "--api-key", "[redacted]", "--token=[redacted]", "-v",
                          "HF_TOKEN=[redacted]", "--db-password", "[redacted]"));
}
TEST(Redaction, LeavesWordsThatOnlyContainOne) {
  EXPECT_THAT(redact_arguments({"--tokenizer", "bert", "--max-tokens=5", "--author", "x", "secretary.py"}),
              ElementsAre("--tokenizer", "bert", "--max-tokens=5", "--author", "x", "secretary.py"));
}
TEST(Redaction, AFlagAfterASecretFlagIsNoValue) {
  EXPECT_THAT(redact_arguments({"--token", "--verbose", "x"}), ElementsAre("--token", "--verbose", "x"));
}
TEST(Redaction, HidesKnownTokenShapesAnywhere) {
  EXPECT_THAT(redact_arguments({"ghp_0123456789abcdefghij", "AKIAIOSFODNN7EXAMPLE", "k=hf_abcdefghijklmnop",
                                "eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSM"}),
              ElementsAre("[redacted]", "[redacted]", "k=[redacted]", "[redacted]"));
}
TEST(Redaction, HidesPasswordsInUrlsAndHeaders) {
  EXPECT_THAT(redact_arguments(
                  {"postgresql://me:pa:ss@host/db", "https://host/a@b:c", "-H", "Authorization: Bearer x"}),
              ElementsAre("postgresql://me:[redacted]@host/db", "https://host/a@b:c", "-H",
                          "Authorization: [redacted]"));
}
TEST(CommandLine, QuotesForAShellWithoutControlCharacters) {
  EXPECT_EQ(command_line({"python3", "a b.py", "it's", "", "--x=1,2", "\x1b[31m\n'"}),
            "python3 'a b.py' 'it'\\''s' '' --x=1,2 $'\\x1b[31m\\n\\''");
}

}  // namespace
}  // namespace joulery::meter
