#include "app/temporary_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <optional>

#include "base/test_folder.hpp"

namespace joulery::app {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// TMPDIR is a folder of the test's.
class TemporaryFolderTest : public testing::Test {
 protected:
  TemporaryFolderTest() {
    if (const char* before = ::getenv("TMPDIR")) before_ = before;
    ::setenv("TMPDIR", place_.path().c_str(), 1);
  }
  ~TemporaryFolderTest() override {
    before_ ? ::setenv("TMPDIR", before_->c_str(), 1) : ::unsetenv("TMPDIR");
  }
  TestFolder place_;
  std::optional<std::string> before_;
};

TEST_F(TemporaryFolderTest, IsOursAloneAndGoesWithAllThatIsInIt) {
  std::string path;
  {
    const auto folder = TemporaryFolder::create("a test");
    ASSERT_TRUE(folder) << folder.error().message;
    path = folder->path();
    EXPECT_EQ(fs::path(path).parent_path(), place_.path());
    EXPECT_EQ(fs::status(path).permissions(), fs::perms(0700));
    fs::create_directories(path + "/deep/er");
  }
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(TemporaryFolderTest, GoesOnceHoweverItWasMoved) {
  auto first = TemporaryFolder::create("a test");
  auto second = TemporaryFolder::create("a test");
  ASSERT_TRUE(first && second);
  const std::string paths[] = {first->path(), second->path()};
  {
    TemporaryFolder moved = std::move(*first);
    EXPECT_EQ(moved.path(), paths[0]);
    moved = std::move(*second);
    EXPECT_EQ(moved.path(), paths[1]);
  }
  EXPECT_FALSE(fs::exists(paths[1]));
  second = internal_error("gone");
  EXPECT_TRUE(fs::is_empty(place_.path()));
}

TEST_F(TemporaryFolderTest, WithoutAPlaceForItIsAnError) {
  const std::string file = place_.write("file", "x");
  for (const std::string& place : {place_.path("nowhere"), file}) {
    ::setenv("TMPDIR", place.c_str(), 1);
    const auto folder = TemporaryFolder::create("the model");
    ASSERT_FALSE(folder) << place;
    EXPECT_THAT(folder.error().message, HasSubstr("can't make a folder for the model: "));
    EXPECT_THAT(folder.error().hint, HasSubstr("TMPDIR"));
    EXPECT_EQ(folder.error().kind, Error::Kind::environment);
  }
}

}  // namespace
}  // namespace joulery::app
