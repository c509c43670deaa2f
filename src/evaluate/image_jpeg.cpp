#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>

#include "evaluate/image.hpp"

namespace joulery::evaluate {
namespace {

constexpr std::size_t kBlock = 8;
using Table = std::array<std::uint8_t, kBlock * kBlock>;

/// ITU-T T.81, tables K.1 and K.2.
constexpr Table kLuminance{16, 11, 10, 16, 24,  40,  51,  61,  12, 12, 14, 19, 26,  58,  60,  55,
                           14, 13, 16, 24, 40,  57,  69,  56,  14, 17, 22, 29, 51,  87,  80,  62,
                           18, 22, 37, 56, 68,  109, 103, 77,  24, 35, 55, 64, 81,  104, 113, 92,
                           49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99};
constexpr Table kChrominance{17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99,
                             24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
                             99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
                             99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99};

/// As the Independent JPEG Group's library scales them.
std::array<float, kBlock * kBlock> scaled(const Table& table, int quality) {
  const int factor = quality < 50 ? 5000 / quality : 200 - 2 * quality;
  std::array<float, kBlock * kBlock> result{};
  for (std::size_t i = 0; i < table.size(); ++i) {
    result[i] = static_cast<float>(std::clamp((table[i] * factor + 50) / 100, 1, 255));
  }
  return result;
}

/// Row u holds the u-th cosine, orthonormal.
std::array<float, kBlock * kBlock> cosines() {
  std::array<float, kBlock * kBlock> result{};
  for (std::size_t u = 0; u < kBlock; ++u) {
    for (std::size_t x = 0; x < kBlock; ++x) {
      const double angle = (2 * static_cast<double>(x) + 1) * static_cast<double>(u) * std::numbers::pi / 16;
      result[u * kBlock + x] =
          static_cast<float>(std::cos(angle) / 2 * (u == 0 ? std::numbers::sqrt2 / 2 : 1));
    }
  }
  return result;
}

using Block = std::array<float, kBlock * kBlock>;

/// The cosine transform of rows, then of columns, or its inverse.
Block transformed(const Block& block, const Block& basis, bool inverse) {
  Block half{};
  Block result{};
  const auto weight = [&](std::size_t u, std::size_t x) {
    return inverse ? basis[x * kBlock + u] : basis[u * kBlock + x];
  };
  for (std::size_t y = 0; y < kBlock; ++y) {
    for (std::size_t u = 0; u < kBlock; ++u) {
      for (std::size_t x = 0; x < kBlock; ++x) half[y * kBlock + u] += weight(u, x) * block[y * kBlock + x];
    }
  }
  for (std::size_t v = 0; v < kBlock; ++v) {
    for (std::size_t y = 0; y < kBlock; ++y) {
      for (std::size_t u = 0; u < kBlock; ++u) result[v * kBlock + u] += weight(v, y) * half[y * kBlock + u];
    }
  }
  return result;
}

/// One channel of whole numbers 0 … 255 through the quantised cosine transform. Blocks that stick out repeat
/// the edge.
void quantise(Image& plane, const std::array<float, kBlock * kBlock>& steps) {
  static const Block kBasis = cosines();
  for (std::size_t top = 0; top < plane.height(); top += kBlock) {
    for (std::size_t left = 0; left < plane.width(); left += kBlock) {
      Block block{};
      for (std::size_t i = 0; i < block.size(); ++i) {
        const std::size_t y = std::min(top + i / kBlock, plane.height() - 1);
        const std::size_t x = std::min(left + i % kBlock, plane.width() - 1);
        block[i] = plane.at(y, x, 0) - 128;
      }
      Block coefficients = transformed(block, kBasis, false);
      for (std::size_t i = 0; i < block.size(); ++i) {
        coefficients[i] = std::round(coefficients[i] / steps[i]) * steps[i];
      }
      block = transformed(coefficients, kBasis, true);
      for (std::size_t i = 0; i < block.size(); ++i) {
        const std::size_t y = top + i / kBlock;
        const std::size_t x = left + i % kBlock;
        if (y >= plane.height() || x >= plane.width()) continue;
        plane.at(y, x, 0) = std::clamp(std::round(block[i] + 128), 0.0F, 255.0F);
      }
    }
  }
}

/// Whole blocks wide: what sticks out repeats the last column, as it was before the halving.
Image halved(const Image& plane) {
  const std::size_t blocks = (plane.width() + 2 * kBlock - 1) / (2 * kBlock);
  Image result((plane.height() + 1) / 2, blocks * kBlock, 1);
  for (std::size_t y = 0; y < result.height(); ++y) {
    const std::size_t below = std::min(2 * y + 1, plane.height() - 1);
    for (std::size_t x = 0; x < result.width(); ++x) {
      const std::size_t left = std::min(2 * x, plane.width() - 1);
      const std::size_t right = std::min(2 * x + 1, plane.width() - 1);
      const float sum = plane.at(2 * y, left, 0) + plane.at(2 * y, right, 0) + plane.at(below, left, 0) +
                        plane.at(below, right, 0);
      // Halves are rounded down and up in turns, lest the colour drift.
      result.at(y, x, 0) = std::floor((sum + (x % 2 == 0 ? 1.0F : 2.0F)) / 4);
    }
  }
  return result;
}

/// Three parts of the nearer pixel, one of the next, in both directions.
Image doubled(const Image& plane, std::size_t height, std::size_t width) {
  Image result(height, width, 1);
  const auto other = [](std::size_t at, std::size_t size) {
    const std::ptrdiff_t next = static_cast<std::ptrdiff_t>(at / 2) + (at % 2 == 0 ? -1 : 1);
    return folded(next, (size + 1) / 2, Edge::nearest);
  };
  for (std::size_t y = 0; y < height; ++y) {
    const std::size_t far_y = other(y, height);
    for (std::size_t x = 0; x < width; ++x) {
      const std::size_t far_x = other(x, width);
      const float near_column = 3 * plane.at(y / 2, x / 2, 0) + plane.at(far_y, x / 2, 0);
      const float far_column = 3 * plane.at(y / 2, far_x, 0) + plane.at(far_y, far_x, 0);
      result.at(y, x, 0) = std::floor((3 * near_column + far_column + (x % 2 == 0 ? 8.0F : 7.0F)) / 16);
    }
  }
  return result;
}

Image channel_bytes(const Image& image, std::size_t channel) {
  Image plane(image.height(), image.width(), 1);
  for (std::size_t i = 0; i < plane.values().size(); ++i) {
    plane.values()[i] =
        std::round(255 * std::clamp(image.values()[i * image.channels() + channel], 0.0F, 1.0F));
  }
  return plane;
}

Image colour_through_jpeg(const Image& image, int quality) {
  const Image red = channel_bytes(image, 0);
  const Image green = channel_bytes(image, 1);
  const Image blue = channel_bytes(image, 2);
  Image luma(image.height(), image.width(), 1);
  Image blueness(image.height(), image.width(), 1);
  Image redness(image.height(), image.width(), 1);
  for (std::size_t i = 0; i < luma.values().size(); ++i) {
    const float r = red.values()[i];
    const float g = green.values()[i];
    const float b = blue.values()[i];
    luma.values()[i] = std::round(0.299F * r + 0.587F * g + 0.114F * b);
    blueness.values()[i] =
        std::clamp(std::round(-0.168736F * r - 0.331264F * g + 0.5F * b + 128), 0.0F, 255.0F);
    redness.values()[i] =
        std::clamp(std::round(0.5F * r - 0.418688F * g - 0.081312F * b + 128), 0.0F, 255.0F);
  }
  quantise(luma, scaled(kLuminance, quality));
  const auto steps = scaled(kChrominance, quality);
  for (Image* plane : {&blueness, &redness}) {
    Image small = halved(*plane);
    quantise(small, steps);
    *plane = doubled(small, image.height(), image.width());
  }
  Image result(image.height(), image.width(), 3);
  for (std::size_t i = 0; i < luma.values().size(); ++i) {
    const float y = luma.values()[i];
    const float cb = blueness.values()[i] - 128;
    const float cr = redness.values()[i] - 128;
    const std::array<float, 3> colour{y + 1.402F * cr, y - 0.344136F * cb - 0.714136F * cr, y + 1.772F * cb};
    for (std::size_t c = 0; c < 3; ++c) {
      result.values()[3 * i + c] = std::clamp(std::round(colour[c]), 0.0F, 255.0F) / 255;
    }
  }
  return result;
}

}  // namespace

Image through_jpeg(const Image& image, int quality) {
  const int valid = std::clamp(quality, 1, 100);
  if (image.channels() == 3) return colour_through_jpeg(image, valid);
  Image result(image.height(), image.width(), image.channels());
  for (std::size_t channel = 0; channel < image.channels(); ++channel) {
    Image plane = channel_bytes(image, channel);
    quantise(plane, scaled(kLuminance, valid));
    for (std::size_t i = 0; i < plane.values().size(); ++i) {
      result.values()[i * image.channels() + channel] = plane.values()[i] / 255;
    }
  }
  return result;
}

}  // namespace joulery::evaluate
