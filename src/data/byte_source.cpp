#include "data/byte_source.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "base/files.hpp"
#include "base/text.hpp"

namespace joulery::data {
namespace {

class FileAccess final : public RandomAccess {
 public:
  FileAccess(FileDescriptor descriptor, std::uint64_t size, std::string name)
      : descriptor_(std::move(descriptor)), size_(size), name_(std::move(name)) {}

  const std::string& name() const override { return name_; }
  std::uint64_t size() const override { return size_; }

  Status read_at(std::uint64_t offset, std::span<std::byte> target) const override {
    while (!target.empty()) {
      const ssize_t got =
          ::pread(descriptor_.get(), target.data(), target.size(), static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return user_error(fmt::format("can't read '{}': {}", name_, errno_text(errno)));
      if (got == 0) {
        return user_error(fmt::format("'{}' ends at byte {}, before what it says it holds", name_, offset),
                          "it was cut short: copy or write it again");
      }
      offset += static_cast<std::uint64_t>(got);
      target = target.subspan(static_cast<std::size_t>(got));
    }
    return {};
  }

 private:
  FileDescriptor descriptor_;
  std::uint64_t size_;
  std::string name_;
};

class MemoryAccess final : public RandomAccess {
 public:
  MemoryAccess(std::string bytes, std::string name) : bytes_(std::move(bytes)), name_(std::move(name)) {}

  const std::string& name() const override { return name_; }
  std::uint64_t size() const override { return bytes_.size(); }

  Status read_at(std::uint64_t offset, std::span<std::byte> target) const override {
    if (offset > bytes_.size() || target.size() > bytes_.size() - offset) {
      return user_error(
          fmt::format("'{}' ends at byte {}, before what it says it holds", name_, bytes_.size()));
    }
    if (!target.empty()) std::memcpy(target.data(), bytes_.data() + offset, target.size());
    return {};
  }

 private:
  std::string bytes_;
  std::string name_;
};

class RangeSource final : public ByteSource {
 public:
  RangeSource(std::shared_ptr<const RandomAccess> file, std::uint64_t offset, std::uint64_t size,
              std::string name)
      : file_(std::move(file)), offset_(offset), size_(size), name_(std::move(name)) {}

  Result<std::size_t> read(std::span<std::byte> target) override {
    const std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(target.size(), size_ - at_));
    JOULERY_CHECK_OK(file_->read_at(offset_ + at_, target.first(count)));
    at_ += count;
    return count;
  }
  Status rewind() override {
    at_ = 0;
    return {};
  }
  const std::string& name() const override { return name_; }
  std::optional<std::uint64_t> size() const override { return size_; }
  std::uint64_t most_bytes() const override { return size_; }

 private:
  std::shared_ptr<const RandomAccess> file_;
  std::uint64_t offset_;
  std::uint64_t size_;
  std::string name_;
  std::uint64_t at_ = 0;
};

class InflatingSource final : public ByteSource {
 public:
  InflatingSource(std::unique_ptr<RangeSource> deflated, Wrapping wrapping,
                  std::optional<InflatedContent> content)
      : deflated_(std::move(deflated)), wrapping_(wrapping), content_(content) {}
  InflatingSource(const InflatingSource&) = delete;
  InflatingSource& operator=(const InflatingSource&) = delete;
  ~InflatingSource() override {
    if (is_open_) ::inflateEnd(&stream_);
  }

  Result<std::size_t> read(std::span<std::byte> target) override {
    JOULERY_CHECK_OK(open());
    std::size_t filled = 0;
    while (filled < target.size() && !is_at_end_) {
      const auto room = std::min<std::size_t>(target.size() - filled, std::numeric_limits<uInt>::max());
      stream_.next_out = reinterpret_cast<Bytef*>(target.data() + filled);
      stream_.avail_out = static_cast<uInt>(room);
      JOULERY_CHECK_OK(step());
      filled += room - stream_.avail_out;
    }
    JOULERY_CHECK_OK(check(target.first(filled)));
    return filled;
  }

  Status rewind() override {
    JOULERY_CHECK_OK(deflated_->rewind());
    if (is_open_) ::inflateReset(&stream_);
    stream_.avail_in = 0;
    total_ = 0;
    crc_ = 0;
    is_at_end_ = false;
    return {};
  }

  const std::string& name() const override { return deflated_->name(); }
  std::optional<std::uint64_t> size() const override {
    return content_ ? std::optional(content_->size) : std::nullopt;
  }
  std::uint64_t most_bytes() const override {
    // No deflated byte stands for more than 1032.
    constexpr std::uint64_t kMostRatio = 1032;
    const std::uint64_t most =
        std::min(deflated_->most_bytes(), std::numeric_limits<std::uint64_t>::max() / kMostRatio) *
        kMostRatio;
    return content_ ? std::min(most, content_->size) : most;
  }

 private:
  std::unexpected<Error> damaged(std::string_view why) const {
    return user_error(fmt::format("'{}' is damaged: {}", name(), why), "copy or write it again");
  }

  Status open() {
    if (is_open_) return {};
    constexpr int kGzip = 16;
    if (::inflateInit2(&stream_, wrapping_ == Wrapping::gzip ? kGzip + MAX_WBITS : -MAX_WBITS) != Z_OK) {
      return environment_error(fmt::format("no memory to inflate '{}'", name()));
    }
    is_open_ = true;
    return {};
  }

  Status fill_input() {
    if (stream_.avail_in > 0) return {};
    JOULERY_ASSIGN(const std::size_t got, deflated_->read(buffer_));
    stream_.next_in = reinterpret_cast<Bytef*>(buffer_.data());
    stream_.avail_in = static_cast<uInt>(got);
    return {};
  }

  Status step() {
    JOULERY_CHECK_OK(fill_input());
    if (stream_.avail_in == 0) return damaged("its compressed bytes end too early");
    const int code = ::inflate(&stream_, Z_NO_FLUSH);
    if (code == Z_STREAM_END) {
      JOULERY_CHECK_OK(fill_input());
      // A gzip file may be several, one after another.
      is_at_end_ = wrapping_ == Wrapping::none || stream_.avail_in == 0;
      if (wrapping_ == Wrapping::none && stream_.avail_in > 0) return damaged("bytes follow its end");
      if (!is_at_end_) ::inflateReset(&stream_);
      return {};
    }
    if (code == Z_OK || code == Z_BUF_ERROR) return {};
    return damaged(stream_.msg == nullptr ? "its compressed bytes make no sense" : stream_.msg);
  }

  Status check(std::span<const std::byte> bytes) {
    if (!content_) return {};
    total_ += bytes.size();
    if (total_ > content_->size) return damaged("it holds more than it says");
    crc_ = static_cast<std::uint32_t>(
        ::crc32_z(crc_, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
    if (total_ == content_->size && !is_at_end_) JOULERY_CHECK_OK(expect_end());
    if (!is_at_end_) return {};
    if (total_ != content_->size) return damaged("it holds less than it says");
    if (crc_ != content_->crc) return damaged("its checksum is wrong");
    return {};
  }

  /// The last byte may be out before the mark of the end is in.
  Status expect_end() {
    Bytef excess = 0;
    while (!is_at_end_) {
      stream_.next_out = &excess;
      stream_.avail_out = 1;
      JOULERY_CHECK_OK(step());
      if (stream_.avail_out == 0) return damaged("it holds more than it says");
    }
    return {};
  }

  std::unique_ptr<RangeSource> deflated_;
  Wrapping wrapping_;
  std::optional<InflatedContent> content_;
  z_stream stream_{};
  bool is_open_ = false;
  bool is_at_end_ = false;
  std::uint64_t total_ = 0;
  std::uint32_t crc_ = 0;
  std::array<std::byte, 65536> buffer_;
};

}  // namespace

Result<std::shared_ptr<const RandomAccess>> open_random_access(const std::string& path) {
  std::string name = printable(path);
  FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid()) return user_error(fmt::format("can't open '{}': {}", name, errno_text(errno)));
  struct stat info{};
  if (::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return user_error(fmt::format("'{}' is not a regular file", name));
  }
  return std::make_shared<FileAccess>(std::move(file), static_cast<std::uint64_t>(info.st_size),
                                      std::move(name));
}

std::shared_ptr<const RandomAccess> random_access_of(std::string bytes, std::string name) {
  return std::make_shared<MemoryAccess>(std::move(bytes), std::move(name));
}

std::unique_ptr<ByteSource> range_source(std::shared_ptr<const RandomAccess> file, std::uint64_t offset,
                                         std::uint64_t size, std::string name) {
  return std::make_unique<RangeSource>(std::move(file), offset, size, std::move(name));
}

std::unique_ptr<ByteSource> inflating_source(std::shared_ptr<const RandomAccess> file, std::uint64_t offset,
                                             std::uint64_t size, std::string name, Wrapping wrapping,
                                             std::optional<InflatedContent> content) {
  return std::make_unique<InflatingSource>(
      std::make_unique<RangeSource>(std::move(file), offset, size, std::move(name)), wrapping, content);
}

Result<std::unique_ptr<ByteSource>> whole_source(std::shared_ptr<const RandomAccess> file) {
  std::array<std::byte, 2> magic{};
  const std::uint64_t size = file->size();
  if (size >= magic.size()) JOULERY_CHECK_OK(file->read_at(0, magic));
  std::string name = file->name();
  if (magic[0] == std::byte{0x1f} && magic[1] == std::byte{0x8b}) {
    return inflating_source(std::move(file), 0, size, std::move(name), Wrapping::gzip, std::nullopt);
  }
  return range_source(std::move(file), 0, size, std::move(name));
}

Status read_exactly(ByteSource& source, std::span<std::byte> target, const char* what) {
  JOULERY_ASSIGN(const std::size_t got, source.read(target));
  if (got == target.size()) return {};
  return user_error(fmt::format("'{}' ends in the middle of {}", source.name(), what),
                    "it was cut short: copy or write it again");
}

Status rewind_to(ByteSource& source, std::uint64_t count) {
  JOULERY_CHECK_OK(source.rewind());
  std::array<std::byte, 4096> passed;
  while (count > 0) {
    const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(count, passed.size()));
    JOULERY_CHECK_OK(read_exactly(source, std::span(passed).first(part), "its header"));
    count -= part;
  }
  return {};
}

}  // namespace joulery::data
