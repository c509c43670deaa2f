#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/result.hpp"

namespace joulery::app {

/// A fresh folder in the place for temporary files, which goes with the object. Only we can look into it.
class TemporaryFolder {
 public:
  /// `purpose` is what it is for, "the model". Environment error if none can be made.
  static Result<TemporaryFolder> create(std::string_view purpose);
  TemporaryFolder(TemporaryFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TemporaryFolder& operator=(TemporaryFolder&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
  }
  ~TemporaryFolder();
  const std::string& path() const { return path_; }

 private:
  explicit TemporaryFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace joulery::app
