#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/text.hpp"
#include "evaluate/image.hpp"
#include "evaluate/outputs.hpp"
#include "evaluate/perturbation.hpp"
#include "stats/distributions.hpp"

namespace joulery::evaluate {
namespace {

using stats::normal_variate;
using stats::RandomStream;

/// Images whose shorter side is below this take the strengths published for 32 pixels, others those for 224.
constexpr std::size_t kSmallSide = 96;

/// Strengths by severity, for large and for small images.
template <class Strength>
struct Strengths {
  std::array<Strength, kSeverities> large;
  std::array<Strength, kSeverities> small;
};

struct Setting {
  int severity = 1;
  bool is_small = false;
  template <class Strength>
  const Strength& of(const Strengths<Strength>& strengths) const {
    return (is_small ? strengths.small : strengths.large)[static_cast<std::size_t>(severity - 1)];
  }
};

double uniform(RandomStream& random, double low, double high) {
  return low + (high - low) * random.unit();
}

void gaussian_noise(Image& image, const Setting& setting, RandomStream& random) {
  static constexpr Strengths<double> kDeviation{{.08, .12, .18, .26, .38}, {.04, .06, .08, .09, .10}};
  const double deviation = setting.of(kDeviation);
  for (float& value : image.values()) value += static_cast<float>(deviation * normal_variate(random));
}

void shot_noise(Image& image, const Setting& setting, RandomStream& random) {
  static constexpr Strengths<double> kPhotons{{60, 25, 12, 5, 3}, {500, 250, 100, 75, 50}};
  const double photons = setting.of(kPhotons);
  for (float& value : image.values()) {
    value =
        static_cast<float>(static_cast<double>(stats::poisson_variate(random, value * photons)) / photons);
  }
}

void impulse_noise(Image& image, const Setting& setting, RandomStream& random) {
  static constexpr Strengths<double> kShare{{.03, .06, .09, .17, .27}, {.01, .02, .03, .05, .07}};
  const double share = setting.of(kShare);
  for (float& value : image.values()) {
    const double draw = random.unit();
    if (draw < share) value = draw < share / 2 ? 0.0F : 1.0F;
  }
}

void defocus_blur(Image& image, const Setting& setting, RandomStream&) {
  struct Disk {
    double radius, smoothing;
  };
  static constexpr Strengths<Disk> kDisk{{{{3, .1}, {4, .5}, {6, .5}, {8, .5}, {10, .5}}},
                                         {{{.3, .4}, {.4, .5}, {.5, .6}, {1, .2}, {1.5, .1}}}};
  const Disk& disk = setting.of(kDisk);
  image = disk_blur(image, disk.radius, disk.smoothing);
}

void glass_blur(Image& image, const Setting& setting, RandomStream& random) {
  struct Glass {
    double deviation;
    int reach, rounds;
  };
  static constexpr Strengths<Glass> kGlass{{{{.7, 1, 2}, {.9, 2, 1}, {1, 2, 3}, {1.1, 3, 2}, {1.5, 4, 2}}},
                                           {{{.05, 1, 1}, {.25, 1, 1}, {.4, 1, 1}, {.25, 1, 2}, {.4, 1, 2}}}};
  const Glass& glass = setting.of(kGlass);
  image = gaussian_blur(image, glass.deviation);
  const auto reach = static_cast<std::size_t>(glass.reach);
  for (int round = 0; round < glass.rounds; ++round) {
    for (std::size_t y = image.height(); y-- > reach;) {
      for (std::size_t x = image.width(); x-- > reach;) {
        if (y + reach > image.height() || x + reach > image.width()) continue;
        const std::size_t other_x = x - reach + random.below(2 * reach);
        const std::size_t other_y = y - reach + random.below(2 * reach);
        if (other_x >= image.width() || other_y >= image.height()) continue;
        std::ranges::swap_ranges(image.pixel(y, x), image.pixel(other_y, other_x));
      }
    }
  }
  image = gaussian_blur(image, glass.deviation);
}

struct Motion {
  double radius, deviation;
};

void motion_blur(Image& image, const Setting& setting, RandomStream& random) {
  static constexpr Strengths<Motion> kMotion{{{{10, 3}, {15, 5}, {15, 8}, {15, 12}, {20, 15}}},
                                             {{{6, 1}, {6, 1.5}, {6, 2}, {8, 2}, {9, 2.5}}}};
  const Motion& motion = setting.of(kMotion);
  image = motion_blur(image, motion.radius, motion.deviation, uniform(random, -45, 45));
}

void zoom_blur(Image& image, const Setting& setting, RandomStream&) {
  struct Zoom {
    int steps;
    double step;
  };
  static constexpr Strengths<Zoom> kZoom{{{{11, .01}, {16, .01}, {11, .02}, {13, .02}, {11, .03}}},
                                         {{{6, .01}, {11, .01}, {16, .01}, {21, .01}, {26, .01}}}};
  const Zoom& zoom = setting.of(kZoom);
  Image sum = image;
  for (int i = 0; i < zoom.steps; ++i) {
    const Image each = zoomed(image, 1 + i * zoom.step);
    for (std::size_t k = 0; k < sum.values().size(); ++k) sum.values()[k] += each.values()[k];
  }
  for (float& value : sum.values()) value /= static_cast<float>(zoom.steps + 1);
  image = std::move(sum);
}

/// Brightness as seen, of red, green and blue; the mean of any other channels.
float grey(std::span<const float> pixel) {
  if (pixel.size() == 3) return 0.299F * pixel[0] + 0.587F * pixel[1] + 0.114F * pixel[2];
  float sum = 0;
  for (const float value : pixel) sum += value;
  return sum / static_cast<float>(pixel.size());
}

void snow(Image& image, const Setting& setting, RandomStream& random) {
  struct Snow {
    double mean, deviation, zoom, threshold;
    Motion motion;
    double share;
  };
  static constexpr Strengths<Snow> kSnow{{{{.1, .3, 3, .5, {10, 4}, .8},
                                           {.2, .3, 2, .5, {12, 4}, .7},
                                           {.55, .3, 4, .9, {12, 8}, .7},
                                           {.55, .3, 4.5, .85, {12, 8}, .65},
                                           {.55, .3, 2.5, .85, {12, 12}, .55}}},
                                         {{{.1, .2, 1, .6, {8, 3}, .95},
                                           {.1, .2, 1, .5, {10, 4}, .9},
                                           {.15, .3, 1.75, .55, {10, 4}, .9},
                                           {.25, .3, 2.25, .6, {12, 6}, .85},
                                           {.3, .3, 1.25, .65, {14, 12}, .8}}}};
  const Snow& snow = setting.of(kSnow);
  Image layer(image.height(), image.width(), 1);
  for (float& value : layer.values()) {
    value = static_cast<float>(snow.mean + snow.deviation * normal_variate(random));
  }
  layer = zoomed(layer, snow.zoom);
  for (float& value : layer.values()) value = static_cast<double>(value) < snow.threshold ? 0 : value;
  layer.clip();
  layer = motion_blur(layer, snow.motion.radius, snow.motion.deviation, uniform(random, -135, -45));
  const auto share = static_cast<float>(snow.share);
  for (std::size_t y = 0; y < image.height(); ++y) {
    for (std::size_t x = 0; x < image.width(); ++x) {
      const auto pixel = image.pixel(y, x);
      const float white = grey(pixel) * 1.5F + 0.5F;
      const float flakes = layer.at(y, x, 0) + layer.at(image.height() - 1 - y, image.width() - 1 - x, 0);
      for (float& value : pixel) value = share * value + (1 - share) * std::max(value, white) + flakes;
    }
  }
}

void fog(Image& image, const Setting& setting, RandomStream& random) {
  struct Fog {
    double thickness, decay;
  };
  static constexpr Strengths<Fog> kFog{{{{1.5, 2}, {2, 2}, {2.5, 1.7}, {2.5, 1.5}, {3, 1.4}}},
                                       {{{.2, 3}, {.5, 3}, {.75, 2.5}, {1, 2}, {1.5, 1.75}}}};
  const Fog& fog = setting.of(kFog);
  const Image cloud = plasma(image.height(), image.width(), fog.decay, random);
  const float top = *std::ranges::max_element(image.values());
  const auto thickness = static_cast<float>(fog.thickness);
  for (std::size_t i = 0; i < image.values().size(); ++i) {
    float& value = image.values()[i];
    value = (value + thickness * cloud.values()[i / image.channels()]) * top / (top + thickness);
  }
}

void brightness(Image& image, const Setting& setting, RandomStream&) {
  static constexpr Strengths<float> kMore{{.1F, .2F, .3F, .4F, .5F}, {.05F, .1F, .15F, .2F, .3F}};
  const float more = setting.of(kMore);
  // The value of HSV is the largest channel; hue and saturation stay if all grow by the same factor.
  for (std::size_t y = 0; y < image.height(); ++y) {
    for (std::size_t x = 0; x < image.width(); ++x) {
      const auto pixel = image.pixel(y, x);
      const float value = *std::ranges::max_element(pixel);
      const float brighter = std::min(1.0F, value + more);
      for (float& channel : pixel) channel = value > 0 ? channel * (brighter / value) : brighter;
    }
  }
}

void contrast(Image& image, const Setting& setting, RandomStream&) {
  static constexpr Strengths<float> kFactor{{.4F, .3F, .2F, .1F, .05F}, {.75F, .5F, .4F, .3F, .15F}};
  const float factor = setting.of(kFactor);
  for (std::size_t c = 0; c < image.channels(); ++c) {
    double sum = 0;
    for (std::size_t i = c; i < image.values().size(); i += image.channels()) sum += image.values()[i];
    const auto mean = static_cast<float>(sum / static_cast<double>(image.height() * image.width()));
    for (std::size_t i = c; i < image.values().size(); i += image.channels()) {
      image.values()[i] = (image.values()[i] - mean) * factor + mean;
    }
  }
}

/// Where a point of the new image comes from: x' = a x + b y + c, y' = d x + e y + f.
struct Affine {
  double a = 1, b = 0, c = 0, d = 0, e = 1, f = 0;
};

/// Takes the three new points to the three old ones.
Affine affine_between(const std::array<std::array<double, 2>, 3>& to,
                      const std::array<std::array<double, 2>, 3>& from) {
  const double x1 = to[1][0] - to[0][0];
  const double y1 = to[1][1] - to[0][1];
  const double x2 = to[2][0] - to[0][0];
  const double y2 = to[2][1] - to[0][1];
  const double determinant = x1 * y2 - x2 * y1;
  if (std::fabs(determinant) < 1e-9) return {};
  const auto solve = [&](std::size_t axis) {
    const double u1 = from[1][axis] - from[0][axis];
    const double u2 = from[2][axis] - from[0][axis];
    const double p = (u1 * y2 - u2 * y1) / determinant;
    const double q = (u2 * x1 - u1 * x2) / determinant;
    return std::array{p, q, from[0][axis] - p * to[0][0] - q * to[0][1]};
  };
  const auto x = solve(0);
  const auto y = solve(1);
  return {.a = x[0], .b = x[1], .c = x[2], .d = y[0], .e = y[1], .f = y[2]};
}

Image displacement(const Image& like, double deviation, double size, RandomStream& random) {
  Image field(like.height(), like.width(), 1);
  for (float& value : field.values()) value = static_cast<float>(2 * random.unit() - 1);
  field = gaussian_blur(field, deviation, Edge::reflect, 3);
  for (float& value : field.values()) value *= static_cast<float>(size);
  return field;
}

void elastic_transform(Image& image, const Setting& setting, RandomStream& random) {
  struct Elastic {
    double size, deviation, shift;
  };
  static constexpr Strengths<Elastic> kElastic{
      {{{488, 170.8, 24.4},
        {488, 19.52, 48.8},
        {12.2, 2.44, 4.88},
        {17.08, 2.44, 4.88},
        {29.28, 2.44, 4.88}}},
      {{{0, 0, 2.56}, {1.6, 6.4, 2.24}, {2.56, 1.92, 1.92}, {3.2, 1.28, 1.6}, {3.2, .96, .96}}}};
  const Elastic& elastic = setting.of(kElastic);
  const auto height = static_cast<double>(image.height());
  const auto width = static_cast<double>(image.width());
  // The strengths are parts of an image of 244 or 32 pixels.
  const double scale = std::min(height, width) / (setting.is_small ? 32 : 244);
  const double center_x = std::floor(width / 2);
  const double center_y = std::floor(height / 2);
  const double third = std::floor(std::min(height, width) / 3);
  const std::array<std::array<double, 2>, 3> from{{{center_x + third, center_y + third},
                                                   {center_x + third, center_y - third},
                                                   {center_x - third, center_y - third}}};
  auto to = from;
  for (auto& point : to) {
    for (double& place : point) place += uniform(random, -elastic.shift * scale, elastic.shift * scale);
  }
  const Affine affine = affine_between(to, from);
  const Image dx = displacement(image, elastic.deviation * scale, elastic.size * scale, random);
  const Image dy = displacement(image, elastic.deviation * scale, elastic.size * scale, random);
  Image turned = image;
  for (std::size_t y = 0; y < image.height(); ++y) {
    for (std::size_t x = 0; x < image.width(); ++x) {
      const auto at_x = static_cast<double>(x);
      const auto at_y = static_cast<double>(y);
      for (std::size_t c = 0; c < image.channels(); ++c) {
        turned.at(y, x, c) = interpolated(image, affine.d * at_x + affine.e * at_y + affine.f,
                                          affine.a * at_x + affine.b * at_y + affine.c, c, Edge::mirror);
      }
    }
  }
  for (std::size_t y = 0; y < image.height(); ++y) {
    for (std::size_t x = 0; x < image.width(); ++x) {
      for (std::size_t c = 0; c < image.channels(); ++c) {
        image.at(y, x, c) = interpolated(turned, static_cast<double>(y) + dy.at(y, x, 0),
                                         static_cast<double>(x) + dx.at(y, x, 0), c, Edge::reflect);
      }
    }
  }
}

void pixelate(Image& image, const Setting& setting, RandomStream&) {
  static constexpr Strengths<double> kShare{{.6, .5, .4, .3, .25}, {.95, .9, .85, .75, .65}};
  const double share = setting.of(kShare);
  const auto smaller = [share](std::size_t size) {
    return std::max<std::size_t>(1, static_cast<std::size_t>(static_cast<double>(size) * share));
  };
  image = box_resized(box_resized(image, smaller(image.height()), smaller(image.width())), image.height(),
                      image.width());
}

void jpeg_compression(Image& image, const Setting& setting, RandomStream&) {
  static constexpr Strengths<int> kQuality{{25, 18, 15, 10, 7}, {80, 65, 58, 50, 40}};
  image = through_jpeg(image, setting.of(kQuality));
}

struct Kind {
  std::string_view name;
  std::string_view category;
  void (*corrupt)(Image&, const Setting&, RandomStream&);
};
constexpr std::array kKinds{Kind{"gaussian_noise", "noise", gaussian_noise},
                            Kind{"shot_noise", "noise", shot_noise},
                            Kind{"impulse_noise", "noise", impulse_noise},
                            Kind{"defocus_blur", "blur", defocus_blur},
                            Kind{"glass_blur", "blur", glass_blur},
                            Kind{"motion_blur", "blur", motion_blur},
                            Kind{"zoom_blur", "blur", zoom_blur},
                            Kind{"snow", "weather", snow},
                            Kind{"fog", "weather", fog},
                            Kind{"brightness", "weather", brightness},
                            Kind{"contrast", "digital", contrast},
                            Kind{"elastic_transform", "digital", elastic_transform},
                            Kind{"pixelate", "digital", pixelate},
                            Kind{"jpeg_compression", "digital", jpeg_compression}};

/// Where the images of a tensor are.
struct ImageAxes {
  std::size_t height = 0;
  std::size_t width = 0;
  std::size_t channels = 0;
};

Result<ImageAxes> axes_of(const data::Shape& shape, Layout layout) {
  const auto axis = [&](std::size_t index) { return static_cast<std::size_t>(shape[index]); };
  ImageAxes axes;
  if (shape.rank() == 3) {
    axes = {.height = axis(1), .width = axis(2), .channels = 1};
  } else if (shape.rank() == 4) {
    axes = layout == Layout::nchw ? ImageAxes{.height = axis(2), .width = axis(3), .channels = axis(1)}
                                  : ImageAxes{.height = axis(1), .width = axis(2), .channels = axis(3)};
  }
  if (axes.height * axes.width * axes.channels > 0) return axes;
  return user_error(fmt::format("an input of shape {} holds no images", shape.text()),
                    "images are [sample, height, width] or have a fourth axis for the channels");
}

class ImageCorruption final : public Perturbation {
 public:
  ImageCorruption(const Kind& kind, int severity, ImageFormat format)
      : Perturbation({.name = std::string(kind.name),
                      .category = std::string(kind.category),
                      .severity = severity,
                      .description = fmt::format("{} at severity {} of ImageNet-C", kind.name, severity)}),
        corrupt_(kind.corrupt),
        format_(std::move(format)) {}
  Status apply(const data::TensorView& batch, std::uint64_t seed, std::uint64_t first_sample) const override;

 private:
  std::pair<double, double> ends(std::size_t channel) const {
    return {format_.black[format_.black.size() > 1 ? channel : 0],
            format_.white[format_.white.size() > 1 ? channel : 0]};
  }
  /// Calls with the place in a sample, the place in an image, and the channel.
  template <class Visit>
  void each_value(const ImageAxes& axes, const Visit& visit) const {
    for (std::size_t c = 0; c < axes.channels; ++c) {
      for (std::size_t i = 0; i < axes.height * axes.width; ++i) {
        const std::size_t inner = i * axes.channels + c;
        visit(format_.layout == Layout::nchw ? c * axes.height * axes.width + i : inner, inner, c);
      }
    }
  }

  void (*corrupt_)(Image&, const Setting&, RandomStream&);
  ImageFormat format_;
};

Status ImageCorruption::apply(const data::TensorView& batch, std::uint64_t seed,
                              std::uint64_t first_sample) const {
  JOULERY_ASSIGN(const ImageAxes axes, axes_of(batch.shape, format_.layout));
  const std::size_t channels_given = std::max(format_.black.size(), format_.white.size());
  if (channels_given > 1 && channels_given != axes.channels) {
    return user_error(fmt::format("black and white are given for {} channels, but images of shape {} have {}",
                                  channels_given, batch.shape.text(), axes.channels),
                      "is the layout right: channels first or last?");
  }
  const auto count = static_cast<std::size_t>(batch.shape[0]);
  JOULERY_ASSIGN(const Rows rows, Rows::create(batch, count, "images"));
  std::vector<double> values(rows.width());
  const Setting setting{.severity = info().severity,
                        .is_small = std::min(axes.height, axes.width) < kSmallSide};
  for (std::size_t row = 0; row < count; ++row) {
    rows.read(row, values);
    Image image(axes.height, axes.width, axes.channels);
    each_value(axes, [&](std::size_t from, std::size_t to, std::size_t channel) {
      const auto [black, white] = ends(channel);
      const double value = (values[from] - black) / (white - black);
      image.values()[to] = std::isnan(value) ? 0 : static_cast<float>(value);
    });
    image.clip();
    RandomStream random(sample_seed(seed, first_sample + row, info().name, info().severity));
    corrupt_(image, setting, random);
    image.clip();
    each_value(axes, [&](std::size_t to, std::size_t from, std::size_t channel) {
      const auto [black, white] = ends(channel);
      values[to] = black + static_cast<double>(image.values()[from]) * (white - black);
    });
    rows.write(row, values);
  }
  return {};
}

Status check_format(const ImageFormat& format) {
  const std::size_t most = std::max(format.black.size(), format.white.size());
  const auto fits = [most](const std::vector<double>& ends) {
    return ends.size() == 1 || ends.size() == most;
  };
  if (format.black.empty() || format.white.empty() || !fits(format.black) || !fits(format.white)) {
    return user_error(fmt::format("{} values of black and {} of white: give one, or one a channel",
                                  format.black.size(), format.white.size()));
  }
  for (std::size_t i = 0; i < most; ++i) {
    const double black = format.black[format.black.size() > 1 ? i : 0];
    const double white = format.white[format.white.size() > 1 ? i : 0];
    if (!std::isfinite(black) || !std::isfinite(white) || black == white) {
      return user_error(fmt::format("black can't be {} and white {}", black, white));
    }
  }
  return {};
}

constexpr auto kNames = [] {
  std::array<std::string_view, kKinds.size()> names;
  for (std::size_t i = 0; i < kKinds.size(); ++i) names[i] = kKinds[i].name;
  return names;
}();

}  // namespace

std::span<const std::string_view> image_corruption_names() {
  return kNames;
}

Result<std::unique_ptr<Perturbation>> image_corruption(std::string_view name, int severity,
                                                       const ImageFormat& format) {
  JOULERY_CHECK_OK(check_format(format));
  if (severity < 1 || severity > kSeverities) {
    return user_error(fmt::format("a severity of {} is not between 1 and {}", severity, kSeverities));
  }
  const auto kind = std::ranges::find(kKinds, name, &Kind::name);
  if (kind == kKinds.end()) {
    return user_error(fmt::format("'{}' is no image corruption", printable(name)),
                      fmt::format("choose from {}", fmt::join(kNames, ", ")));
  }
  return std::make_unique<ImageCorruption>(*kind, severity, format);
}

Result<Perturbations> image_corruptions(const ImageFormat& format) {
  Perturbations all;
  for (const std::string_view name : kNames) {
    for (int severity = 1; severity <= kSeverities; ++severity) {
      JOULERY_ASSIGN(std::unique_ptr<Perturbation> corruption, image_corruption(name, severity, format));
      all.push_back(std::move(corruption));
    }
  }
  return all;
}

}  // namespace joulery::evaluate
