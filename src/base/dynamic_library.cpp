#include "base/dynamic_library.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <memory>

#include "base/files.hpp"
#include "base/text.hpp"

namespace joulery {
namespace {

std::string real_path(const char* path) {
  const std::unique_ptr<char, decltype(&std::free)> resolved(::realpath(path, nullptr), &std::free);
  return resolved ? std::string(resolved.get()) : std::string();
}

/// By setcap or setuid, and not given up since.
bool has_privileges_that_the_user_lacks() {
  if (::getauxval(AT_SECURE) == 0) return false;
  if (::getuid() != ::geteuid() || ::getgid() != ::getegid()) return true;
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> held{};
  if (::syscall(SYS_capget, &header, held.data()) != 0) return true;
  return std::ranges::any_of(held, [](const auto& word) { return word.permitted != 0; });
}

/// Owned by the user or root, and nobody else may write it. With privileges that the user lacks (setcap,
/// setuid), what is the user's is not trusted either, as the loader does with LD_LIBRARY_PATH.
Status check_owner(const std::string& path, const struct stat& status) {
  if (status.st_uid != 0 && has_privileges_that_the_user_lacks()) {
    return user_error(
        fmt::format("'{}' is not loaded: this program has privileges that you lack", printable(path)),
        "chown it to root, or run a copy of joulery without them");
  }
  if (status.st_uid != 0 && status.st_uid != ::geteuid()) {
    return user_error(
        fmt::format("'{}' is not loaded: it belongs to another user ({})", printable(path), status.st_uid),
        "chown it to yourself or root");
  }
  if ((status.st_mode & S_IWOTH) != 0) {
    return user_error(fmt::format("'{}' is not loaded: everybody may write it", printable(path)),
                      fmt::format("chmod o-w {}", printable(path)));
  }
  return {};
}

/// Whoever may rename a folder can put another in its place, also between this check and the loading. Folders
/// above may be another user's, such as a project's; not everybody's, unless each may only touch his own
/// there.
Status check_folders_above(std::string folder) {
  while (folder != "/") {
    folder = folder_of(folder);
    struct stat status = {};
    if (::stat(folder.c_str(), &status) != 0) {
      return environment_error(
          fmt::format("can't look at folder '{}': {}", printable(folder), errno_text(errno)));
    }
    if ((status.st_mode & S_IWOTH) != 0 && (status.st_mode & S_ISVTX) == 0) {
      return user_error(
          fmt::format("what is in '{}' is not loaded: everybody may write that folder", printable(folder)),
          fmt::format("chmod o-w {}", printable(folder)));
    }
  }
  return {};
}

}  // namespace

Status check_library_is_trusted(const std::string& path) {
  if (!path.starts_with('/')) {
    return user_error(fmt::format("library '{}' is not loaded: its path is not absolute", printable(path)));
  }
  const std::string real = real_path(path.c_str());
  struct stat status = {};
  if (real.empty() || ::stat(real.c_str(), &status) != 0) {
    return environment_error(fmt::format("there is no library '{}': {}", printable(path), errno_text(errno)));
  }
  if (!S_ISREG(status.st_mode)) return user_error(fmt::format("library '{}' is not a file", printable(path)));
  JOULERY_CHECK_OK(check_owner(real, status));
  const std::string folder = folder_of(real);
  if (::stat(folder.c_str(), &status) != 0) {
    return environment_error(
        fmt::format("can't look at folder '{}': {}", printable(folder), errno_text(errno)));
  }
  JOULERY_CHECK_OK(check_owner(folder, status));
  return check_folders_above(folder);
}

Result<DynamicLibrary> DynamicLibrary::open(const std::string& path) {
  JOULERY_CHECK_OK(check_library_is_trusted(path));
  void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* reason = ::dlerror();
    return environment_error(fmt::format("can't load library '{}': {}", printable(path),
                                         printable(reason == nullptr ? "unknown reason" : reason)));
  }
  return DynamicLibrary(handle, path);
}

void* DynamicLibrary::symbol(const char* name) const {
  return ::dlsym(handle_, name);
}

std::vector<std::string> configured_library_folders(const SystemRoot& root) {
  constexpr const char* kConfiguration = "/etc/ld.so.conf.d";
  constexpr std::size_t kLongestFile = 65536;
  std::vector<std::string> folders;
  for (const std::string& name : root.list(kConfiguration)) {
    if (!name.ends_with(".conf")) continue;
    const auto text = root.read_text(fmt::format("{}/{}", kConfiguration, name), kLongestFile);
    if (!text) continue;
    for (const std::string_view line : split(*text, '\n')) {
      if (trim(line).starts_with('/')) folders.emplace_back(trim(line));
    }
  }
  return folders;
}

std::string own_library_directory() {
  Dl_info info = {};
  if (::dladdr(reinterpret_cast<void*>(&own_library_directory), &info) == 0 || info.dli_fname == nullptr)
    return {};
  const std::string path = real_path(info.dli_fname);
  return path.empty() ? path : folder_of(path);
}

}  // namespace joulery
