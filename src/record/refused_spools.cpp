#include "record/refused_spools.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/files.hpp"
#include "base/text.hpp"

namespace joulery::record {
namespace {

bool is_absent(int folder, const char* name) {
  struct stat info{};
  return ::fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT;
}

}  // namespace

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
