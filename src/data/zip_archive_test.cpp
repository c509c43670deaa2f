#include "data/zip_archive.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "data/dataset_fixture.hpp"

namespace joulery::data {
namespace {

using ::testing::HasSubstr;

/// An archive whose every number can be made wrong.
struct Member {
  std::string name;
  std::string content;
  std::uint16_t method = 0;
  std::uint16_t flags = 0;
  std::uint32_t claimed_size = 0;
  /// Where the directory says that it is; by itself where it is.
  std::uint32_t claimed_offset = 0xFFFFFFFE;
};

std::string number(std::uint64_t value, std::size_t width) {
  std::string bytes;
  for (std::size_t i = 0; i < width; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xFFU);
  return bytes;
}

std::string archive(const std::vector<Member>& members) {
  std::string bytes;
  std::string directory;
  for (const Member& member : members) {
    const auto start = static_cast<std::uint32_t>(bytes.size());
    const std::size_t claimed = member.claimed_size == 0 ? member.content.size() : member.claimed_size;
    const std::string shared = number(20, 2) + number(member.flags, 2) + number(member.method, 2) +
                               number(0, 4) + number(0, 4) + number(member.content.size(), 4) +
                               number(claimed, 4) + number(member.name.size(), 2) + number(0, 2);
    bytes += "PK\x03\x04" + shared + member.name + member.content;
    directory += "PK\x01\x02" + number(20, 2) + shared + number(0, 2) + number(0, 2) + number(0, 2) +
                 number(0, 4) +
                 number(member.claimed_offset == 0xFFFFFFFE ? start : member.claimed_offset, 4) + member.name;
  }
  return bytes + directory + "PK\x05\x06" + number(0, 4) + number(members.size(), 2) +
         number(members.size(), 2) + number(directory.size(), 4) + number(bytes.size(), 4) + number(0, 2);
}

std::string refusal(const std::string& bytes) {
  const auto file = random_access_of(bytes, "hostile.zip");
  const auto members = read_zip(*file);
  return members ? "read" : members.error().message;
}

TEST(Zip, WhatIsSoundIsRead) {
  const auto file =
      random_access_of(archive({{.name = "a", .content = "one"}, {.name = "b", .content = "two"}}), "z");
  const auto members = read_zip(*file);
  ASSERT_TRUE(members) << members.error().message;
  ASSERT_EQ(members->size(), 2u);
  const auto source = open_zip_member(file, (*members)[1]);
  std::string content(3, ' ');
  ASSERT_TRUE(read_exactly(*source, std::as_writable_bytes(std::span(content)), "it"));
  EXPECT_EQ(content, "two");
}

TEST(Zip, WhatIsBuiltToMisleadIsRefused) {
  const Member plain{.name = "a", .content = std::string(40, 'x')};
  EXPECT_THAT(refusal(archive({plain, plain})), HasSubstr("two members are called 'a'"));
  Member over = plain;
  over.name = "b";
  over.claimed_offset = 0;
  EXPECT_THAT(refusal(archive({plain, over})), HasSubstr("over each other"));
  Member beyond = plain;
  beyond.claimed_offset = 5'000'000;
  EXPECT_THAT(refusal(archive({beyond})), HasSubstr("not where the directory says"));
  Member bomb = plain;
  bomb.method = 8;
  bomb.claimed_size = 4'000'000'000;
  EXPECT_THAT(refusal(archive({bomb})), HasSubstr("no deflate stream holds"));
  Member two_sizes = plain;
  two_sizes.claimed_size = 41;
  EXPECT_THAT(refusal(archive({two_sizes})), HasSubstr("two sizes"));
  Member locked = plain;
  locked.flags = 1;
  EXPECT_THAT(refusal(archive({locked})), HasSubstr("is encrypted"));
  Member strange = plain;
  strange.method = 14;
  EXPECT_THAT(refusal(archive({strange})), HasSubstr("method 14"));
}

TEST(Zip, EveryCutIsRefused) {
  const auto bytes = read_file(fixture("stored.npz"), 100'000);
  ASSERT_TRUE(bytes);
  for (std::size_t size = 0; size < bytes->size(); size += 7) {
    EXPECT_NE(refusal(bytes->substr(0, size)), "read") << size;
  }
}

}  // namespace
}  // namespace joulery::data
