#include "cli/output_file.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/files.hpp"
#include "base/text.hpp"

namespace joulery::cli {

Status check_output_file(const std::string& flag, const std::string& file, const std::string& example) {
  if (file.empty()) return user_error(flag + " needs the name of a file", flag + " " + example);
  struct stat info{};
  if (file.back() == '/' || (::stat(file.c_str(), &info) == 0 && S_ISDIR(info.st_mode))) {
    return user_error(fmt::format("{}: '{}' is a folder", flag, printable(file)),
                      fmt::format("name a file in it: {} {}{}{}", flag, printable(file),
                                  file.back() == '/' ? "" : "/", example));
  }
  const std::string folder = folder_of(file);
  if (::stat(folder.c_str(), &info) != 0 && (errno == ENOENT || errno == ENOTDIR)) {
    return user_error(fmt::format("{}: can't write '{}': there is no folder '{}'", flag, printable(file),
                                  printable(folder)),
                      fmt::format("make it first: mkdir -p '{}'", printable(folder)));
  }
  if (::access(folder.c_str(), W_OK) == 0) return {};
  return environment_error(
      fmt::format("{}: can't write into '{}': {}", flag, printable(folder), errno_text(errno)),
      "name a file in a folder that is yours");
}

}  // namespace joulery::cli
