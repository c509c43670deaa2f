#include "app/csv_append.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <optional>

#include "base/csv.hpp"
#include "base/files.hpp"
#include "base/text.hpp"

namespace joulery::app {
namespace {

/// No header of ours comes near.
constexpr std::size_t kLongestHeader = 65536;
constexpr int kMostBackups = 10'000;
/// A row takes microseconds; who holds the lock longer than this is stopped or stuck.
constexpr int kLockMilliseconds = 10'000;
/// How often the file may be moved aside by others between our steps.
constexpr int kMostTries = 100;

enum class Header { none, same, older, foreign };

/// What a link leads to, so that it is the file that is moved aside and not the link.
std::string real_path(const std::string& path) {
  char* resolved = ::realpath(path.c_str(), nullptr);
  if (resolved == nullptr) return path;
  std::string real = resolved;
  std::free(resolved);
  return real;
}

std::unexpected<Error> failed(const SharedCsv& csv, const char* what, int error) {
  return environment_error(
      fmt::format("{}: can't {} '{}': {}", csv.what, what, printable(csv.path), errno_text(error)),
      error == ENOSPC || error == EDQUOT ? "free some space on that disk; the run itself is in the record"
                                         : "");
}

/// Bytes from `offset`, as many as there are up to `limit`.
Result<std::string> read_at(const SharedCsv& csv, int file, off_t offset, std::size_t limit) {
  std::string text(limit, '\0');
  std::size_t filled = 0;
  while (filled < limit) {
    const ssize_t got =
        ::pread(file, text.data() + filled, limit - filled, offset + static_cast<off_t>(filled));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed(csv, "read", errno);
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  text.resize(filled);
  return text;
}

struct Found {
  Header kind = Header::none;
  std::vector<std::string> columns;
};

Result<Found> read_header(const SharedCsv& csv, int file) {
  JOULERY_ASSIGN(const std::string text, read_at(csv, file, 0, kLongestHeader));
  Found found;
  if (text.empty()) return found;
  static_cast<void>(CsvReader(text).next(found.columns));
  std::vector<std::string> there = found.columns;
  std::vector<std::string> wanted = csv.columns;
  std::sort(there.begin(), there.end());
  std::sort(wanted.begin(), wanted.end());
  // A header that was cut off while it was written.
  const std::string whole = csv_line(csv.columns);
  if (there == wanted) {
    found.kind = Header::same;
  } else if (csv.is_older(found.columns) || whole.starts_with(text)) {
    found.kind = Header::older;
  } else {
    found.kind = Header::foreign;
  }
  return found;
}

std::unexpected<Error> foreign_file(const SharedCsv& csv) {
  return user_error(fmt::format("{}: '{}' is another kind of file; nothing is appended to it", csv.what,
                                printable(csv.path)),
                    "name another file; a new one is made if it is not there");
}

Result<FileDescriptor> open_file(const SharedCsv& csv, int flags) {
  // Without blocking, should somebody have put a pipe there.
  FileDescriptor file(::open(csv.path.c_str(), flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0666));
  if (!file.valid()) return failed(csv, "open", errno);
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) return failed(csv, "read", errno);
  if (!S_ISREG(info.st_mode)) {
    return user_error(fmt::format("{}: '{}' is not a regular file", csv.what, printable(csv.path)));
  }
  return file;
}

Status lock(const SharedCsv& csv, int file) {
  constexpr int kPauseMilliseconds = 5;
  for (int waited = 0;; waited += kPauseMilliseconds) {
    if (::flock(file, LOCK_EX | LOCK_NB) == 0) return {};
    // A file system without locks: one write in append mode is all that can be had there.
    if (errno == ENOLCK || errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL) return {};
    if (errno != EWOULDBLOCK && errno != EINTR) return failed(csv, "lock", errno);
    if (waited >= kLockMilliseconds) {
      return environment_error(
          fmt::format("{}: another program holds '{}' locked", csv.what, printable(csv.path)),
          "see who: fuser -v FILE");
    }
    const timespec pause{0, kPauseMilliseconds * 1'000'000};
    ::nanosleep(&pause, nullptr);
  }
}

/// False if the name means another file by now.
bool still_there(const std::string& path, int file) {
  struct stat named{};
  struct stat opened{};
  return ::stat(path.c_str(), &named) == 0 && ::fstat(file, &opened) == 0 && named.st_dev == opened.st_dev &&
         named.st_ino == opened.st_ino;
}

/// Where an older file goes: nothing is replaced there.
Result<std::string> move_aside(const SharedCsv& csv) {
  for (int i = -1; i < kMostBackups; ++i) {
    std::string to = i < 0 ? csv.path + ".bak" : fmt::format("{}_{}.bak", csv.path, i);
    const int error = move_without_replacing(AT_FDCWD, csv.path.c_str(), AT_FDCWD, to.c_str());
    if (error == 0) return to;
    if (error != EEXIST) return failed(csv, "move aside", error);
  }
  return environment_error(
      fmt::format("{}: there are {} files '{}*.bak' already", csv.what, kMostBackups, printable(csv.path)),
      "move some of them away");
}

/// What ends a last line that was cut off; empty if the file is whole. In the middle of a quoted field the
/// quote is closed first, or all that follows would belong to it.
Result<std::string> mend_of(const SharedCsv& csv, int file, off_t size) {
  if (size == 0) return std::string();
  JOULERY_ASSIGN(const std::string last, read_at(csv, file, size - 1, 1));
  if (last == "\n") return std::string();
  constexpr std::size_t kChunk = std::size_t{1} << 20;
  bool quoted = false;
  for (off_t at = 0; at < size;) {
    JOULERY_ASSIGN(const std::string chunk, read_at(csv, file, at, kChunk));
    if (chunk.empty()) break;
    if (std::count(chunk.begin(), chunk.end(), '"') % 2 != 0) quoted = !quoted;
    at += static_cast<off_t>(chunk.size());
  }
  return std::string(quoted ? "\"\n" : "\n");
}

Status append(const SharedCsv& csv, int file, const std::string& line) {
  struct stat info{};
  if (::fstat(file, &info) != 0) return failed(csv, "read", errno);
  JOULERY_ASSIGN(std::string text, mend_of(csv, file, info.st_size));
  if (info.st_size == 0) text += csv_line(csv.columns);
  text += line;
  const ssize_t written = ::write(file, text.data(), text.size());
  if (written == static_cast<ssize_t>(text.size())) return {};
  const int error = written < 0 ? errno : ENOSPC;
  // Under the lock nobody has written after us.
  if (written > 0) static_cast<void>(::ftruncate(file, info.st_size));
  return failed(csv, "append to", error);
}

std::string line_in_order(const std::vector<std::string>& order, const SharedCsv& csv,
                          const std::vector<std::string>& fields) {
  std::vector<std::string> ordered;
  for (const std::string& column : order) {
    const auto at = std::find(csv.columns.begin(), csv.columns.end(), column) - csv.columns.begin();
    ordered.push_back(fields.at(static_cast<std::size_t>(at)));
  }
  return csv_line(ordered);
}

}  // namespace

Status check_csv(const SharedCsv& named) {
  SharedCsv csv = named;
  if (csv.path.empty() || csv.path == "-") {
    return user_error(
        fmt::format("{} needs the name of a file, since a row is appended after each run", csv.what),
        fmt::format("for example {} emissions.csv", csv.what));
  }
  csv.path = real_path(csv.path);
  struct stat info{};
  if (::stat(csv.path.c_str(), &info) != 0) {
    if (errno != ENOENT && errno != ENOTDIR) {
      return user_error(
          fmt::format("{}: can't use '{}': {}", csv.what, printable(csv.path), errno_text(errno)));
    }
    const std::string folder = folder_of(csv.path);
    if (!csv.path.ends_with('/') && ::access(folder.c_str(), W_OK | X_OK) == 0) return {};
    return user_error(fmt::format("{}: can't write into '{}': {}", csv.what, printable(folder),
                                  csv.path.ends_with('/') ? "it is not there" : errno_text(errno)));
  }
  if (S_ISDIR(info.st_mode)) {
    return user_error(fmt::format("{}: '{}' is a folder", csv.what, printable(csv.path)),
                      fmt::format("name a file in it: {} {}/emissions.csv", csv.what, printable(csv.path)));
  }
  auto file = open_file(csv, O_RDWR | O_APPEND);
  if (!file) return user_error(file.error().message, file.error().hint);
  const auto header = read_header(csv, file->get());
  if (!header) return user_error(header.error().message, header.error().hint);
  if (header->kind == Header::foreign) return foreign_file(csv);
  if (header->kind == Header::older && ::access(folder_of(csv.path).c_str(), W_OK | X_OK) != 0) {
    return user_error(fmt::format("{}: '{}' has the columns of another version, and can't be moved aside: {}",
                                  csv.what, printable(csv.path), errno_text(errno)),
                      "name another file");
  }
  return {};
}

Result<std::string> append_csv_row(const SharedCsv& named, const std::vector<std::string>& fields) {
  SharedCsv csv = named;
  csv.path = real_path(csv.path);
  std::string moved_to;
  for (int attempt = 0; attempt < kMostTries; ++attempt) {
    JOULERY_ASSIGN(const FileDescriptor file, open_file(csv, O_RDWR | O_APPEND | O_CREAT));
    JOULERY_CHECK_OK(lock(csv, file.get()));
    if (!still_there(csv.path, file.get())) continue;
    JOULERY_ASSIGN(const Found header, read_header(csv, file.get()));
    if (header.kind == Header::foreign) return foreign_file(csv);
    if (header.kind == Header::older) {
      JOULERY_ASSIGN(moved_to, move_aside(csv));
      continue;
    }
    const auto& order = header.kind == Header::none ? csv.columns : header.columns;
    JOULERY_CHECK_OK(append(csv, file.get(), line_in_order(order, csv, fields)));
    return moved_to;
  }
  return environment_error(fmt::format("{}: '{}' keeps being moved away", csv.what, printable(csv.path)));
}

}  // namespace joulery::app
