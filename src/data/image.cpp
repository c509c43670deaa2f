#include "data/image.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/text.hpp"
#include "data/plugin_library.hpp"

namespace joulery::data {
namespace {

/// Which old pixels make a new one, and how much each counts.
struct Contribution {
  std::int64_t first = 0;
  std::vector<float> weights;
};

std::vector<Contribution> contributions(std::int64_t from, std::int64_t to) {
  std::vector<Contribution> result(static_cast<std::size_t>(to));
  const double ratio = static_cast<double>(from) / static_cast<double>(to);
  const double reach = std::max(ratio, 1.0);
  for (std::int64_t i = 0; i < to; ++i) {
    Contribution& contribution = result[static_cast<std::size_t>(i)];
    const double centre = (static_cast<double>(i) + 0.5) * ratio;
    const auto first = std::max<std::int64_t>(0, static_cast<std::int64_t>(std::floor(centre - reach + 0.5)));
    const auto last = std::min(from, static_cast<std::int64_t>(std::floor(centre + reach + 0.5)));
    std::vector<double> weights;
    double sum = 0;
    for (std::int64_t pixel = first; pixel < last; ++pixel) {
      const double distance = std::abs((static_cast<double>(pixel) + 0.5 - centre) / reach);
      weights.push_back(std::max(0.0, 1 - distance));
      sum += weights.back();
    }
    contribution.first = first;
    for (const double weight : weights) contribution.weights.push_back(static_cast<float>(weight / sum));
  }
  return result;
}

std::uint8_t rounded(float value) {
  return static_cast<std::uint8_t>(std::clamp(value + 0.5F, 0.0F, 255.0F));
}

std::size_t index(std::int64_t value) {
  return static_cast<std::size_t>(value);
}

Image empty_image(const ImageSize& size, std::int64_t channels) {
  return {.size = size,
          .channels = channels,
          .pixels = std::vector<std::uint8_t>(index(size.height) * index(size.width) * index(channels))};
}

Image with_width(const Image& image, std::int64_t width) {
  Image result = empty_image({image.size.height, width}, image.channels);
  const auto parts = contributions(image.size.width, width);
  for (std::int64_t row = 0; row < image.size.height; ++row) {
    const std::uint8_t* source = image.pixels.data() + index(row * image.size.width * image.channels);
    std::uint8_t* target = result.pixels.data() + index(row * width * image.channels);
    for (const Contribution& part : parts) {
      for (std::int64_t channel = 0; channel < image.channels; ++channel) {
        float sum = 0;
        const std::uint8_t* pixel = source + part.first * image.channels + channel;
        for (const float weight : part.weights) {
          sum += weight * static_cast<float>(*pixel);
          pixel += image.channels;
        }
        *target++ = rounded(sum);
      }
    }
  }
  return result;
}

Image with_height(const Image& image, std::int64_t height) {
  Image result = empty_image({height, image.size.width}, image.channels);
  const auto parts = contributions(image.size.height, height);
  const std::size_t stride = index(image.size.width * image.channels);
  std::vector<float> sums(stride);
  for (std::size_t row = 0; row < parts.size(); ++row) {
    std::ranges::fill(sums, 0.0F);
    const std::uint8_t* source = image.pixels.data() + index(parts[row].first) * stride;
    for (const float weight : parts[row].weights) {
      for (std::size_t i = 0; i < stride; ++i) sums[i] += weight * static_cast<float>(source[i]);
      source += stride;
    }
    std::ranges::transform(sums, result.pixels.begin() + static_cast<std::ptrdiff_t>(row * stride), rounded);
  }
  return result;
}

}  // namespace

Result<ImageDecoder> ImageDecoder::open(const std::string& plugin_directory) {
  JOULERY_ASSIGN(
      DynamicLibrary library,
      open_plugin(plugin_directory, "images",
                  "libpng or libjpeg was missing when joulery was built: `./dev setup` gets them"));
  const auto* api = plugin_api<JouleryImagesApi>(library, JOULERY_IMAGES_ENTRY);
  if (api == nullptr) return wrong_plugin(library);
  return ImageDecoder(std::move(library), api);
}

Result<Image> ImageDecoder::header(std::span<const std::byte> bytes, std::uint64_t most_pixels) const {
  JouleryImageHeader header{
      .struct_size = sizeof(JouleryImageHeader), .width = 0, .height = 0, .channels = 0};
  JouleryDataError error = empty_plugin_error();
  if (api_->header(bytes.data(), bytes.size(), &header, &error) != 0) {
    return std::unexpected(error_from_plugin(error));
  }
  const std::uint64_t pixels = std::uint64_t{header.width} * header.height;
  if (pixels == 0 || (header.channels != 1 && header.channels != 3)) {
    return user_error("its header makes no sense");
  }
  if (pixels > most_pixels) {
    return user_error(fmt::format("its header claims {} x {} pixels, more than the {} that are read",
                                  header.width, header.height, most_pixels),
                      "raise the limit with --image most_pixels=N if the image is what it says");
  }
  return Image{
      .size = {.height = header.height, .width = header.width}, .channels = header.channels, .pixels = {}};
}

Result<Image> ImageDecoder::decode(std::span<const std::byte> bytes, std::uint64_t most_pixels) const {
  JOULERY_ASSIGN(Image image, header(bytes, most_pixels));
  image.pixels.resize(index(image.size.height) * index(image.size.width) * index(image.channels));
  JouleryDataError error = empty_plugin_error();
  if (api_->decode(bytes.data(), bytes.size(), image.pixels.data(), image.pixels.size(), &error) != 0) {
    return std::unexpected(error_from_plugin(error));
  }
  return image;
}

Image resize_bilinear(const Image& image, const ImageSize& size) {
  if (size == image.size) return image;
  if (size.width == image.size.width) return with_height(image, size.height);
  const Image wide = with_width(image, size.width);
  return size.height == image.size.height ? wide : with_height(wide, size.height);
}

Image crop_centre(const Image& image, const ImageSize& size) {
  const auto top =
      static_cast<std::int64_t>(std::nearbyint(static_cast<double>(image.size.height - size.height) / 2));
  const auto left =
      static_cast<std::int64_t>(std::nearbyint(static_cast<double>(image.size.width - size.width) / 2));
  Image result = empty_image(size, image.channels);
  const std::size_t stride = index(size.width * image.channels);
  for (std::int64_t row = 0; row < size.height; ++row) {
    const auto* source =
        image.pixels.data() + index(((top + row) * image.size.width + left) * image.channels);
    std::copy_n(source, stride, result.pixels.data() + index(row) * stride);
  }
  return result;
}

Image with_channels(Image image, std::int64_t channels) {
  if (image.channels == channels) return image;
  Image result = empty_image(image.size, channels);
  const std::size_t count = index(image.size.height) * index(image.size.width);
  for (std::size_t i = 0; i < count; ++i) {
    if (channels == 3) {
      std::fill_n(result.pixels.begin() + static_cast<std::ptrdiff_t>(3 * i), 3, image.pixels[i]);
      continue;
    }
    // 0.299, 0.587 and 0.114 as 16-bit fractions, which add up to 1.
    const std::uint32_t luma =
        image.pixels[3 * i] * 19595U + image.pixels[3 * i + 1] * 38470U + image.pixels[3 * i + 2] * 7471U;
    result.pixels[i] = static_cast<std::uint8_t>((luma + 0x8000U) >> 16U);
  }
  return result;
}

ImageSize size_with_shorter_side(const ImageSize& size, std::int64_t side) {
  if (size.height <= size.width) return {side, std::max<std::int64_t>(1, side * size.width / size.height)};
  return {std::max<std::int64_t>(1, side * size.height / size.width), side};
}

}  // namespace joulery::data
