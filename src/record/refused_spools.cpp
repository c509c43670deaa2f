#include "record/refused_spools.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/files.hpp"
#include "base/text.hpp"

namespace joulery::record {
namespace {

bool is_absent(int folder, const char* name) {
  struct stat info{};
  return ::fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT;
}

bool is_same_file(const struct stat& file, int folder, const char* name) {
  struct stat info{};
  return ::fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && info.st_dev == file.st_dev &&
         info.st_ino == file.st_ino;
}

}  // namespace

int link_and_unlink(int from_folder, const char* name, int to_folder, const char* new_name) {
  struct stat file{};
  if (::fstatat(from_folder, name, &file, AT_SYMLINK_NOFOLLOW) != 0) return errno;
  if (S_ISDIR(file.st_mode)) {
    // A folder has no second name. Renaming replaces no file with it, and no folder that holds anything.
    if (!is_absent(to_folder, new_name)) return EEXIST;
    return ::renameat(from_folder, name, to_folder, new_name) == 0 ? 0 : errno;
  }
  if (::linkat(from_folder, name, to_folder, new_name, 0) != 0) {
    const int error = errno;
    if (error != EEXIST || !is_same_file(file, to_folder, new_name)) return error;
    // Somebody else is between the two steps, or died there.
    static_cast<void>(::unlinkat(from_folder, name, 0));
    return ENOENT;
  }
  if (::unlinkat(from_folder, name, 0) == 0 || errno == ENOENT) return 0;
  const int error = errno;
  static_cast<void>(::unlinkat(to_folder, new_name, 0));
  return error;
}

int move_without_replacing(int from_folder, const char* name, int to_folder, const char* new_name) {
  if (::renameat2(from_folder, name, to_folder, new_name, RENAME_NOREPLACE) == 0) return 0;
  const bool unsupported = errno == EINVAL || errno == ENOSYS;
  return unsupported ? link_and_unlink(from_folder, name, to_folder, new_name) : errno;
}

Result<std::optional<std::string>> set_aside(int place, const std::string& name, MoveFile move) {
  const auto failed = [](const char* what, int error) {
    return environment_error(
        fmt::format("can't {} the folder '{}': {}", what, kRefusedFolder, errno_text(error)));
  };
  if (::mkdirat(place, kRefusedFolder, 0700) != 0 && errno != EEXIST) return failed("make", errno);
  const FileDescriptor folder(
      ::openat(place, kRefusedFolder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder.valid()) return failed("open", errno);
  constexpr int kMostOfOneName = 1000;
  for (int number = 0; number < kMostOfOneName; ++number) {
    std::string kept_as = number == 0 ? name : fmt::format("{}.{}", name, number);
    const int error = move(place, name.c_str(), folder.get(), kept_as.c_str());
    if (error == 0) return std::optional(std::move(kept_as));
    if (error == EEXIST) continue;
    // The folder may be what is gone.
    if (error == ENOENT && is_absent(place, name.c_str())) return std::optional<std::string>();
    return failed("move it into", error);
  }
  return environment_error(fmt::format("the folder '{}' is full of its like", kRefusedFolder));
}

}  // namespace joulery::record
