#include "base/files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/text.hpp"

namespace joulery {
namespace {

// From linux/magic.h and the file systems' own headers; not all of them are in the system's headers.
constexpr unsigned long kNfs = 0x6969;
constexpr unsigned long kSmb = 0x517B;
constexpr unsigned long kSmb2 = 0xFE534D42;
constexpr unsigned long kCifs = 0xFF534D42;
constexpr unsigned long kLustre = 0x0BD00BD0;
constexpr unsigned long kCeph = 0x00C36400;
constexpr unsigned long kAfs = 0x5346414F;
constexpr unsigned long kGpfs = 0x47504653;
constexpr unsigned long k9p = 0x01021997;
constexpr unsigned long kFuse = 0x65735546;
constexpr unsigned long kTmpfs = 0x01021994;
constexpr unsigned long kRamfs = 0x858458F6;

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

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this != &other) {
    reset();
    descriptor_ = std::exchange(other.descriptor_, -1);
  }
  return *this;
}

void FileDescriptor::reset() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
}

std::string errno_text(int error) {
  std::array<char, 256> buffer{};
  return strerror_r(error, buffer.data(), buffer.size());
}

SystemRoot::SystemRoot(std::string prefix) : prefix_(std::move(prefix)) {
  while (!prefix_.empty() && prefix_.back() == '/') prefix_.pop_back();
}

std::string SystemRoot::resolve(std::string_view path) const {
  return prefix_ + std::string(path);
}

Result<std::string> SystemRoot::read_text(std::string_view path, std::size_t limit) const {
  const FileDescriptor file(::open(resolve(path).c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return environment_error(fmt::format("can't open {}: {}", path, errno_text(errno)));
  std::string text;
  std::array<char, 16384> buffer;
  while (text.size() < limit) {
    const ssize_t got = ::read(file.get(), buffer.data(), std::min(buffer.size(), limit - text.size()));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return environment_error(fmt::format("can't read {}: {}", path, errno_text(errno)));
    if (got == 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return text;
}

Result<std::string> SystemRoot::read_line(std::string_view path) const {
  JOULERY_ASSIGN(const std::string text, read_text(path, 65536));
  return std::string(trim(std::string_view(text).substr(0, text.find('\n'))));
}

Result<std::int64_t> SystemRoot::read_integer(std::string_view path) const {
  JOULERY_ASSIGN(const std::string text, read_text(path, 4096));
  if (const auto number = parse_int64(trim(text))) return *number;
  return environment_error(fmt::format("{} holds no number: '{}'", path, printable(text.substr(0, 40))));
}

bool SystemRoot::exists(std::string_view path) const {
  return ::access(resolve(path).c_str(), F_OK) == 0;
}

std::vector<std::string> SystemRoot::list(std::string_view path) const {
  std::vector<std::string> names;
  DIR* folder = ::opendir(resolve(path).c_str());
  if (folder == nullptr) return names;
  while (const dirent* entry = ::readdir(folder)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  ::closedir(folder);
  std::sort(names.begin(), names.end());
  return names;
}

std::string SystemRoot::canonical(std::string_view path) const {
  char* real = ::realpath(resolve(path).c_str(), nullptr);
  if (real == nullptr) return {};
  std::string result = real;
  std::free(real);
  if (prefix_.empty()) return result;
  char* real_prefix = ::realpath(prefix_.c_str(), nullptr);
  if (real_prefix == nullptr) return {};
  const std::string base = real_prefix;
  std::free(real_prefix);
  if (result.rfind(base, 0) != 0) return {};
  result.erase(0, base.size());
  return result.empty() ? "/" : result;
}

Result<PolledFile> PolledFile::open(const SystemRoot& root, std::string_view path) {
  FileDescriptor file(::open(root.resolve(path).c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return environment_error(fmt::format("can't open {}: {}", path, errno_text(errno)));
  return PolledFile(std::move(file));
}

std::string_view PolledFile::read(std::span<char> buffer) {
  ssize_t got = 0;
  do {
    got = ::pread(descriptor_.get(), buffer.data(), buffer.size(), 0);
  } while (got < 0 && errno == EINTR);
  if (got < 0) {
    last_errno_ = errno;
    return {};
  }
  last_errno_ = 0;
  return {buffer.data(), static_cast<std::size_t>(got)};
}

Result<std::string> read_file(const std::string& path, std::size_t limit) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid())
    return user_error(fmt::format("can't open '{}': {}", printable(path), errno_text(errno)));
  struct stat info{};
  if (::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return user_error(fmt::format("'{}' is not a regular file", printable(path)));
  }
  std::string text;
  std::array<char, 65536> buffer;
  while (true) {
    const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return user_error(fmt::format("can't read '{}': {}", printable(path), errno_text(errno)));
    if (got == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(got));
    if (text.size() > limit) {
      return user_error(fmt::format("'{}' is larger than {}", printable(path), format_bytes(double(limit))));
    }
  }
}

Status write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return environment_error(fmt::format("can't write: {}", errno_text(errno)));
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

namespace {

Status write_parts(int descriptor, std::span<const std::string_view> parts) {
  for (const std::string_view part : parts) JOULERY_CHECK_OK(write_all(descriptor, part));
  return {};
}

/// A device, pipe or socket is written to as it is: it can't be replaced without harm.
Status write_special_file(const std::string& path, std::span<const std::string_view> parts) {
  // A pipe that nobody reads is an error, not something to wait for.
  const FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid()) {
    return environment_error(fmt::format("can't open '{}': {}", printable(path),
                                         errno == ENXIO ? "nobody reads from this pipe" : errno_text(errno)));
  }
  ::fcntl(file.get(), F_SETFL, ::fcntl(file.get(), F_GETFL) & ~O_NONBLOCK);
  const Status written = write_parts(file.get(), parts);
  if (written) return {};
  return environment_error(fmt::format("'{}': {}", printable(path), written.error().message));
}

/// Gives `path` a new file with exactly this mode.
Status replace_with_mode(const std::string& path, std::span<const std::string_view> parts, mode_t mode) {
  std::string temporary = path + ".XXXXXX";
  FileDescriptor file(::mkostemp(temporary.data(), O_CLOEXEC));
  const auto failed = [&](const char* what, int error) {
    if (file.valid()) ::unlink(temporary.c_str());
    return environment_error(fmt::format("can't {} '{}': {}", what, printable(path), errno_text(error)),
                             error == ENOSPC ? "free some space on that disk, then try again" : "");
  };
  if (!file.valid()) return failed("create", errno);
  if (::fchmod(file.get(), mode) != 0) return failed("set the mode of", errno);
  if (!write_parts(file.get(), parts)) return failed("write", errno);
  if (::fsync(file.get()) != 0) return failed("write", errno);
  if (std::rename(temporary.c_str(), path.c_str()) != 0) return failed("replace", errno);
  return {};
}

/// What a new file gets of `mode`.
mode_t less_umask(unsigned mode) {
  const mode_t mask = ::umask(0);
  ::umask(mask);
  return mode & ~mask;
}

}  // namespace

Status write_file_atomically(const std::string& path, std::string_view content, unsigned mode) {
  return write_file_atomically(path, std::span(&content, 1), mode);
}

Status write_file_atomically(const std::string& named_path, std::span<const std::string_view> parts,
                             unsigned mode) {
  std::string path = named_path;
  struct stat info{};
  mode = less_umask(mode);
  if (::stat(path.c_str(), &info) == 0) {
    if (!S_ISREG(info.st_mode)) return write_special_file(path, parts);
    mode = info.st_mode & 07777;
    // What a link leads to is replaced, not the link.
    if (char* real = ::realpath(path.c_str(), nullptr); real != nullptr) {
      path = real;
      std::free(real);
    }
  }
  return replace_with_mode(path, parts, mode);
}

Status replace_file_atomically(const std::string& path, std::span<const std::string_view> parts,
                               unsigned mode) {
  return replace_with_mode(path, parts, less_umask(mode));
}

Status make_directories(const std::string& path, unsigned mode) {
  if (path.empty() || path == "/") return {};
  struct stat info{};
  if (::stat(path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return {};
    return environment_error(fmt::format("'{}' is not a folder", printable(path)));
  }
  JOULERY_CHECK_OK(make_directories(folder_of(path), mode));
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) {
    return environment_error(
        fmt::format("can't make the folder '{}': {}", printable(path), errno_text(errno)));
  }
  return {};
}

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

FilesystemKind filesystem_kind(const std::string& path) {
  std::string place = path;
  struct statfs info{};
  while (::statfs(place.c_str(), &info) != 0) {
    if (errno == EINTR) continue;
    if (errno != ENOENT || place == "/" || place == ".") return FilesystemKind::unknown;
    place = folder_of(place);
  }
  switch (static_cast<unsigned long>(info.f_type) & 0xFFFFFFFFUL) {
    case kNfs:
    case kSmb:
    case kSmb2:
    case kCifs:
    case kLustre:
    case kCeph:
    case kAfs:
    case kGpfs:
    case k9p:
    case kFuse:
      return FilesystemKind::network;
    case kTmpfs:
    case kRamfs:
      return FilesystemKind::memory;
    default:
      return FilesystemKind::local;
  }
}

}  // namespace joulery
