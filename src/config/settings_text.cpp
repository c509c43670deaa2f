#include "config/settings_text.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>

#include "base/files.hpp"
#include "base/text.hpp"

namespace joulery::config {
namespace {

using State = SettingsFile::State;
constexpr std::size_t kLargestFile = 1 << 20;
constexpr int kMostLinks = 8;

SettingsText passed_over(std::string reason) {
  return {.state = State::foreign, .text = {}, .reason = std::move(reason)};
}

bool trusted(const struct stat& info) {
  return info.st_uid == ::geteuid() || info.st_uid == 0;
}

/// Many systems give each user a group of the same number and let it write; nobody else is in it.
bool others_can_write(const struct stat& info) {
  const bool private_group = info.st_gid == info.st_uid;
  return (info.st_mode & S_IWOTH) != 0 || ((info.st_mode & S_IWGRP) != 0 && !private_group);
}

Result<std::string> read_all(const FileDescriptor& file, const std::string& path) {
  std::string text;
  std::array<char, 16384> buffer;
  while (true) {
    const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return user_error(fmt::format("can't read '{}': {}", printable(path), errno_text(errno)));
    if (got == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(got));
    if (text.size() > kLargestFile) {
      return user_error(
          fmt::format("'{}' is larger than {}", printable(path), format_bytes(double(kLargestFile))));
    }
  }
}

/// Where a link of ours or root's leads; empty if it is somebody else's. Looked at and read through one
/// descriptor, which stays the same link whatever happens to its name.
std::string trusted_target(const std::string& path) {
  const FileDescriptor link(::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat info{};
  if (!link.valid() || ::fstat(link.get(), &info) != 0 || !S_ISLNK(info.st_mode) || !trusted(info)) return {};
  std::array<char, PATH_MAX> target{};
  const ssize_t size = ::readlinkat(link.get(), "", target.data(), target.size());
  if (size <= 0 || static_cast<std::size_t>(size) == target.size()) return {};
  const std::string name(target.data(), static_cast<std::size_t>(size));
  return name.front() == '/' ? name : path.substr(0, path.rfind('/') + 1) + name;
}

Result<SettingsText> judge(const FileDescriptor& file, const std::string& path) {
  struct stat info{};
  if (::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) return passed_over("is no regular file");
  if (!trusted(info)) return passed_over("belongs to another user");
  if (others_can_write(info)) return passed_over("can be written by others");
  JOULERY_ASSIGN(std::string text, read_all(file, path));
  return SettingsText{.state = State::read, .text = std::move(text), .reason = {}};
}

}  // namespace

Result<SettingsText> read_user_settings(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) return SettingsText{};
  JOULERY_ASSIGN(std::string text, read_file(path, kLargestFile));
  return SettingsText{.state = State::read, .text = std::move(text), .reason = {}};
}

Result<SettingsText> read_project_settings(const std::string& path) {
  std::string place = path;
  for (int links = 0; links <= kMostLinks; ++links) {
    const FileDescriptor file(
        ::open(place.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (file.valid()) return judge(file, path);
    if (errno == ENOENT || errno == ENOTDIR) return SettingsText{};
    if (errno != ELOOP) return passed_over(fmt::format("can't be opened ({})", errno_text(errno)));
    place = trusted_target(place);
    if (place.empty()) return passed_over("is a link of another user");
  }
  return passed_over("is a link to too many links");
}

}  // namespace joulery::config
