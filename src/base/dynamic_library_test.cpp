#include "base/dynamic_library.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/test_folder.hpp"

namespace joulery {
namespace {

class DynamicLibraryTest : public testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& content) {
    std::string path = folder_.write(name, content);
    ::chmod(path.c_str(), 0644);
    return path;
  }
  TestFolder folder_;
};

TEST_F(DynamicLibraryTest, FindsItsOwnFolderAndLoadsTheCoreFromThere) {
  const std::string folder = own_library_directory();
  ASSERT_FALSE(folder.empty());
  const auto library = DynamicLibrary::open(folder + "/libjoulery_core.so");
  ASSERT_TRUE(library.has_value()) << library.error().message;
  EXPECT_EQ(library->symbol("there_is_no_such_symbol"), nullptr);
}

TEST_F(DynamicLibraryTest, RefusesARelativePath) {
  const auto library = DynamicLibrary::open("libm.so.6");
  ASSERT_FALSE(library.has_value());
  EXPECT_EQ(library.error().kind, Error::Kind::user);
}

TEST_F(DynamicLibraryTest, MissingLibraryIsTheEnvironmentsFault) {
  const auto library = DynamicLibrary::open(folder_.path("none.so"));
  ASSERT_FALSE(library.has_value());
  EXPECT_EQ(library.error().kind, Error::Kind::environment);
}

TEST_F(DynamicLibraryTest, RefusesAFileThatIsNoLibrary) {
  const auto library = DynamicLibrary::open(write("text.so", "not a library"));
  ASSERT_FALSE(library.has_value());
  EXPECT_EQ(library.error().kind, Error::Kind::environment);
}

TEST_F(DynamicLibraryTest, RefusesAFolderInPlaceOfAFile) {
  EXPECT_FALSE(check_library_is_trusted(folder_.path()).has_value());
}

TEST_F(DynamicLibraryTest, TrustsOnlyWhatNobodyElseCanWrite) {
  const std::string path = write("plain.so", "x");
  EXPECT_TRUE(check_library_is_trusted(path).has_value());
  ::chmod(path.c_str(), 0666);
  const auto writable = check_library_is_trusted(path);
  ASSERT_FALSE(writable.has_value());
  EXPECT_NE(writable.error().hint.find("chmod o-w"), std::string::npos);
  ::chmod(path.c_str(), 0644);
  ::chmod(folder_.path().c_str(), 0777);
  EXPECT_FALSE(check_library_is_trusted(path).has_value());
}

TEST_F(DynamicLibraryTest, AFolderAboveMustNotBeEverybodysToRename) {
  const std::string path = write("shared/mine/plain.so", "x");
  ASSERT_TRUE(check_library_is_trusted(path).has_value());
  ::chmod(folder_.path("shared").c_str(), 0777);
  EXPECT_FALSE(check_library_is_trusted(path).has_value());
  // As /tmp is: what is in it can be renamed by its owner only.
  ::chmod(folder_.path("shared").c_str(), 01777);
  EXPECT_TRUE(check_library_is_trusted(path).has_value());
}

TEST_F(DynamicLibraryTest, RefusesAnotherUsersFile) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  const std::string path = write("foreign.so", "x");
  ASSERT_EQ(::chown(path.c_str(), 12345, 12345), 0);
  EXPECT_FALSE(check_library_is_trusted(path).has_value());
}

TEST_F(DynamicLibraryTest, FollowsALinkBeforeItJudges) {
  const std::string target = write("target.so", "x");
  ::chmod(target.c_str(), 0666);
  const std::string link = folder_.path("link.so");
  std::filesystem::create_symlink(target, link);
  EXPECT_FALSE(check_library_is_trusted(link).has_value());
}

}  // namespace
}  // namespace joulery
