#include "evaluate/robustness.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>

#include "evaluate/scorer_fixture.hpp"
#include "evaluate/typos.hpp"
#include "stats/distributions.hpp"

namespace joulery::evaluate {
namespace {

using data::DataType;
using data::Label;
using data::Shape;
using data::Tensor;
using testing::HasSubstr;

std::vector<double> values_of(const Tensor& tensor) {
  std::vector<double> values;
  for (const float value : tensor.elements<float>()) values.push_back(value);
  return values;
}

/// Smooth images with values in 0.1 … 0.9.
Tensor images(std::int64_t count, std::int64_t side, Layout layout = Layout::nchw) {
  auto tensor = Tensor::create(
      DataType::f32, layout == Layout::nchw ? Shape{count, 3, side, side} : Shape{count, side, side, 3});
  const auto values = tensor->elements<float>();
  const auto pixels = static_cast<std::size_t>(side * side);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t inside = i % (3 * pixels);
    const std::size_t channel = layout == Layout::nchw ? inside / pixels : inside % 3;
    const std::size_t pixel = layout == Layout::nchw ? inside % pixels : inside / 3;
    const std::size_t row = pixel / static_cast<std::size_t>(side);
    const std::size_t image = i / (3 * pixels);
    const auto x = static_cast<double>(pixel % static_cast<std::size_t>(side));
    const auto y = static_cast<double>(row);
    const double wave =
        std::sin(0.3 * x + static_cast<double>(channel)) * std::cos(0.2 * y + static_cast<double>(image));
    values[i] = static_cast<float>(0.5 + 0.4 * wave);
  }
  return std::move(*tensor);
}

double mean_square(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum / static_cast<double>(a.size());
}

Tensor corrupted(const Perturbation& perturbation, Tensor tensor, std::uint64_t first = 0) {
  const Status status = perturbation.apply(tensor.view(), 7, first);
  EXPECT_TRUE(status) << (status ? "" : status.error().message);
  return tensor;
}

TEST(ImageCorruptionTest, EveryOneChangesImagesAndStaysInRange) {
  for (const std::int64_t side : {32, 100}) {
    const std::vector<double> clean = values_of(images(1, side));
    const auto all = image_corruptions({});
    ASSERT_TRUE(all);
    EXPECT_EQ(all->size(), 14U * 5);
    for (const auto& corruption : *all) {
      const std::vector<double> spoiled = values_of(corrupted(*corruption, images(1, side)));
      EXPECT_GT(mean_square(spoiled, clean), 1e-7) << corruption->info().description;
      EXPECT_GE(*std::ranges::min_element(spoiled), 0);
      EXPECT_LE(*std::ranges::max_element(spoiled), 1);
    }
  }
}

TEST(ImageCorruptionTest, TheSameSampleComesOutTheSameInAnyBatch) {
  const auto all = image_corruptions({});
  for (const auto& corruption : *all) {
    if (corruption->info().severity != 3) continue;
    const std::vector<double> together = values_of(corrupted(*corruption, images(2, 32), 10));
    Tensor second = tensor_of({1, 3, 32, 32}, [] {
      const std::vector<double> both = values_of(images(2, 32));
      return std::vector<double>(both.begin() + 3 * 32 * 32, both.end());
    }());
    const std::vector<double> alone = values_of(corrupted(*corruption, std::move(second), 11));
    EXPECT_TRUE(std::ranges::equal(alone, std::span(together).subspan(3 * 32 * 32)))
        << corruption->info().description;
  }
  // Another seed, sample or severity is another draw.
  const std::uint64_t base = sample_seed(1, 2, "fog", 3);
  EXPECT_NE(base, sample_seed(2, 2, "fog", 3));
  EXPECT_NE(base, sample_seed(1, 3, "fog", 3));
  EXPECT_NE(base, sample_seed(1, 2, "snow", 3));
  EXPECT_NE(base, sample_seed(1, 2, "fog", 4));
}

TEST(ImageCorruptionTest, StrongerIsWorse) {
  // Random places make single steps of some uneven, so ends are compared.
  for (const std::string_view name : image_corruption_names()) {
    const auto loss = [&](int severity) {
      const auto corruption = image_corruption(name, severity, {});
      const Tensor clean = images(6, 100);
      return mean_square(values_of(corrupted(**corruption, images(6, 100))), values_of(clean));
    };
    // Elastic strengths are not in order of what they do to pixels: the first two move all of the image far.
    if (name == "elastic_transform") continue;
    EXPECT_LT(loss(1), loss(5)) << name;
  }
}

TEST(ImageCorruptionTest, LayoutTypeAndRangeDoNotMatter) {
  const auto planar = image_corruption("contrast", 2, {.layout = Layout::nchw});
  const auto interleaved = image_corruption("contrast", 2, {.layout = Layout::nhwc});
  const std::vector<double> first = values_of(corrupted(**planar, images(1, 32, Layout::nchw)));
  const std::vector<double> last = values_of(corrupted(**interleaved, images(1, 32, Layout::nhwc)));
  for (std::size_t i = 0; i < 32 * 32; ++i) {
    for (std::size_t c = 0; c < 3; ++c) EXPECT_NEAR(first[c * 32 * 32 + i], last[i * 3 + c], 1e-6);
  }
  // Normalised by mean and deviation: black is -mean/deviation.
  const std::vector<double> means{0.485, 0.456, 0.406};
  const std::vector<double> deviations{0.229, 0.224, 0.225};
  ImageFormat normalised{.black = {}, .white = {}};
  std::vector<double> inputs = values_of(images(1, 32));
  for (std::size_t c = 0; c < 3; ++c) {
    normalised.black.push_back(-means[c] / deviations[c]);
    normalised.white.push_back((1 - means[c]) / deviations[c]);
    for (std::size_t i = 0; i < 32 * 32; ++i) {
      double& value = inputs[c * 32 * 32 + i];
      value = (value - means[c]) / deviations[c];
    }
  }
  const auto of_normalised = image_corruption("gaussian_noise", 3, normalised);
  const auto of_plain = image_corruption("gaussian_noise", 3, {});
  const std::vector<double> far = values_of(corrupted(**of_normalised, tensor_of({1, 3, 32, 32}, inputs)));
  const std::vector<double> near = values_of(corrupted(**of_plain, images(1, 32)));
  for (std::size_t i = 0; i < near.size(); ++i) {
    const std::size_t c = i / (32 * 32);
    EXPECT_NEAR(far[i] * deviations[c] + means[c], near[i], 1e-5);
  }
  // Bytes are rounded.
  auto bytes = Tensor::create(DataType::u8, {1, 8, 8});
  std::ranges::fill(bytes->elements<std::uint8_t>(), std::uint8_t{100});
  const auto of_bytes = image_corruption("brightness", 2, {.black = {0}, .white = {255}});
  ASSERT_TRUE((*of_bytes)->apply(bytes->view(), 1, 0));
  EXPECT_EQ(bytes->elements<std::uint8_t>()[5], 126);  // 100 + 255/10 of small images
}

TEST(ImageCorruptionTest, NoiseIsAsStrongAsItSays) {
  Tensor grey = images(4, 100);
  std::ranges::fill(grey.elements<float>(), 0.5F);
  const std::vector<double> clean = values_of(grey);
  const auto gaussian = image_corruption("gaussian_noise", 1, {});
  Tensor noisy = corrupted(**gaussian, std::move(grey));
  EXPECT_NEAR(std::sqrt(mean_square(values_of(noisy), clean)), 0.08, 0.002);
  std::ranges::fill(noisy.elements<float>(), 0.5F);
  const auto shot = image_corruption("shot_noise", 1, {});
  noisy = corrupted(**shot, std::move(noisy));
  EXPECT_NEAR(std::sqrt(mean_square(values_of(noisy), clean)), std::sqrt(0.5 / 60), 0.004);
  std::ranges::fill(noisy.elements<float>(), 0.5F);
  const auto impulse = image_corruption("impulse_noise", 4, {});
  const std::vector<double> hit = values_of(corrupted(**impulse, std::move(noisy)));
  const auto changed = std::ranges::count_if(hit, [](double value) { return value == 0 || value == 1; });
  EXPECT_NEAR(static_cast<double>(changed) / static_cast<double>(hit.size()), 0.17, 0.01);
}

TEST(ImageCorruptionTest, WhatDoesNotFitIsExplained) {
  EXPECT_THAT(image_corruption("frost", 1, {}).error().hint, HasSubstr("gaussian_noise"));
  EXPECT_FALSE(image_corruption("fog", 0, {}));
  EXPECT_FALSE(image_corruption("fog", 6, {}));
  EXPECT_FALSE(image_corruption("fog", 1, {.black = {1}, .white = {1}}));
  EXPECT_FALSE(image_corruption("fog", 1, {.black = {0, 0}, .white = {1, 1, 1}}));
  const auto fog = image_corruption("fog", 1, {.black = {0, 0, 0}, .white = {1, 1, 1}});
  const Tensor last = images(1, 32, Layout::nhwc);
  EXPECT_THAT((*fog)->apply(last.view(), 1, 0).error().hint, HasSubstr("layout"));
  const Tensor flat = tensor_of({2, 10}, std::vector<double>(20));
  EXPECT_THAT((*fog)->apply(flat.view(), 1, 0).error().message, HasSubstr("no images"));
}

TEST(ImageCorruptionTest, TinyImagesAreNoTrouble) {
  const auto all = image_corruptions({});
  for (const std::int64_t side : {1, 2, 5}) {
    for (const auto& corruption : *all) {
      Tensor tensor =
          tensor_of({1, 1, side, side}, std::vector<double>(static_cast<std::size_t>(side * side), 0.4));
      EXPECT_TRUE(corruption->apply(tensor.view(), 3, 0));
      for (const double value : values_of(tensor)) EXPECT_TRUE(value >= 0 && value <= 1);
    }
  }
}

FeatureSpread known_spread() {
  stats::RandomStream random(5);
  std::vector<double> values;
  for (int i = 0; i < 500; ++i) {
    values.push_back(10 + 2 * stats::normal_variate(random));
    values.push_back(-3);
  }
  FeatureSpread spread;
  const Tensor tensor = tensor_of({500, 2}, values);
  EXPECT_TRUE(spread.add(tensor.view(), 500));
  return spread;
}

TEST(FeaturePerturbationTest, StrengthsAreOfTheSpread) {
  const FeatureSpread spread = known_spread();
  EXPECT_NEAR(spread.mean(0), 10, 0.3);
  EXPECT_NEAR(spread.deviation(0), 2, 0.2);
  EXPECT_EQ(spread.deviation(1), 0);
  const auto all = feature_perturbations(spread);
  ASSERT_TRUE(all);
  EXPECT_EQ(all->size(), 22U);
  for (const auto& perturbation : *all) {
    std::vector<double> clean;
    for (int i = 0; i < 2000; ++i) clean.insert(clean.end(), {10, -3});
    const std::vector<double> spoiled = values_of(corrupted(*perturbation, tensor_of({2000, 2}, clean)));
    const PerturbationInfo& info = perturbation->info();
    if (info.name == "feature_noise" && info.severity == 3) {
      EXPECT_NEAR(std::sqrt(mean_square(spoiled, clean) * 2), 0.2 * spread.deviation(0), 0.03);
    }
    if (info.name == "feature_scale" && info.severity == 5) {
      EXPECT_NEAR(spoiled[0], 40, 1e-6);
    }
    if (info.name == "zeros") {
      EXPECT_EQ(info.severity, 0);
      EXPECT_EQ(spoiled[1], 0);
    }
    if (info.name == "denormals") {
      EXPECT_GT(spoiled[0], 0);
      EXPECT_LT(spoiled[0], 1.2e-38);
      EXPECT_LT(spoiled[1], 0);
    }
  }
}

TEST(FeaturePerturbationTest, WhatDoesNotFitIsExplained) {
  EXPECT_FALSE(feature_perturbations({}));
  const auto all = feature_perturbations(known_spread());
  const Tensor whole = tensor_of({1, 2}, {1, 2}, DataType::i64);
  EXPECT_THAT(all->front()->apply(whole.view(), 1, 0).error().message, HasSubstr("floating-point"));
  const Tensor wide = tensor_of({1, 3}, {1, 2, 3});
  EXPECT_THAT(all->front()->apply(wide.view(), 1, 0).error().message, HasSubstr("3 numbers"));
}

std::vector<std::int64_t> tokens_after(const std::string& name, int severity,
                                       const std::vector<double>& tokens,
                                       const TokenFormat& format = {.is_text = true}) {
  const auto all = token_perturbations(format);
  const auto found = std::ranges::find_if(
      *all, [&](const auto& each) { return each->info().name == name && each->info().severity == severity; });
  const Tensor tensor = tensor_of({1, std::ssize(tokens)}, tokens, DataType::i64);
  EXPECT_TRUE((*found)->apply(tensor.view(), 3, 0));
  const auto values = tensor.elements<std::int64_t>();
  return {values.begin(), values.end()};
}

TEST(TokenPerturbationTest, PaddingStaysPadding) {
  std::vector<double> tokens(1000, 65);
  tokens.resize(1200, 256);
  const auto padding = [](const std::vector<std::int64_t>& values) {
    return std::ranges::count(values, 256);
  };
  const auto changed = tokens_after("token_change", 5, tokens);
  EXPECT_EQ(padding(changed), 200);
  const auto others =
      std::ranges::count_if(changed, [](std::int64_t token) { return token != 65 && token != 256; });
  EXPECT_NEAR(static_cast<double>(others), 200, 45);
  const auto dropped = tokens_after("token_drop", 5, tokens);
  EXPECT_NEAR(static_cast<double>(padding(dropped)), 400, 45);
  EXPECT_EQ(dropped.back(), 256);
  EXPECT_EQ(padding(tokens_after("truncation", 2, tokens)), 700);
  for (const std::int64_t token : tokens_after("typos", 5, tokens)) {
    EXPECT_TRUE(token == 256 || (token >= '0' && token <= 'z'));
  }
  EXPECT_FALSE(token_perturbations({.low = 5, .high = 4}));
  EXPECT_FALSE(token_perturbations({.low = 0, .high = 50'000, .is_text = true}));
  EXPECT_EQ(token_perturbations({.low = 0, .high = 50'000})->size(), 15U);
}

TEST(TyposTest, OnlyLettersAndDigitsAreMistyped) {
  const std::string text = "The quick brown fox, 42 grüne Bäume: jumps!";
  stats::RandomStream never(1);
  EXPECT_EQ(with_typos(text, 0, never), text);
  stats::RandomStream random(2);
  for (int i = 0; i < 200; ++i) {
    const std::string typed = with_typos(text, 0.3, random);
    EXPECT_NE(typed, text);
    for (const char* kept : {",", ":", "!", "ü", "ä"}) EXPECT_THAT(typed, HasSubstr(kept));
    EXPECT_EQ(std::ranges::count(typed, ' '), std::ranges::count(text, ' '));
  }
  stats::RandomStream again(2);
  stats::RandomStream same(2);
  EXPECT_EQ(with_typos(text, 0.3, again), with_typos(text, 0.3, same));
}

TEST(TyposTest, MistakesComeAsOftenAsTheySay) {
  stats::RandomStream random(8);
  int kept = 0;
  constexpr int kTries = 20'000;
  for (int i = 0; i < kTries; ++i) {
    if (with_typos("g", 0.2, random) == "g") ++kept;
  }
  EXPECT_NEAR(static_cast<double>(kept) / kTries, 0.8, 0.015);
}

/// A report of 0/1 scores, with these predictions.
QualityReport report_of(const std::vector<std::int64_t>& predictions,
                        const std::vector<std::int64_t>& labels) {
  std::vector<double> values;
  std::vector<Label> truth;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    for (std::int64_t c = 0; c < 3; ++c) values.push_back(c == predictions[i] ? 0.8 : 0.1);
    truth.emplace_back(labels[i]);
  }
  Scored scored(TaskKind::classify, {}, {{.name = "y", .type = DataType::f64, .shape = Shape{-1, 3}}});
  const Tensor tensor = tensor_of({std::ssize(labels), 3}, values, DataType::f64);
  scored.add({&tensor}, truth);
  return *scored.report();
}

TEST(RobustnessTest, FiguresAreAgainstTheCleanSamples) {
  const std::vector<std::int64_t> labels{0, 1, 2, 0, 1, 2, 0, 1, 2, 0};
  const std::vector<std::int64_t> clean{0, 1, 2, 0, 1, 2, 0, 1, 0, 1};  // 8 of 10
  const std::vector<std::int64_t> foggy{0, 1, 2, 0, 1, 2, 1, 0, 0, 2};  // 6 of 10, 3 other answers
  const std::vector<std::int64_t> noisy{1, 0, 1, 1, 0, 2, 0, 1, 0, 1};  // 3 of 10, 5 other answers
  auto figures = RobustnessFigures::create(report_of(clean, labels), {}, {});
  ASSERT_TRUE(figures);
  const auto row = figures->add({.name = "fog", .severity = 1}, report_of(foggy, labels));
  ASSERT_TRUE(row);
  EXPECT_NEAR(row->quality.value, 0.6, 1e-12);
  EXPECT_NEAR(row->loss.value, 0.2, 1e-12);
  EXPECT_NEAR(row->flip_rate->value, 0.3, 1e-12);
  EXPECT_EQ(row->flip_rate->method, "Clopper-Pearson");
  ASSERT_TRUE(figures->add({.name = "fog", .severity = 2}, report_of(noisy, labels)));
  ASSERT_TRUE(figures->add({.name = "noise", .severity = 1}, report_of(noisy, labels)));
  ASSERT_TRUE(figures->add({.name = "zeros", .severity = 0}, report_of(noisy, labels)));
  const auto all = figures->figures();
  ASSERT_TRUE(all);
  EXPECT_EQ(all->rows.size(), 4U);
  // Fog (0.6 + 0.3) / 2, noise 0.3; the probe is no part of it.
  EXPECT_NEAR(all->mean_quality.value, 0.375, 1e-12);
  EXPECT_NEAR(all->mean_loss.value, 0.425, 1e-12);
  EXPECT_LE(all->mean_loss.low, 0.425);
  EXPECT_GE(all->mean_loss.high, 0.425);
  EXPECT_NEAR(*all->relative_corruption_error, 0.625 / 0.2, 1e-12);
  EXPECT_NEAR(all->mean_flip_rate->value, 0.45, 1e-12);
}

TEST(RobustnessTest, AnErrorThatGrowsIsALoss) {
  const auto report = [](double off, const char* metric) {
    std::vector<double> values;
    std::vector<Label> labels;
    for (int i = 0; i < 20; ++i) {
      values.push_back(i + off);
      labels.emplace_back(std::vector<double>{static_cast<double>(i)});
    }
    Scored scored(TaskKind::regress, {.metric = metric},
                  {{.name = "y", .type = DataType::f64, .shape = Shape{-1, 1}}});
    const Tensor tensor = tensor_of({20, 1}, values, DataType::f64);
    return *scored.add({&tensor}, labels).report();
  };
  // R² is none of single samples: mean absolute errors stand in, and less of them is better.
  for (const char* metric : {"mae", "r2"}) {
    auto figures = RobustnessFigures::create(report(0.5, metric), {}, {});
    EXPECT_NEAR(figures->add({.name = "noise"}, report(2, metric))->loss.value, 1.5, 1e-9) << metric;
  }
}

TEST(RobustnessTest, OtherSamplesAreRefused) {
  const QualityReport three = report_of({0, 1, 2}, {0, 1, 2});
  auto figures = RobustnessFigures::create(three, {}, {});
  EXPECT_FALSE(figures->figures());
  EXPECT_THAT(figures->add({.name = "fog"}, report_of({0, 1}, {0, 1})).error().message,
              HasSubstr("2 samples"));
  QualityReport other = three;
  other.primary.name = "macro_f1";
  EXPECT_FALSE(figures->add({.name = "fog"}, other));
  EXPECT_FALSE(RobustnessFigures::create({}, {}, {}));
  EXPECT_FALSE(RobustnessFigures::create(three, {"a"}, {}));
}

}  // namespace
}  // namespace joulery::evaluate
