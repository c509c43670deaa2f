#include "data/zip_archive.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "base/text.hpp"

namespace joulery::data {
namespace {

constexpr std::uint32_t kEndSignature = 0x06054b50;
constexpr std::uint32_t kEnd64Signature = 0x06064b50;
constexpr std::uint32_t kLocator64Signature = 0x07064b50;
constexpr std::uint32_t kDirectorySignature = 0x02014b50;
constexpr std::uint32_t kLocalSignature = 0x04034b50;
constexpr std::size_t kEndSize = 22;
constexpr std::size_t kLocator64Size = 20;
constexpr std::size_t kEnd64Size = 56;
constexpr std::size_t kDirectoryEntrySize = 46;
constexpr std::size_t kLocalHeaderSize = 30;
constexpr std::size_t kMostComment = 65535;
constexpr std::uint64_t kMostDirectoryBytes = 64ULL << 20U;
constexpr std::uint64_t kMostMembers = 100'000;
constexpr std::uint64_t kMostDeflateRatio = 1032;

/// Little-endian numbers out of bytes that were read.
class Fields {
 public:
  explicit Fields(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::uint64_t number(std::size_t offset, std::size_t width) const {
    std::uint64_t value = 0;
    for (std::size_t i = width; i-- > 0;)
      value = value << 8U | std::to_integer<std::uint64_t>(bytes_[offset + i]);
    return value;
  }
  std::uint16_t u16(std::size_t offset) const { return static_cast<std::uint16_t>(number(offset, 2)); }
  std::uint32_t u32(std::size_t offset) const { return static_cast<std::uint32_t>(number(offset, 4)); }
  std::uint64_t u64(std::size_t offset) const { return number(offset, 8); }

 private:
  std::span<const std::byte> bytes_;
};

struct Directory {
  std::uint64_t members = 0;
  std::uint64_t size = 0;
  std::uint64_t offset = 0;
};

class ZipReader {
 public:
  explicit ZipReader(const RandomAccess& file) : file_(file) {}

  Result<std::vector<ZipMember>> read() {
    JOULERY_ASSIGN(const Directory directory, find_directory());
    if (directory.members > kMostMembers || directory.size > kMostDirectoryBytes) {
      return damaged(
          fmt::format("{} members are more than the {} supported", directory.members, kMostMembers));
    }
    if (directory.offset > file_.size() || directory.size > file_.size() - directory.offset ||
        directory.members * kDirectoryEntrySize > directory.size) {
      return damaged("its directory is not where it says");
    }
    std::vector<std::byte> bytes(static_cast<std::size_t>(directory.size));
    JOULERY_CHECK_OK(file_.read_at(directory.offset, bytes));
    std::vector<ZipMember> members;
    std::span<const std::byte> rest = bytes;
    for (std::uint64_t i = 0; i < directory.members; ++i) {
      JOULERY_ASSIGN(ZipMember member, read_entry(rest));
      members.push_back(std::move(member));
    }
    JOULERY_CHECK_OK(check_layout(members, directory.offset));
    return members;
  }

 private:
  std::unexpected<Error> damaged(std::string_view why) const {
    return user_error(fmt::format("'{}' is not a sound zip archive: {}", file_.name(), why),
                      "write it again, for example with numpy.savez");
  }

  Result<Directory> find_directory() {
    if (file_.size() < kEndSize) return damaged("it is too short");
    const auto tail_size =
        static_cast<std::size_t>(std::min<std::uint64_t>(file_.size(), kEndSize + kMostComment));
    std::vector<std::byte> tail(tail_size);
    const std::uint64_t tail_offset = file_.size() - tail_size;
    JOULERY_CHECK_OK(file_.read_at(tail_offset, tail));
    for (std::size_t i = tail_size - kEndSize + 1; i-- > 0;) {
      const Fields end(std::span<const std::byte>(tail).subspan(i));
      if (end.u32(0) != kEndSignature || i + kEndSize + end.u16(20) != tail_size) continue;
      if (end.u16(4) != 0 || end.u16(6) != 0) return damaged("it is one of several parts");
      const Directory directory{.members = end.u16(10), .size = end.u32(12), .offset = end.u32(16)};
      const bool needs_64 =
          directory.members == 0xFFFF || directory.size == 0xFFFFFFFF || directory.offset == 0xFFFFFFFF;
      return needs_64 ? find_directory_64(tail_offset + i) : Result<Directory>(directory);
    }
    return damaged("the end of its directory is missing, so that it may have been cut short");
  }

  Result<Directory> find_directory_64(std::uint64_t end) {
    if (end < kLocator64Size) return damaged("its zip64 record is missing");
    std::vector<std::byte> bytes(kEnd64Size);
    JOULERY_CHECK_OK(file_.read_at(end - kLocator64Size, std::span(bytes).first(kLocator64Size)));
    if (Fields(bytes).u32(0) != kLocator64Signature) return damaged("its zip64 record is missing");
    const std::uint64_t offset = Fields(bytes).u64(8);
    if (offset > file_.size() || file_.size() - offset < kEnd64Size) {
      return damaged("its zip64 record is not where it says");
    }
    JOULERY_CHECK_OK(file_.read_at(offset, bytes));
    const Fields record(bytes);
    if (record.u32(0) != kEnd64Signature) return damaged("its zip64 record is not where it says");
    return Directory{.members = record.u64(32), .size = record.u64(40), .offset = record.u64(48)};
  }

  /// Takes one entry off the front of the directory.
  Result<ZipMember> read_entry(std::span<const std::byte>& rest) {
    if (rest.size() < kDirectoryEntrySize || Fields(rest).u32(0) != kDirectorySignature) {
      return damaged("its directory makes no sense");
    }
    const Fields entry(rest);
    const std::size_t name_size = entry.u16(28);
    const std::size_t extra_size = entry.u16(30);
    const std::size_t whole = kDirectoryEntrySize + name_size + extra_size + entry.u16(32);
    if (rest.size() < whole) return damaged("its directory makes no sense");
    ZipMember member{.name = {},
                     .is_deflated = entry.u16(10) == 8,
                     .crc = entry.u32(16),
                     .packed_size = entry.u32(20),
                     .size = entry.u32(24),
                     .offset = entry.u32(42)};
    const auto name = rest.subspan(kDirectoryEntrySize, name_size);
    member.name = printable({reinterpret_cast<const char*>(name.data()), name.size()});
    if ((entry.u16(8) & 1U) != 0) return damaged(fmt::format("'{}' is encrypted", member.name));
    if (entry.u16(10) != 0 && entry.u16(10) != 8) {
      return damaged(fmt::format("'{}' is packed by method {}, neither stored nor deflated", member.name,
                                 entry.u16(10)));
    }
    JOULERY_CHECK_OK(read_sizes_64(rest.subspan(kDirectoryEntrySize + name_size, extra_size), member));
    JOULERY_CHECK_OK(check_sizes(member));
    rest = rest.subspan(whole);
    return member;
  }

  /// Numbers that do not fit 32 bits are in an extra field, in a fixed order.
  Status read_sizes_64(std::span<const std::byte> extra, ZipMember& member) {
    constexpr std::uint64_t kElsewhere = 0xFFFFFFFF;
    while (extra.size() >= 4) {
      const std::size_t size = Fields(extra).u16(2);
      if (size > extra.size() - 4) return {};
      if (Fields(extra).u16(0) == 1) {
        std::size_t at = 4;
        for (std::uint64_t* number : {&member.size, &member.packed_size, &member.offset}) {
          if (*number != kElsewhere) continue;
          if (at + 8 > size + 4) return damaged(fmt::format("'{}' lacks its zip64 sizes", member.name));
          *number = Fields(extra).u64(at);
          at += 8;
        }
      }
      extra = extra.subspan(size + 4);
    }
    return {};
  }

  Status check_sizes(const ZipMember& member) {
    if (member.packed_size > file_.size()) {
      return damaged(fmt::format("'{}' is larger than the file", member.name));
    }
    if (!member.is_deflated && member.packed_size != member.size) {
      return damaged(fmt::format("'{}' is stored, but with two sizes", member.name));
    }
    if (member.is_deflated && member.size / kMostDeflateRatio > member.packed_size) {
      return damaged(fmt::format("'{}' claims {} in {} packed, which no deflate stream holds", member.name,
                                 format_bytes(double(member.size)),
                                 format_bytes(double(member.packed_size))));
    }
    return {};
  }

  /// Members lie one after another before the directory. Moves each offset from its header to its bytes.
  Status check_layout(std::vector<ZipMember>& members, std::uint64_t directory) {
    std::set<std::string> names;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
    for (ZipMember& member : members) {
      if (!names.insert(member.name).second)
        return damaged(fmt::format("two members are called '{}'", member.name));
      const std::uint64_t start = member.offset;
      if (start > directory || directory - start < kLocalHeaderSize) {
        return damaged(fmt::format("'{}' is not where the directory says", member.name));
      }
      std::vector<std::byte> bytes(kLocalHeaderSize);
      JOULERY_CHECK_OK(file_.read_at(start, bytes));
      const Fields header(bytes);
      if (header.u32(0) != kLocalSignature || (header.u16(8) == 8) != member.is_deflated) {
        return damaged(fmt::format("'{}' is not where the directory says", member.name));
      }
      member.offset = start + kLocalHeaderSize + header.u16(26) + header.u16(28);
      if (member.offset > directory || member.packed_size > directory - member.offset) {
        return damaged(fmt::format("'{}' runs into the directory", member.name));
      }
      ranges.emplace_back(start, member.offset + member.packed_size);
    }
    std::ranges::sort(ranges);
    for (std::size_t i = 1; i < ranges.size(); ++i) {
      if (ranges[i].first < ranges[i - 1].second) return damaged("two members lie over each other");
    }
    return {};
  }

  const RandomAccess& file_;
};

}  // namespace

Result<std::vector<ZipMember>> read_zip(const RandomAccess& file) {
  return ZipReader(file).read();
}

std::unique_ptr<ByteSource> open_zip_member(std::shared_ptr<const RandomAccess> file,
                                            const ZipMember& member) {
  std::string name = fmt::format("{}:{}", file->name(), member.name);
  if (!member.is_deflated) {
    return range_source(std::move(file), member.offset, member.size, std::move(name));
  }
  return inflating_source(std::move(file), member.offset, member.packed_size, std::move(name), Wrapping::none,
                          InflatedContent{.size = member.size, .crc = member.crc});
}

}  // namespace joulery::data
