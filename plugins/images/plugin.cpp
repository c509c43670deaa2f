#include "data/plugin.hpp"

#include <algorithm>
#include <array>

#include "data/plugin_library.hpp"
#include "decoders.hpp"

namespace joulery::data {
namespace {

constexpr std::array<std::byte, 4> kPng{std::byte{0x89}, std::byte{'P'}, std::byte{'N'}, std::byte{'G'}};
constexpr std::array<std::byte, 3> kJpeg{std::byte{0xFF}, std::byte{0xD8}, std::byte{0xFF}};

int read(const void* bytes, std::uint64_t size, JouleryImageHeader& header, std::span<std::uint8_t> pixels,
         JouleryDataError* error) {
  const std::span content(static_cast<const std::byte*>(bytes), size);
  const auto begins_with = [&](const auto& magic) {
    return content.size() >= magic.size() && std::equal(magic.begin(), magic.end(), content.begin());
  };
  if (begins_with(kPng)) return read_png(content, header, pixels, error);
  if (begins_with(kJpeg)) return read_jpeg(content, header, pixels, error);
  return fail(error, Error::Kind::user, "it is neither PNG nor JPEG by its first bytes",
              "convert it, or remove it from the folder");
}

int header(const void* bytes, std::uint64_t size, JouleryImageHeader* header, JouleryDataError* error) {
  return read(bytes, size, *header, {}, error);
}

int decode(const void* bytes, std::uint64_t size, std::uint8_t* pixels, std::uint64_t capacity,
           JouleryDataError* error) {
  JouleryImageHeader header{};
  return read(bytes, size, header, {pixels, capacity}, error);
}

constexpr JouleryImagesApi kApi{.struct_size = sizeof(JouleryImagesApi),
                                .abi_version = JOULERY_DATA_ABI_VERSION,
                                .header = &header,
                                .decode = &decode};

}  // namespace
}  // namespace joulery::data

extern "C" __attribute__((visibility("default"))) const JouleryImagesApi* joulery_images_v1(
    std::uint32_t host_abi_version) {
  return host_abi_version == JOULERY_DATA_ABI_VERSION ? &joulery::data::kApi : nullptr;
}
