#include "data/image.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "data/dataset_fixture.hpp"

namespace joulery::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Image decoded(const std::string& name) {
  const auto decoder = ImageDecoder::open(own_library_directory());
  EXPECT_TRUE(decoder) << decoder.error().message;
  const auto bytes = read_file(fixture("images/" + name), 1U << 20U);
  EXPECT_TRUE(bytes);
  auto image = decoder->decode(std::as_bytes(std::span(*bytes)), 1'000'000);
  EXPECT_TRUE(image) << name << ": " << (image ? "" : image.error().message);
  return image ? *image : Image();
}

/// What Pillow 13 makes of an image, in expected.npz.
std::vector<std::uint8_t> expected(const std::string& name, const ImageSize& size, std::int64_t channels) {
  const Shape shape =
      channels == 1 ? Shape{-1, size.height, size.width} : Shape{-1, size.height, size.width, channels};
  const auto dataset = open_dataset(
      request_for(fixture("images/expected.npz"), {{.name = name, .type = DataType::u8, .shape = shape}}));
  EXPECT_TRUE(dataset) << (dataset ? "" : dataset.error().message);
  return dataset ? read_all<std::uint8_t>(**dataset, 1).values : std::vector<std::uint8_t>();
}

/// How many values differ by more than `most` levels.
std::size_t differing(const Image& image, const std::vector<std::uint8_t>& wanted, int most) {
  if (image.pixels.size() != wanted.size()) return wanted.size() + image.pixels.size() + 1;
  std::size_t count = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (std::abs(int{image.pixels[i]} - int{wanted[i]}) > most) ++count;
  }
  return count;
}

TEST(Images, PngIsDecodedAsByPillow) {
  for (const char* name : {"rgb", "palette", "rgba", "grey", "one_bit"}) {
    const Image image = with_channels(decoded(std::string(name) + ".png"), 3);
    EXPECT_EQ(image.size, (ImageSize{45, 60})) << name;
    EXPECT_EQ(differing(image, expected(std::string(name) + "_png", {45, 60}, 3), 0), 0u) << name;
  }
  EXPECT_EQ(decoded("grey.png").channels, 1);
  EXPECT_EQ(decoded("grey16.png").channels, 1);
}

TEST(Images, JpegIsDecodedAsByPillow) {
  // Decoders of one standard may differ in the last bit.
  for (const char* name : {"rgb", "progressive"}) {
    EXPECT_EQ(
        differing(decoded(std::string(name) + ".jpg"), expected(std::string(name) + "_jpg", {45, 60}, 3), 2),
        0u)
        << name;
  }
  EXPECT_EQ(decoded("grey.jpg").channels, 1);
}

TEST(Images, ResizingIsThatOfPillow) {
  const Image image = decoded("rgb.png");
  const std::vector<std::pair<std::string, ImageSize>> cases{
      {"rgb_png_small", {16, 20}}, {"rgb_png_large", {70, 64}}, {"rgb_png_flat", {45, 7}}};
  for (const auto& [name, size] : cases) {
    const auto wanted = expected(name, size, 3);
    const Image resized = resize_bilinear(image, size);
    EXPECT_EQ(resized.size, size);
    EXPECT_EQ(differing(resized, wanted, 1), 0u) << name;
    EXPECT_LE(differing(resized, wanted, 0), wanted.size() / 50) << name;
  }
  EXPECT_EQ(differing(with_channels(image, 1), expected("grey_of_rgb", {45, 60}, 1), 0), 0u);
}

TEST(Images, AFlatImageStaysFlatAtEverySize) {
  const Image image{.size = {5, 9}, .channels = 1, .pixels = std::vector<std::uint8_t>(45, 137)};
  for (std::int64_t height = 1; height < 14; ++height) {
    for (std::int64_t width = 1; width < 14; ++width) {
      const Image resized = resize_bilinear(image, {height, width});
      EXPECT_EQ(std::ranges::count(resized.pixels, 137), height * width);
    }
  }
}

TEST(Images, TheMiddleIsCutOut) {
  Image image{.size = {4, 5}, .channels = 1, .pixels = {}};
  for (std::uint8_t i = 0; i < 20; ++i) image.pixels.push_back(i);
  EXPECT_THAT(crop_centre(image, {2, 3}).pixels, ElementsAre(6, 7, 8, 11, 12, 13));
}

TEST(Images, TheShorterSideIsKept) {
  EXPECT_EQ(size_with_shorter_side({427, 640}, 256), (ImageSize{256, 383}));
  EXPECT_EQ(size_with_shorter_side({640, 427}, 256), (ImageSize{383, 256}));
  EXPECT_EQ(size_with_shorter_side({10000, 1}, 2), (ImageSize{20000, 2}));
}

TEST(Images, HeadersAreNotBelieved) {
  const auto decoder = ImageDecoder::open(own_library_directory());
  ASSERT_TRUE(decoder);
  const auto bytes = read_file(fixture("images/rgb.png"), 1U << 20U);
  ASSERT_TRUE(bytes);
  const auto refused = decoder->decode(std::as_bytes(std::span(*bytes)), 45 * 60 - 1);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("claims 60 x 45 pixels"));
  for (const char* name : {"rgb.png", "rgb.jpg", "progressive.jpg"}) {
    const auto whole = read_file(fixture(std::string("images/") + name), 1U << 20U);
    ASSERT_TRUE(whole);
    for (std::size_t size = 0; size < whole->size() - 20; size += 97) {
      const auto cut = decoder->decode(std::as_bytes(std::span(*whole)).first(size), 1'000'000);
      EXPECT_FALSE(cut) << name << " cut to " << size;
    }
  }
}

TEST(Images, CmykIsRefusedWithAHint) {
  const auto decoder = ImageDecoder::open(own_library_directory());
  ASSERT_TRUE(decoder);
  const auto bytes = read_file(fixture("images/cmyk.jpg"), 1U << 20U);
  ASSERT_TRUE(bytes);
  const auto refused = decoder->decode(std::as_bytes(std::span(*bytes)), 1'000'000);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().hint, HasSubstr("CMYK"));
}

TEST(Images, WithoutThePluginTheHintHelps) {
  const auto decoder = ImageDecoder::open("/nowhere");
  ASSERT_FALSE(decoder);
  EXPECT_EQ(decoder.error().kind, Error::Kind::environment);
  EXPECT_THAT(decoder.error().hint, HasSubstr("./dev setup"));
}

class ImageFolders : public ::testing::Test {
 protected:
  ImageFolders() {
    for (const auto& [name, source] : std::vector<std::pair<std::string, std::string>>{
             {"cat/2.png", "rgb.png"}, {"cat/1.jpg", "rgb.jpg"}, {"dog/deep/3.PNG", "grey.png"}}) {
      auto bytes = read_file(fixture("images/" + source), 1U << 20U);
      EXPECT_TRUE(bytes);
      (void)folder_.write(name, *bytes);
    }
    (void)folder_.write("cat/notes.txt", "x");
  }
  DatasetRequest request(const Shape& shape, DataType type = DataType::f32) const {
    return request_for(folder_.path(), {{.name = "in", .type = type, .shape = shape}});
  }
  std::string error(const DatasetRequest& request) const {
    const auto dataset = open_dataset(request);
    if (!dataset) return dataset.error().message + " hint: " + dataset.error().hint;
    return read_all<float>(**dataset, 5).error;
  }
  TestFolder folder_;
};

TEST_F(ImageFolders, SubFoldersAreClasses) {
  auto wanted = request({-1, 3, 24, 32});
  wanted.needs_labels = true;
  const auto dataset = open_dataset(wanted);
  ASSERT_TRUE(dataset) << dataset.error().message;
  EXPECT_EQ((*dataset)->info().count, 3u);
  EXPECT_THAT((*dataset)->info().class_names, ElementsAre("cat", "dog"));
  EXPECT_THAT((*dataset)->info().note, HasSubstr("resized to the model's 24 x 32"));
  EXPECT_THAT((*dataset)->info().note, HasSubstr("1 file passed over"));
  const auto all = read_all<float>(**dataset, 2);
  EXPECT_EQ(all.error, "");
  EXPECT_THAT(all.labels,
              ElementsAre(Label(std::int64_t{0}), Label(std::int64_t{0}), Label(std::int64_t{1})));
  EXPECT_THAT(all.shapes, ElementsAre("[2, 3, 24, 32]", "[1, 3, 24, 32]"));
}

TEST_F(ImageFolders, LayoutFollowsTheModelAndBothHoldTheSamePixels) {
  const auto first = open_dataset(request({-1, 3, 24, 32}, DataType::u8));
  const auto last = open_dataset(request({-1, 24, 32, 3}, DataType::u8));
  ASSERT_TRUE(first && last);
  const auto nchw = read_all<std::uint8_t>(**first, 9).values;
  const auto nhwc = read_all<std::uint8_t>(**last, 9).values;
  const std::size_t pixels = 24 * 32;
  for (std::size_t pixel = 0; pixel < pixels; ++pixel) {
    for (std::size_t channel = 0; channel < 3; ++channel) {
      ASSERT_EQ(nchw[channel * pixels + pixel], nhwc[pixel * 3 + channel]);
    }
  }
  const auto grey = open_dataset(request({-1, 24, 32}, DataType::u8));
  ASSERT_TRUE(grey) << grey.error().message;
  EXPECT_EQ(read_all<std::uint8_t>(**grey, 1).shapes[0], "[1, 24, 32]");
}

TEST_F(ImageFolders, ValuesAreScaledShiftedAndDivided) {
  auto wanted = request({-1, 45, 60, 3});
  wanted.images.channels = ImageOptions::Channels::bgr;
  ASSERT_TRUE(set_image_option(wanted.images, "scale", "1/255"));
  ASSERT_TRUE(set_image_option(wanted.images, "mean", "0.4,0.5,0.6"));
  ASSERT_TRUE(set_image_option(wanted.images, "std", "0.5"));
  const auto dataset = open_dataset(wanted);
  ASSERT_TRUE(dataset) << dataset.error().message;
  const auto values = read_all<float>(**dataset, 9).values;
  const Image image = decoded("rgb.jpg");
  EXPECT_FLOAT_EQ(values[0], (image.pixels[2] / 255.0F - 0.4F) / 0.5F);
  EXPECT_FLOAT_EQ(values[2], (image.pixels[0] / 255.0F - 0.6F) / 0.5F);
}

TEST_F(ImageFolders, ResizeThenCropAsTrainingPipelinesDo) {
  auto wanted = request({-1, 3, 20, 20});
  ASSERT_TRUE(set_image_option(wanted.images, "resize", "30"));
  EXPECT_THAT(error(wanted), HasSubstr("do not fit the input"));
  ASSERT_TRUE(set_image_option(wanted.images, "crop", "20x20"));
  EXPECT_EQ(error(wanted), "");
  ASSERT_TRUE(set_image_option(wanted.images, "crop", "31x20"));
  EXPECT_THAT(error(wanted), HasSubstr("too small to cut 31 x 20 out of it"));
}

TEST_F(ImageFolders, WhatDoesNotFitIsExplained) {
  EXPECT_THAT(error(request({-1, -1, -1, -1})), HasSubstr("layout=nchw"));
  EXPECT_THAT(error(request({-1, 2, 3, 8, 8})), HasSubstr("takes no images"));
  EXPECT_THAT(error(request({-1, 4, 8, 8})), HasSubstr("does not tell where its channels are"));
  auto wanted = request({-1, 3, 8, 8});
  wanted.images.mean = {1, 2};
  EXPECT_THAT(error(wanted), HasSubstr("--image mean has 2 numbers where the model has 3 channels"));
  wanted = request({-1, 3, 8, 8});
  wanted.images.channels = ImageOptions::Channels::grey;
  EXPECT_THAT(error(wanted), HasSubstr("not what --image channels asks for"));
}

TEST_F(ImageFolders, DamageNamesTheFile) {
  (void)folder_.write("dog/a.jpg", "\xFF\xD8\xFF no");
  EXPECT_THAT(error(request({-1, 3, 8, 8})), HasSubstr("dog/a.jpg': not a sound JPEG"));
}

TEST(ImageOptionTexts, WrongOnesSayWhatIsRight) {
  ImageOptions options;
  EXPECT_TRUE(set_image_option(options, "resize", "96x128"));
  EXPECT_EQ(options.resize, (ImageSize{96, 128}));
  EXPECT_TRUE(set_image_option(options, "resize", "256"));
  EXPECT_FALSE(options.resize);
  EXPECT_EQ(options.resize_shorter, 256);
  for (const auto& [key, value] : std::vector<std::pair<std::string, std::string>>{{"resize", "0x5"},
                                                                                   {"resize", "-5"},
                                                                                   {"crop", "5"},
                                                                                   {"scale", "1/0"},
                                                                                   {"scale", "1,2"},
                                                                                   {"mean", "a"},
                                                                                   {"std", "0"},
                                                                                   {"layout", "hwc"},
                                                                                   {"channels", "cmyk"},
                                                                                   {"most_pixels", "0"}}) {
    EXPECT_FALSE(set_image_option(options, key, value)) << key << "=" << value;
  }
  const auto typo = set_image_option(options, "rezise", "5");
  ASSERT_FALSE(typo);
  EXPECT_EQ(typo.error().hint, "did you mean resize?");
}

}  // namespace
}  // namespace joulery::data
