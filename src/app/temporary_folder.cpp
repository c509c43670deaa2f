#include "app/temporary_folder.hpp"

#include <fmt/format.h>
#include <stdlib.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "base/files.hpp"

namespace joulery::app {

Result<TemporaryFolder> TemporaryFolder::create(std::string_view purpose) {
  const auto failure = [&](const std::string& why) {
    return environment_error(fmt::format("can't make a folder for {}: {}", purpose, why),
                             "set TMPDIR to a folder with room that can be written");
  };
  std::error_code error;
  const std::filesystem::path place = std::filesystem::temp_directory_path(error);
  if (error) return failure(error.message());
  std::string path = place / "joulery-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) return failure(errno_text(errno));
  return TemporaryFolder(std::move(path));
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

}  // namespace joulery::app
