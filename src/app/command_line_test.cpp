#include "app/command_line.hpp"

#include <gmock/gmock.h>

namespace joulery::app {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(CommandLine, BlanksSeparateAndQuotesKeep) {
  EXPECT_THAT(*split_command_line("python3  train.py\t--quick"),
              ElementsAre("python3", "train.py", "--quick"));
  EXPECT_THAT(*split_command_line("a 'b c' \"d e\" f\\ g"), ElementsAre("a", "b c", "d e", "f g"));
  EXPECT_THAT(*split_command_line("--name='x y'z"), ElementsAre("--name=x yz"));
  EXPECT_THAT(*split_command_line("a '' \"\""), ElementsAre("a", "", ""));
}

TEST(CommandLine, BackslashesAsInAShell) {
  EXPECT_THAT(*split_command_line(R"('a\b' "a\b" "a\"b" "a\\b" a\\b "\$x")"),
              ElementsAre("a\\b", "a\\b", "a\"b", "a\\b", "a\\b", "$x"));
  EXPECT_THAT(*split_command_line("a\\\nb \"c\\\nd\""), ElementsAre("ab", "cd"));
}

TEST(CommandLine, NothingIsExpanded) {
  EXPECT_THAT(*split_command_line("echo $HOME *.txt ~ $(date)"),
              ElementsAre("echo", "$HOME", "*.txt", "~", "$(date)"));
}

TEST(CommandLine, WhatOnlyAShellCanDoIsRefused) {
  for (const char* text : {"a | b", "a && b", "a; b", "a > b", "a <b", "a&"}) {
    const auto words = split_command_line(text);
    ASSERT_FALSE(words) << text;
    EXPECT_THAT(words.error().hint, HasSubstr("sh -c"));
  }
  EXPECT_THAT(*split_command_line("sh -c 'a | b; c'"), ElementsAre("sh", "-c", "a | b; c"));
}

TEST(CommandLine, BrokenOnesAreNamed) {
  EXPECT_THAT(split_command_line("a 'b").error().message, HasSubstr("without its partner"));
  EXPECT_THAT(split_command_line("a \"b\\\"").error().message, HasSubstr("without its partner"));
  EXPECT_THAT(split_command_line("a \\").error().message, HasSubstr("backslash"));
  EXPECT_THAT(split_command_line(" \t ").error().message, HasSubstr("empty"));
  EXPECT_FALSE(split_command_line(std::string_view("a\0b", 3)));
}

}  // namespace
}  // namespace joulery::app
