#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace joulery {

/// Owns a file descriptor.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int descriptor) : descriptor_(descriptor) {}
  FileDescriptor(FileDescriptor&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor() { reset(); }
  int get() const { return descriptor_; }
  bool valid() const { return descriptor_ >= 0; }
  int release() { return std::exchange(descriptor_, -1); }
  void reset();

 private:
  int descriptor_ = -1;
};

/// A place in the file system under which kernel files such as /proc and /sys are looked up. A test gives a
/// folder with a made-up tree; the program gives "/".
class SystemRoot {
 public:
  explicit SystemRoot(std::string prefix = "/");
  /// The real path of `path`, which starts with '/'.
  std::string resolve(std::string_view path) const;
  const std::string& prefix() const { return prefix_; }

  /// Whole text of a kernel file, at most `limit` bytes. Environment error if it can't be read.
  Result<std::string> read_text(std::string_view path, std::size_t limit = 1 << 20) const;
  /// First line, without blanks at its ends.
  Result<std::string> read_line(std::string_view path) const;
  /// A signed decimal number, blanks around it allowed; anything else is an environment error.
  Result<std::int64_t> read_integer(std::string_view path) const;
  bool exists(std::string_view path) const;
  /// Names in a folder, sorted; empty if there is no such folder.
  std::vector<std::string> list(std::string_view path) const;
  /// Path with links resolved, below the prefix and starting with '/'; empty if it does not exist.
  std::string canonical(std::string_view path) const;

 private:
  std::string prefix_;  // without trailing '/'
};

/// A kernel file that is read again and again. Reads allocate nothing. Not thread-safe.
class PolledFile {
 public:
  /// Environment error that names errno if it can't be opened.
  static Result<PolledFile> open(const SystemRoot& root, std::string_view path);
  /// Reads from the start into `buffer`; the view points into it. On failure the view is empty and
  /// `last_errno()` is set: a sensor may vanish at any time, and no string is built for that.
  std::string_view read(std::span<char> buffer);
  int last_errno() const { return last_errno_; }

 private:
  explicit PolledFile(FileDescriptor descriptor) : descriptor_(std::move(descriptor)) {}
  FileDescriptor descriptor_;
  int last_errno_ = 0;
};

/// The folder part of a path: "." if it has none, "/" for what is in the root.
std::string folder_of(const std::string& path);

/// Whole file of the user's, at most `limit` bytes: larger is a user error.
Result<std::string> read_file(const std::string& path, std::size_t limit);
/// Writes to a temporary file beside `path`, syncs it and renames it, so that `path` is the old file or the
/// new one. A link is followed; a device, pipe or socket is written to. A new file gets `mode` less the
/// umask, an old one keeps its mode.
Status write_file_atomically(const std::string& path, std::string_view content, unsigned mode = 0644);
/// The same of a content in parts that follow one another.
Status write_file_atomically(const std::string& path, std::span<const std::string_view> parts,
                             unsigned mode = 0644);
/// The same where nothing may be written through a link: what is at `path`, also a link, is replaced by a
/// file.
Status replace_file_atomically(const std::string& path, std::span<const std::string_view> parts,
                               unsigned mode = 0644);
/// Makes a folder and its parents; folders that it makes get `mode`.
Status make_directories(const std::string& path, unsigned mode = 0755);
/// Moves a file of one folder to another in which no file of that name may be: 0, or errno. EEXIST if there
/// is one, ENOENT if the file is gone or has been moved there by somebody else meanwhile.
int move_without_replacing(int from_folder, const char* name, int to_folder, const char* new_name);
/// The same for file systems that can't do it in one step, such as NFS: nothing is replaced there either.
int link_and_unlink(int from_folder, const char* name, int to_folder, const char* new_name);
/// Writes all bytes, going on after partial writes and signals.
Status write_all(int descriptor, std::string_view bytes);
/// Text of errno, thread-safe.
std::string errno_text(int error);

/// What kind of file system holds a path, as far as it matters to locks and mmap.
enum class FilesystemKind { local, network, memory, unknown };
/// Of `path` or, while it does not exist, of its nearest existing parent.
FilesystemKind filesystem_kind(const std::string& path);

}  // namespace joulery
