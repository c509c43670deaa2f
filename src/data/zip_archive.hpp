#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "data/byte_source.hpp"

namespace joulery::data {

struct ZipMember {
  std::string name;  // safe to print
  bool is_deflated = false;
  std::uint32_t crc = 0;
  std::uint64_t packed_size = 0;
  std::uint64_t size = 0;
  std::uint64_t offset = 0;  // of its packed bytes
};

/// The members of a zip archive, also zip64, by its directory. User error for what is damaged or built to
/// mislead: members that overlap, leave the file or have one name, sizes that no deflate stream has,
/// encryption, unknown methods.
Result<std::vector<ZipMember>> read_zip(const RandomAccess& file);

/// A member's content; what is stored is checked against its size, what is deflated also against its
/// checksum.
std::unique_ptr<ByteSource> open_zip_member(std::shared_ptr<const RandomAccess> file,
                                            const ZipMember& member);

}  // namespace joulery::data
