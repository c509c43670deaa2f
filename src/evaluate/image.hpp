#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "stats/random_stream.hpp"

namespace joulery::evaluate {

/// An image with values from 0 (black) to 1 (white), channels last.
class Image {
 public:
  Image(std::size_t height, std::size_t width, std::size_t channels)
      : height_(height), width_(width), channels_(channels), values_(height * width * channels) {}
  std::size_t height() const { return height_; }
  std::size_t width() const { return width_; }
  std::size_t channels() const { return channels_; }
  std::span<float> values() { return values_; }
  std::span<const float> values() const { return values_; }
  float& at(std::size_t y, std::size_t x, std::size_t channel) {
    return values_[(y * width_ + x) * channels_ + channel];
  }
  float at(std::size_t y, std::size_t x, std::size_t channel) const {
    return values_[(y * width_ + x) * channels_ + channel];
  }
  std::span<float> pixel(std::size_t y, std::size_t x) {
    return std::span(values_).subspan((y * width_ + x) * channels_, channels_);
  }
  void clip();

 private:
  std::size_t height_;
  std::size_t width_;
  std::size_t channels_;
  std::vector<float> values_;
};

/// What a place beyond the edge takes: the edge's value, the mirror image with the edge twice
/// (dcba|abcd|dcba), or with the edge once (dcb|abcd|cba).
enum class Edge { nearest, reflect, mirror };
std::size_t folded(std::ptrdiff_t place, std::size_t size, Edge edge);

/// Gaussian blur, cut off at `truncate` deviations; none for a deviation that is not above 0.
Image gaussian_blur(const Image& image, double deviation, Edge edge = Edge::nearest, double truncate = 4);
/// Value between pixels, bilinear; `channel` of the image.
float interpolated(const Image& image, double y, double x, std::size_t channel, Edge edge);
/// The middle of the image, enlarged by `factor` >= 1 to its size, bilinear.
Image zoomed(const Image& image, double factor);
/// Each new pixel is the mean of the pixels whose centres it covers, or the nearest if there is none.
Image box_resized(const Image& image, std::size_t height, std::size_t width);
/// The image smeared along a line at this angle (degrees, from the x axis) by one half of a Gaussian.
Image motion_blur(const Image& image, double radius, double deviation, double degrees);
/// Blurred by a disk of this radius whose rim is smoothed by a Gaussian.
Image disk_blur(const Image& image, double radius, double smoothing);
/// A cloud from 0 to 1 in one channel: diamond-square; rough for a small `decay`, 1 < decay.
Image plasma(std::size_t height, std::size_t width, double decay, stats::RandomStream& random);
/// What JPEG at this quality (1 … 100; 4:2:0, the standard's tables) leaves of it. Only lossy steps are
/// taken: the entropy coding loses nothing. Three channels are red, green and blue; of any other number each
/// is grey.
Image through_jpeg(const Image& image, int quality);

}  // namespace joulery::evaluate
