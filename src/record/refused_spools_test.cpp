#include "record/refused_spools.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/files.hpp"
#include "record/store_fixture.hpp"

namespace joulery::record {
namespace {

class SetAsideTest : public FolderTest, public ::testing::WithParamInterface<MoveFile> {
 protected:
  FileDescriptor place_{::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  Result<std::optional<std::string>> set_aside_here(const std::string& name) {
    return set_aside(place_.get(), name, GetParam());
  }
};

TEST_P(SetAsideTest, NothingIsReplaced) {
  for (const std::string text : {"one", "two", "three"}) {
    write_bytes(folder_ + "/a.spool", text);
    const auto kept_as = must(set_aside_here("a.spool"));
    ASSERT_TRUE(kept_as.has_value());
    EXPECT_EQ(file_bytes(folder_ + "/refused/" + *kept_as), text);
    EXPECT_FALSE(std::filesystem::exists(folder_ + "/a.spool"));
  }
  EXPECT_EQ(file_bytes(folder_ + "/refused/a.spool"), "one");
  EXPECT_EQ(file_bytes(folder_ + "/refused/a.spool.2"), "three");
}

TEST_P(SetAsideTest, AFileThatIsGoneIsNoError) {
  EXPECT_EQ(must(set_aside_here("gone.spool")), std::nullopt);
  write_bytes(folder_ + "/refused/gone.spool", "moved by somebody else");
  EXPECT_EQ(must(set_aside_here("gone.spool")), std::nullopt);
  EXPECT_EQ(file_bytes(folder_ + "/refused/gone.spool"), "moved by somebody else");
}

TEST_P(SetAsideTest, LinksPipesAndFoldersAreMovedAsTheyAre) {
  std::filesystem::create_symlink("/etc/passwd", folder_ + "/link.spool");
  ASSERT_EQ(::mkfifo((folder_ + "/pipe.spool").c_str(), 0600), 0);
  for (const std::string inside : {"1", "2"}) {
    std::filesystem::create_directory(folder_ + "/folder.spool");
    write_bytes(folder_ + "/folder.spool/" + inside, "kept");
    EXPECT_TRUE(must(set_aside_here("folder.spool")).has_value());
  }
  EXPECT_TRUE(must(set_aside_here("link.spool")).has_value());
  EXPECT_TRUE(must(set_aside_here("pipe.spool")).has_value());
  EXPECT_TRUE(std::filesystem::is_symlink(folder_ + "/refused/link.spool"));
  EXPECT_TRUE(std::filesystem::is_fifo(folder_ + "/refused/pipe.spool"));
  EXPECT_TRUE(std::filesystem::exists(folder_ + "/refused/folder.spool/1"));
  EXPECT_TRUE(std::filesystem::exists(folder_ + "/refused/folder.spool.1/2"));
}

TEST_P(SetAsideTest, AFolderThatCanNotBeMadeIsToldAndTheFileStays) {
  write_bytes(folder_ + "/refused", "in the way");
  write_bytes(folder_ + "/a.spool", "x");
  EXPECT_FALSE(set_aside_here("a.spool").has_value());
  EXPECT_EQ(file_bytes(folder_ + "/a.spool"), "x");
}

INSTANTIATE_TEST_SUITE_P(Ways, SetAsideTest, ::testing::Values(move_without_replacing, link_and_unlink),
                         [](const auto& way) { return way.index == 0 ? "InOneStep" : "ByLink"; });

TEST_F(FolderTest, AMoveByLinkThatSomebodyElseIsInTheMidstOfIsNotDoneTwice) {
  write_bytes(folder_ + "/a.spool", "x");
  std::filesystem::create_directory(folder_ + "/refused");
  std::filesystem::create_hard_link(folder_ + "/a.spool", folder_ + "/refused/a.spool");
  const FileDescriptor place(::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  EXPECT_EQ(must(set_aside(place.get(), "a.spool", link_and_unlink)), std::nullopt);
  EXPECT_EQ(file_bytes(folder_ + "/refused/a.spool"), "x");
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/a.spool"));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/refused/a.spool.1"));
}

}  // namespace
}  // namespace joulery::record
