#include "base/files.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>

#include "base/test_folder.hpp"

namespace joulery {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class Files : public testing::Test {
 protected:
  static unsigned mode_of(const std::string& path) {
    struct stat info{};
    return stat(path.c_str(), &info) == 0 ? info.st_mode & 0777U : 0;
  }
  TestFolder folder_;
};

TEST(FolderOf, IsThePartBeforeTheName) {
  EXPECT_EQ(folder_of("/a/b"), "/a");
  EXPECT_EQ(folder_of("/a"), "/");
  EXPECT_EQ(folder_of("a"), ".");
  EXPECT_EQ(folder_of("a/b/c"), "a/b");
}

TEST_F(Files, ReadsKernelFilesBelowItsPrefix) {
  folder_.write("sys/a/energy_uj", "12345\n");
  folder_.write("sys/b/x", "not a number\n");
  const SystemRoot root(folder_.path("/"));
  EXPECT_EQ(root.read_integer("/sys/a/energy_uj").value(), 12345);
  EXPECT_EQ(root.read_line("/sys/b/x").value(), "not a number");
  EXPECT_THAT(root.read_integer("/sys/b/x").error().message, HasSubstr("holds no number"));
  EXPECT_THAT(root.read_text("/sys/c").error().message, HasSubstr("/sys/c: No such file"));
  EXPECT_THAT(root.list("/sys"), ElementsAre("a", "b"));
  EXPECT_TRUE(root.list("/nowhere").empty());
}

TEST_F(Files, CanonicalStaysBelowThePrefix) {
  folder_.write("sys/devices/zone/name", "x");
  fs::create_directories(folder_.path("sys/class"));
  fs::create_symlink("../devices/zone", folder_.path("sys/class/zone"));
  fs::create_symlink("/etc", folder_.path("sys/class/outside"));
  const SystemRoot root(folder_.path());
  EXPECT_EQ(root.canonical("/sys/class/zone"), "/sys/devices/zone");
  EXPECT_EQ(root.canonical("/sys/class/outside"), "");
  EXPECT_EQ(root.canonical("/sys/class/none"), "");
}

TEST_F(Files, PolledFileSeesEachNewValue) {
  const std::string path = folder_.write("counter", "1\n");
  auto file = PolledFile::open(SystemRoot(folder_.path()), "/counter");
  ASSERT_TRUE(file);
  std::array<char, 32> buffer;
  EXPECT_EQ(file->read(buffer), "1\n");
  std::ofstream(path) << "2\n";
  EXPECT_EQ(file->read(buffer), "2\n");
  EXPECT_FALSE(PolledFile::open(SystemRoot(folder_.path()), "/none"));
}

TEST_F(Files, AtomicWriteReplacesOrLeavesAlone) {
  const std::string path = folder_.write("report.json", "old");
  ASSERT_EQ(chmod(path.c_str(), 0640), 0);
  ASSERT_TRUE(write_file_atomically(path, "new", 0600));
  EXPECT_EQ(read_file(path, 100).value(), "new");
  EXPECT_EQ(mode_of(path), 0640U) << "an old file keeps its mode";
  const mode_t mask = umask(027);
  ASSERT_TRUE(write_file_atomically(folder_.path("fresh"), "x", 0666));
  umask(mask);
  EXPECT_EQ(mode_of(folder_.path("fresh")), 0640U);
  EXPECT_FALSE(write_file_atomically(folder_.path("none/report.json"), "x"));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), {}), 2) << "a temporary file was left";
}

TEST_F(Files, AtomicWriteFollowsLinksAndLeavesDevicesAndPipesInPlace) {
  const std::string path = folder_.write("report.json", "old");
  fs::create_symlink("report.json", folder_.path("link"));
  ASSERT_TRUE(write_file_atomically(folder_.path("link"), "new"));
  EXPECT_TRUE(fs::is_symlink(folder_.path("link")));
  EXPECT_EQ(read_file(path, 100).value(), "new");
  ASSERT_TRUE(write_file_atomically("/dev/null", "x"));
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  const std::string pipe = folder_.path("pipe");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const FileDescriptor reader(open(pipe.c_str(), O_RDONLY | O_NONBLOCK));
  ASSERT_TRUE(write_file_atomically(pipe, "through"));
  std::array<char, 16> buffer{};
  EXPECT_EQ(read(reader.get(), buffer.data(), buffer.size()), 7);
  EXPECT_TRUE(fs::is_fifo(pipe));
}

TEST_F(Files, AContentInPartsIsOneFile) {
  const std::array<std::string_view, 3> parts{"one ", "", "two"};
  ASSERT_TRUE(write_file_atomically(folder_.path("parts"), parts));
  EXPECT_EQ(read_file(folder_.path("parts"), 100).value(), "one two");
}

TEST_F(Files, ReplacingAFileFollowsNoLink) {
  const std::string path = folder_.write("precious", "old");
  fs::create_symlink("precious", folder_.path("link"));
  const std::array<std::string_view, 1> parts{"new"};
  ASSERT_TRUE(replace_file_atomically(folder_.path("link"), parts));
  EXPECT_FALSE(fs::is_symlink(folder_.path("link")));
  EXPECT_EQ(read_file(folder_.path("link"), 100).value(), "new");
  EXPECT_EQ(read_file(path, 100).value(), "old");
}

TEST_F(Files, AFullDiskIsAnEnvironmentErrorWithAHint) {
  const FileDescriptor full(open("/dev/full", O_WRONLY));
  if (!full.valid()) GTEST_SKIP() << "no /dev/full";
  const Status status = write_all(full.get(), "x");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, Error::Kind::environment);
  EXPECT_THAT(status.error().message, HasSubstr("No space left"));
}

TEST_F(Files, ReadFileRefusesWhatIsTooLargeOrMissing) {
  const std::string path = folder_.write("big", std::string(100, 'x'));
  EXPECT_FALSE(read_file(path, 99));
  EXPECT_TRUE(read_file(path, 100));
  EXPECT_EQ(read_file(folder_.path("none"), 10).error().kind, Error::Kind::user);
  EXPECT_FALSE(read_file(folder_.path(), 10));
}

TEST_F(Files, MakesFoldersWithParents) {
  ASSERT_TRUE(make_directories(folder_.path("a/b/c"), 0700));
  ASSERT_TRUE(make_directories(folder_.path("a/b/c"), 0700));
  folder_.write("file", "x");
  EXPECT_THAT(make_directories(folder_.path("file/x")).error().message, HasSubstr("not a folder"));
}

TEST_F(Files, KnowsFilesystemsOfPathsThatDoNotExistYet) {
  EXPECT_NE(filesystem_kind(folder_.path("not/yet/there")), FilesystemKind::unknown);
  EXPECT_NE(filesystem_kind(folder_.path()), FilesystemKind::network);
}

}  // namespace
}  // namespace joulery
