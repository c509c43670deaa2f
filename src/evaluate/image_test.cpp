#include "evaluate/image.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace joulery::evaluate {
namespace {

/// What Pillow, scikit-image and scipy were given for the known values below.
Image waves() {
  Image image(24, 20, 3);
  for (std::size_t y = 0; y < image.height(); ++y) {
    for (std::size_t x = 0; x < image.width(); ++x) {
      const auto at_y = static_cast<double>(y);
      const auto at_x = static_cast<double>(x);
      const std::array<double, 3> values{127.5 + 120 * std::sin(0.35 * at_x + 0.2 * at_y),
                                         127.5 + 120 * std::cos(0.3 * at_y - 0.1 * at_x),
                                         127.5 + 120 * std::sin(0.15 * at_x * at_y / 10 + 1)};
      for (std::size_t c = 0; c < 3; ++c) {
        image.at(y, x, c) = static_cast<float>(std::nearbyint(values[c]) / 255);
      }
    }
  }
  return image;
}

Image grey_waves() {
  const Image colour = waves();
  Image image(24, 20, 1);
  for (std::size_t i = 0; i < image.values().size(); ++i) image.values()[i] = colour.values()[3 * i];
  return image;
}

double mean_square(const Image& a, const Image& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.values().size(); ++i) {
    const double off = 255 * static_cast<double>(a.values()[i] - b.values()[i]);
    sum += off * off;
  }
  return sum / static_cast<double>(a.values().size());
}

void expect_pixel(const Image& image, std::size_t y, std::size_t x, const std::array<double, 3>& values,
                  double tolerance) {
  for (std::size_t c = 0; c < 3; ++c) {
    EXPECT_NEAR(static_cast<double>(image.at(y, x, c)), values[c], tolerance) << y << " " << x << " " << c;
  }
}

TEST(ImageTest, JpegLosesWhatPillowLoses) {
  // Pillow 13.0.0 (libjpeg-turbo): Image.save(…, 'JPEG', quality=q), read back.
  struct Known {
    int quality;
    double loss;  // mean square, of 255
    std::array<double, 3> near_corner;
    std::array<double, 3> inside;
    std::array<double, 3> corner;
  };
  const Known cases[] = {{80, 58.783, {245, 228, 246}, {214, 49, 53}, {25, 155, 230}},
                         {25, 193.976, {236, 224, 255}, {211, 57, 55}, {34, 144, 223}},
                         {10, 500.882, {219, 224, 253}, {193, 62, 80}, {41, 136, 200}}};
  for (const Known& known : cases) {
    Image result = through_jpeg(waves(), known.quality);
    EXPECT_NEAR(mean_square(result, waves()), known.loss, 0.02 * known.loss) << known.quality;
    for (float& value : result.values()) value *= 255;
    expect_pixel(result, 3, 4, known.near_corner, 2.01);
    expect_pixel(result, 17, 11, known.inside, 2.01);
    expect_pixel(result, 23, 19, known.corner, 2.01);
  }
  const Image grey = through_jpeg(grey_waves(), 15);
  EXPECT_NEAR(mean_square(grey, grey_waves()), 56.692, 0.6);
  EXPECT_NEAR(static_cast<double>(grey.at(3, 4, 0)) * 255, 243, 1.01);
  EXPECT_NEAR(static_cast<double>(grey.at(17, 11, 0)) * 255, 226, 1.01);
}

TEST(ImageTest, BlursAreThoseOfScikitImageAndScipy) {
  // scikit-image 0.26.0: filters.gaussian(sigma=1.1)
  const Image blurred = gaussian_blur(waves(), 1.1);
  expect_pixel(blurred, 3, 4, {0.88800278, 0.88889115, 0.93303455}, 1e-5);
  expect_pixel(blurred, 0, 0, {0.5999443, 0.95992416, 0.89476742}, 1e-5);
  expect_pixel(blurred, 23, 19, {0.04567114, 0.59621358, 0.8846108}, 1e-5);
  // scipy 1.17.1: ndimage.gaussian_filter(30, mode='reflect', truncate=3), wider than the image
  const Image wide = gaussian_blur(grey_waves(), 30, Edge::reflect, 3);
  EXPECT_NEAR(static_cast<double>(wide.at(3, 4, 0)), 0.5081033441868154, 1e-5);
  EXPECT_NEAR(static_cast<double>(wide.at(0, 0, 0)), 0.5080404630057351, 1e-5);
  // scipy 1.17.1: ndimage.correlate with a disk smoothed by 3 taps, mode='mirror'
  const Image three = disk_blur(grey_waves(), 3, 0.1);
  EXPECT_NEAR(static_cast<double>(three.at(3, 4, 0)), 0.8509803921568628, 1e-5);
  EXPECT_NEAR(static_cast<double>(three.at(0, 0, 0)), 0.7837728194726166, 1e-5);
  const Image four = disk_blur(grey_waves(), 4, 0.5);
  EXPECT_NEAR(static_cast<double>(four.at(12, 10, 0)), 0.3768927261547097, 1e-5);
  EXPECT_NEAR(static_cast<double>(four.at(0, 0, 0)), 0.8453604347911462, 1e-5);
}

TEST(ImageTest, SizesChangeAsInPillowAndScipy) {
  // Pillow 13.0.0: resize((12, 14), BOX), then back. It rounds to bytes after each direction.
  const Image small = box_resized(waves(), 14, 12);
  expect_pixel(small, 2, 3, {186 / 255.0, 232 / 255.0, 243 / 255.0}, 1.01 / 255);
  const Image back = box_resized(small, 24, 20);
  expect_pixel(back, 5, 7, {80 / 255.0, 197 / 255.0, 247 / 255.0}, 1.01 / 255);
  expect_pixel(back, 23, 19, {11 / 255.0, 150 / 255.0, 224 / 255.0}, 1.01 / 255);
  // scipy 1.17.1: ndimage.zoom of the middle 22 x 19 by 1.1, order=1, cut to size
  const Image near = zoomed(waves(), 1.1);
  expect_pixel(near, 3, 4, {0.91959079, 0.83706735, 0.93773231}, 1e-5);
  expect_pixel(near, 17, 11, {0.71788576, 0.1859676, 0.35679454}, 1e-5);
}

TEST(ImageTest, BlursKeepWhatIsUniform) {
  Image flat(9, 7, 3);
  for (float& value : flat.values()) value = 0.25F;
  for (const Image& blurred : {gaussian_blur(flat, 2), disk_blur(flat, 10, 0.5), motion_blur(flat, 10, 3, 30),
                               zoomed(flat, 1.3), box_resized(flat, 4, 3)}) {
    for (const float value : blurred.values()) EXPECT_NEAR(static_cast<double>(value), 0.25, 1e-5);
  }
}

TEST(ImageTest, PlacesBeyondTheEdgeFold) {
  const auto folds = [](Edge edge) {
    std::vector<std::size_t> places;
    for (std::ptrdiff_t i = -5; i < 9; ++i) places.push_back(folded(i, 4, edge));
    return places;
  };
  EXPECT_EQ(folds(Edge::nearest), (std::vector<std::size_t>{0, 0, 0, 0, 0, 0, 1, 2, 3, 3, 3, 3, 3, 3}));
  EXPECT_EQ(folds(Edge::reflect), (std::vector<std::size_t>{3, 3, 2, 1, 0, 0, 1, 2, 3, 3, 2, 1, 0, 0}));
  EXPECT_EQ(folds(Edge::mirror), (std::vector<std::size_t>{1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1, 2}));
  EXPECT_EQ(folded(7, 1, Edge::mirror), 0U);
}

TEST(ImageTest, CloudsFillTheirRange) {
  stats::RandomStream random(9);
  const Image cloud = plasma(20, 33, 2, random);
  const auto [low, high] = std::ranges::minmax(cloud.values());
  EXPECT_GE(low, 0);
  EXPECT_LE(high, 1);
  EXPECT_GT(high - low, 0.3F);
}

}  // namespace
}  // namespace joulery::evaluate
