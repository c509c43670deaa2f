#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/dynamic_library.hpp"
#include "base/result.hpp"
#include "data/image_options.hpp"
#include "data/plugin.hpp"

namespace joulery::data {

/// Rows of pixels from the top, 8 bits a channel: 1 grey or 3 RGB.
struct Image {
  ImageSize size;
  std::int64_t channels = 0;
  std::vector<std::uint8_t> pixels;
};

/// Decodes PNG and JPEG through the plug-in for images.
class ImageDecoder {
 public:
  /// Environment error if the plug-in is not there.
  static Result<ImageDecoder> open(const std::string& plugin_directory);
  /// What the header claims, without pixels. User error if it is no image, or has more than `most_pixels`.
  Result<Image> header(std::span<const std::byte> bytes, std::uint64_t most_pixels) const;
  /// Alpha and colour profiles are dropped, 16 bits become 8.
  Result<Image> decode(std::span<const std::byte> bytes, std::uint64_t most_pixels) const;

 private:
  ImageDecoder(DynamicLibrary library, const JouleryImagesApi* api)
      : library_(std::move(library)), api_(api) {}
  DynamicLibrary library_;
  const JouleryImagesApi* api_;
};

/// Bilinear; where it shrinks, every pixel counts (a triangle as wide as the ratio), so that nothing aliases.
/// Rows first get their new width, rounded to 8 bits, then columns their new height.
Image resize_bilinear(const Image& image, const ImageSize& size);
/// The middle of an image that is at least as large.
Image crop_centre(const Image& image, const ImageSize& size);
/// Grey is luma of ITU-R BT.601.
Image with_channels(Image image, std::int64_t channels);
/// So that the shorter side has `side` pixels.
ImageSize size_with_shorter_side(const ImageSize& size, std::int64_t side);

}  // namespace joulery::data
