// PNG and JPEG files: headers that claim much, damaged pixels. What is decoded is resized, cut and made a
// sample.

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <vector>

#include "base/dynamic_library.hpp"
#include "data/image.hpp"
#include "data/image_plan.hpp"

namespace {

using namespace joulery;
using namespace joulery::data;

constexpr std::uint64_t kMostPixels = 1U << 18U;

std::optional<ImageDecoder> open_decoder() {
  auto decoder = ImageDecoder::open(own_library_directory());
  return decoder ? std::optional(std::move(*decoder)) : std::nullopt;
}

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::optional<ImageDecoder> decoder = open_decoder();
  // Built without libpng or libjpeg there is nothing to test.
  if (!decoder) return 0;
  auto image = decoder->decode(std::as_bytes(std::span(data, size)), kMostPixels);
  if (!image) {
    require(!image.error().message.empty());
    return 0;
  }
  const auto pixels = static_cast<std::size_t>(image->size.height * image->size.width);
  require(pixels <= kMostPixels &&
          image->pixels.size() == pixels * static_cast<std::size_t>(image->channels));
  ImageOptions options;
  options.resize_shorter = 9;
  options.crop = ImageSize{7, 9};
  options.scale = 0.5;
  options.most_pixels = kMostPixels;
  const auto plan =
      ImagePlan::create({.name = "x", .type = DataType::f32, .shape = Shape{-1, 3, 7, 9}}, options);
  require(plan.has_value());
  std::vector<std::byte> bytes;
  if (plan->append(*image, bytes)) require(bytes.size() == 3UL * 7 * 9 * 4);
  return 0;
}
