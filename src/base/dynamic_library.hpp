#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/files.hpp"
#include "base/result.hpp"

namespace joulery {

/// A shared library opened at run time. It stays loaded until the process ends: code of it may still be
/// referred to.
class DynamicLibrary {
 public:
  /// `path` must be absolute. The file and its folder must belong to the user or root and not be writable by
  /// everybody, because their code runs with the user's rights; to root, if this program has more. User
  /// error if the path is not to be trusted, environment error if there is no such library or it can't be
  /// loaded.
  static Result<DynamicLibrary> open(const std::string& path);

  /// The address of a symbol; null if the library has none of that name.
  void* symbol(const char* name) const;
  template <class Function>
  Function* function(const char* name) const {
    return reinterpret_cast<Function*>(symbol(name));
  }
  const std::string& path() const { return path_; }

 private:
  DynamicLibrary(void* handle, std::string path) : handle_(handle), path_(std::move(path)) {}
  void* handle_;
  std::string path_;
};

/// Whether the file at `path` may be loaded as code, by the rule above.
Status check_library_is_trusted(const std::string& path);

/// The folders that the loader's own configuration names, in its order of files.
std::vector<std::string> configured_library_folders(const SystemRoot& root);

/// The real folder of the library that holds this function, where our plug-ins are; empty if unknown.
std::string own_library_directory();

}  // namespace joulery
