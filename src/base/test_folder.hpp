#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <system_error>

namespace joulery {

/// A fresh folder that goes with the object, so that tests which run side by side never share one.
class TestFolder {
 public:
  TestFolder() : path_(std::filesystem::temp_directory_path() / "joulery-test-XXXXXX") {
    if (::mkdtemp(path_.data()) == nullptr)
      throw std::system_error(errno, std::generic_category(), "can't make " + path_);
    // Tests that give up root's rights must still reach it.
    std::filesystem::permissions(path_, std::filesystem::perms(0755));
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  ~TestFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::string& path() const { return path_; }
  /// Of what is in it. The name may start with '/', as those of a made-up /proc or /sys do.
  std::string path(const std::string& name) const {
    return path_ + (name.starts_with('/') ? "" : "/") + name;
  }
  /// Makes the folders above it as well; returns the whole path.
  std::string write(const std::string& name, std::string_view bytes) const {
    std::string file = path(name);
    std::filesystem::create_directories(std::filesystem::path(file).parent_path());
    if (!(std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes << std::flush))
      ADD_FAILURE() << "can't write " << file;
    return file;
  }
  /// Empty if there is no such file.
  std::string read(const std::string& name) const {
    std::ifstream file(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

 private:
  std::string path_;
};

}  // namespace joulery
