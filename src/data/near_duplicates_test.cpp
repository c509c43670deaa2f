#include "data/near_duplicates.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <optional>

#include "data/dataset_fixture.hpp"
#include "data/image.hpp"
#include "stats/random_stream.hpp"

namespace joulery::data {
namespace {

using ::testing::HasSubstr;

/// Samples as a dataset would give them.
class Samples {
 public:
  explicit Samples(Shape sample) : sample_(sample) {}
  void add(std::vector<float> values) {
    ids_.push_back(std::hash<std::string_view>()(
        {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)}));
    values_.insert(values_.end(), values.begin(), values.end());
  }
  DuplicateReport report(const NearDuplicateOptions& options = {}) {
    Batch batch;
    batch.count = ids_.size();
    batch.ids = ids_;
    Shape shape = Shape::create(std::vector<std::int64_t>(sample_.rank() + 1, 1)).value();
    shape.set(0, static_cast<std::int64_t>(ids_.size()));
    for (std::size_t i = 0; i < sample_.rank(); ++i) shape.set(i + 1, sample_[i]);
    batch.inputs.push_back({.type = DataType::f32,
                            .shape = shape,
                            .data = reinterpret_cast<std::byte*>(values_.data()),
                            .bytes = values_.size() * sizeof(float)});
    NearDuplicates finder(options);
    finder.add(batch);
    return finder.report();
  }

 private:
  Shape sample_;
  std::vector<float> values_;
  std::vector<std::uint64_t> ids_;
};

std::vector<float> random_values(std::uint64_t seed, std::size_t count) {
  stats::RandomStream random(seed);
  std::vector<float> values;
  for (std::size_t i = 0; i < count; ++i) values.push_back(static_cast<float>(random.unit()));
  return values;
}

TEST(NearDuplicates, EqualSamplesAreFoundByTheirIds) {
  Samples samples(Shape{4});
  samples.add({1, 2, 3, 4});
  samples.add({5, 6, 7, 8});
  samples.add({1, 2, 3, 4});
  const auto report = samples.report();
  EXPECT_EQ(report.samples, 3u);
  EXPECT_EQ(report.exact_copies, 1u);
  EXPECT_EQ(report.near_copies, 0u);
  EXPECT_EQ(report.group, (std::vector<std::uint64_t>{0, 1, 0}));
}

TEST(NearDuplicates, VectorsThatShareMostValuesAreOneGroup) {
  // By the share of values that were replaced: 5 % is far above the threshold, 60 % far below it.
  int found = 0;
  int wrong = 0;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Samples samples(Shape{200});
    const auto first = random_values(seed, 200);
    auto near = first;
    auto far = first;
    for (std::size_t i = 0; i < 10; ++i) near[i * 20] = 9;
    for (std::size_t i = 0; i < 120; ++i) far[i] = 7;
    samples.add(first);
    samples.add(far);
    samples.add(near);
    const auto report = samples.report();
    found += report.group[2] == 0 ? 1 : 0;
    wrong += report.group[1] == 0 ? 1 : 0;
  }
  EXPECT_GE(found, 49);
  EXPECT_LE(wrong, 1);
}

TEST(NearDuplicates, PaddingMakesNothingAlike) {
  Samples samples(Shape{1000});
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    auto values = random_values(seed, 20);
    values.resize(1000, 256);
    samples.add(values);
  }
  EXPECT_EQ(samples.report().near_copies, 0u);
}

TEST(NearDuplicates, BrightenedAndResizedImagesAreFoundAndOthersAreNot) {
  const auto plane = [](const Image& image) {
    return std::vector<float>(image.pixels.begin(), image.pixels.end());
  };
  const auto decoder = ImageDecoder::open(own_library_directory());
  ASSERT_TRUE(decoder);
  const auto bytes = read_file(fixture("images/rgb.png"), 1U << 20U);
  const auto image = decoder->decode(std::as_bytes(std::span(*bytes)), 1'000'000);
  ASSERT_TRUE(image);
  const auto worse = resize_bilinear(resize_bilinear(*image, {40, 52}), image->size);
  auto bright = plane(*image);
  for (float& value : bright) value = value * 0.8F + 40;
  Image mirrored = *image;
  std::reverse(mirrored.pixels.begin(), mirrored.pixels.end());
  Samples samples(Shape{45, 60, 3});
  samples.add(plane(*image));
  samples.add(plane(worse));
  samples.add(bright);
  samples.add(plane(mirrored));
  samples.add(random_values(1, 45 * 60 * 3));
  samples.add(std::vector<float>(45 * 60 * 3, 17));
  samples.add(std::vector<float>(45 * 60 * 3, 18));
  const auto report = samples.report();
  EXPECT_EQ(report.group, (std::vector<std::uint64_t>{0, 0, 0, 3, 4, 5, 6}));
  EXPECT_EQ(report.near_copies, 2u);
  EXPECT_THAT(report.method, HasSubstr("9 of 128 bits"));
}

TEST(NearDuplicates, GroupsGoOverOthers) {
  Samples samples(Shape{100});
  auto values = random_values(3, 100);
  for (int step = 0; step < 6; ++step) {
    for (std::size_t i = 0; i < 5; ++i) values[static_cast<std::size_t>(step) * 10 + i] = 5;
    samples.add(values);
  }
  const auto report = samples.report({.least_equal_share = 0.75});
  EXPECT_EQ(report.group, std::vector<std::uint64_t>(6, 0));
}

TEST(NearDuplicates, ManyAlikeAreNotComparedWithoutEndAndItIsTold) {
  Samples samples(Shape{50});
  for (int i = 0; i < 300; ++i) {
    std::vector<float> values(50, 1);
    for (std::size_t k = 0; k < 30; ++k) values[k] = static_cast<float>(k + 2);
    values[0] = static_cast<float>(1000 + i * 16);
    samples.add(values);
  }
  const auto report = samples.report({.most_comparisons = 8});
  EXPECT_GT(report.comparisons_left_out, 0u);
  EXPECT_EQ(std::ranges::count(report.group, 0u), 300);
}

/// Photographs that scikit-learn ships, where ./dev test has put them.
std::optional<std::string> photograph(const std::string& name) {
  const std::filesystem::path packages = std::filesystem::path(JOULERY_SOURCE_DIR) / ".deps/venv/lib";
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(packages, error)) {
    const auto path = entry.path() / "site-packages/sklearn/datasets/images" / name;
    if (std::filesystem::exists(path)) return path.string();
  }
  return std::nullopt;
}

TEST(NearDuplicates, PiecesOfPhotographsAreToldApartAndTheirCopiesFound) {
  const auto path = photograph("china.jpg");
  if (!path) GTEST_SKIP() << "scikit-learn's photographs are not installed";
  const auto decoder = ImageDecoder::open(own_library_directory());
  ASSERT_TRUE(decoder);
  Samples samples(Shape{64, 64, 3});
  std::size_t pieces = 0;
  for (const char* name : {"china.jpg", "flower.jpg"}) {
    const auto bytes = read_file(*photograph(name), 1U << 24U);
    const auto image = decoder->decode(std::as_bytes(std::span(*bytes)), 10'000'000);
    ASSERT_TRUE(image);
    for (std::int64_t top = 0; top + 64 <= image->size.height; top += 64) {
      for (std::int64_t left = 0; left + 64 <= image->size.width; left += 64) {
        std::vector<float> piece;
        for (std::int64_t y = top; y < top + 64; ++y) {
          const auto* row = image->pixels.data() + (y * image->size.width + left) * 3;
          piece.insert(piece.end(), row, row + 64 * 3);
        }
        samples.add(piece);
        // Noise of 3 levels, as of another compression.
        stats::RandomStream random(pieces);
        for (float& value : piece) value += static_cast<float>(random.below(7)) - 3;
        samples.add(piece);
        ++pieces;
      }
    }
  }
  const auto report = samples.report();
  std::size_t found = 0;
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < pieces; ++i) {
    found += report.group[2 * i + 1] == report.group[2 * i] ? 1 : 0;
    wrong += report.group[2 * i] == 2 * i ? 0 : 1;
  }
  // Pieces of clear sky have less contrast than the noise; they can't be told.
  EXPECT_GE(found, pieces * 7 / 10) << pieces;
  EXPECT_LE(wrong, pieces / 20);
}

}  // namespace
}  // namespace joulery::data
