#include "evaluate/image.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numbers>
#include <utility>

namespace joulery::evaluate {
namespace {

struct Tap {
  std::size_t place = 0;
  float weight = 0;
};

/// For each place along an axis, the places that a Gaussian there is made of. One that is wider than the
/// image folds onto it, so that it never costs more than the image's size.
std::vector<std::vector<Tap>> gaussian_taps(std::size_t size, double deviation, Edge edge, double truncate) {
  const auto radius = static_cast<std::ptrdiff_t>(std::lround(truncate * deviation));
  std::vector<double> kernel;
  double sum = 0;
  for (std::ptrdiff_t i = -radius; i <= radius; ++i) {
    const double distance = static_cast<double>(i) / deviation;
    kernel.push_back(std::exp(-distance * distance / 2));
    sum += kernel.back();
  }
  std::vector<std::vector<Tap>> taps(size);
  std::vector<double> weights(size);
  for (std::size_t at = 0; at < size; ++at) {
    std::ranges::fill(weights, 0.0);
    for (std::ptrdiff_t i = -radius; i <= radius; ++i) {
      const auto place = folded(static_cast<std::ptrdiff_t>(at) + i, size, edge);
      weights[place] += kernel[static_cast<std::size_t>(i + radius)] / sum;
    }
    for (std::size_t place = 0; place < size; ++place) {
      if (weights[place] > 0)
        taps[at].push_back({.place = place, .weight = static_cast<float>(weights[place])});
    }
  }
  return taps;
}

Image along_rows(const Image& image, const std::vector<std::vector<Tap>>& taps) {
  Image result(image.height(), image.width(), image.channels());
  for (std::size_t y = 0; y < image.height(); ++y) {
    for (std::size_t x = 0; x < image.width(); ++x) {
      for (const Tap& tap : taps[x]) {
        for (std::size_t c = 0; c < image.channels(); ++c) {
          result.at(y, x, c) += tap.weight * image.at(y, tap.place, c);
        }
      }
    }
  }
  return result;
}

Image along_columns(const Image& image, const std::vector<std::vector<Tap>>& taps) {
  Image result(image.height(), image.width(), image.channels());
  const std::size_t row = image.width() * image.channels();
  for (std::size_t y = 0; y < image.height(); ++y) {
    const auto to = result.values().subspan(y * row, row);
    for (const Tap& tap : taps[y]) {
      const auto from = image.values().subspan(tap.place * row, row);
      for (std::size_t i = 0; i < row; ++i) to[i] += tap.weight * from[i];
    }
  }
  return result;
}

/// A weight of the pixel that is this far away.
struct Offset {
  std::ptrdiff_t y = 0;
  std::ptrdiff_t x = 0;
  float weight = 0;
};

Image filtered(const Image& image, std::span<const Offset> offsets, Edge edge) {
  Image result(image.height(), image.width(), image.channels());
  for (std::size_t y = 0; y < image.height(); ++y) {
    for (const Offset& offset : offsets) {
      const std::size_t from_y = folded(static_cast<std::ptrdiff_t>(y) + offset.y, image.height(), edge);
      for (std::size_t x = 0; x < image.width(); ++x) {
        const std::size_t from_x = folded(static_cast<std::ptrdiff_t>(x) + offset.x, image.width(), edge);
        for (std::size_t c = 0; c < image.channels(); ++c) {
          result.at(y, x, c) += offset.weight * image.at(from_y, from_x, c);
        }
      }
    }
  }
  return result;
}

}  // namespace

void Image::clip() {
  for (float& value : values_) value = std::clamp(value, 0.0F, 1.0F);
}

std::size_t folded(std::ptrdiff_t place, std::size_t size, Edge edge) {
  const auto count = static_cast<std::ptrdiff_t>(size);
  if (place >= 0 && place < count) return static_cast<std::size_t>(place);
  if (edge == Edge::nearest || count == 1) {
    return static_cast<std::size_t>(std::clamp<std::ptrdiff_t>(place, 0, count - 1));
  }
  const std::ptrdiff_t period = edge == Edge::reflect ? 2 * count : 2 * count - 2;
  std::ptrdiff_t inside = ((place % period) + period) % period;
  if (inside >= count) inside = edge == Edge::reflect ? period - 1 - inside : period - inside;
  return static_cast<std::size_t>(inside);
}

Image gaussian_blur(const Image& image, double deviation, Edge edge, double truncate) {
  if (!(deviation > 0)) return image;
  return along_columns(along_rows(image, gaussian_taps(image.width(), deviation, edge, truncate)),
                       gaussian_taps(image.height(), deviation, edge, truncate));
}

float interpolated(const Image& image, double y, double x, std::size_t channel, Edge edge) {
  const double floor_y = std::floor(y);
  const double floor_x = std::floor(x);
  const auto part_y = static_cast<float>(y - floor_y);
  const auto part_x = static_cast<float>(x - floor_x);
  const auto value = [&](double at_y, double at_x) {
    return image.at(folded(static_cast<std::ptrdiff_t>(at_y), image.height(), edge),
                    folded(static_cast<std::ptrdiff_t>(at_x), image.width(), edge), channel);
  };
  const float above = value(floor_y, floor_x) * (1 - part_x) + value(floor_y, floor_x + 1) * part_x;
  const float below = value(floor_y + 1, floor_x) * (1 - part_x) + value(floor_y + 1, floor_x + 1) * part_x;
  return above * (1 - part_y) + below * part_y;
}

Image zoomed(const Image& image, double factor) {
  // The middle that is seen, enlarged corner to corner, and what is too much of it trimmed off.
  struct Axis {
    double first;
    double step;
  };
  const auto axis = [factor](std::size_t size) -> Axis {
    const double seen = std::ceil(static_cast<double>(size) / factor);
    const double enlarged = std::max(std::round(seen * factor), static_cast<double>(size));
    const double top = std::floor((static_cast<double>(size) - seen) / 2);
    const double trimmed = std::floor((enlarged - static_cast<double>(size)) / 2);
    const double step = enlarged > 1 ? (seen - 1) / (enlarged - 1) : 0;
    return {.first = top + trimmed * step, .step = step};
  };
  const Axis vertical = axis(image.height());
  const Axis horizontal = axis(image.width());
  Image result(image.height(), image.width(), image.channels());
  for (std::size_t y = 0; y < image.height(); ++y) {
    for (std::size_t x = 0; x < image.width(); ++x) {
      for (std::size_t c = 0; c < image.channels(); ++c) {
        result.at(y, x, c) =
            interpolated(image, vertical.first + vertical.step * static_cast<double>(y),
                         horizontal.first + horizontal.step * static_cast<double>(x), c, Edge::nearest);
      }
    }
  }
  return result;
}

Image box_resized(const Image& image, std::size_t height, std::size_t width) {
  const auto range = [](std::size_t at, std::size_t from, std::size_t to) {
    const double scale = static_cast<double>(from) / static_cast<double>(to);
    const double center = (static_cast<double>(at) + 0.5) * scale;
    const double reach = std::max(scale, 1.0) / 2;
    // The difference is above -0.5: it rounds to 0 at least.
    const auto first = static_cast<std::size_t>(std::lround(center - reach));
    const auto last = std::min(from, static_cast<std::size_t>(std::lround(center + reach)));
    return std::pair(std::min(first, from - 1), std::max(last, std::min(first, from - 1) + 1));
  };
  Image result(height, width, image.channels());
  for (std::size_t y = 0; y < height; ++y) {
    const auto [top, bottom] = range(y, image.height(), height);
    for (std::size_t x = 0; x < width; ++x) {
      const auto [left, right] = range(x, image.width(), width);
      const auto count = static_cast<float>((bottom - top) * (right - left));
      for (std::size_t c = 0; c < image.channels(); ++c) {
        float sum = 0;
        for (std::size_t i = top; i < bottom; ++i) {
          for (std::size_t j = left; j < right; ++j) sum += image.at(i, j, c);
        }
        result.at(y, x, c) = sum / count;
      }
    }
  }
  return result;
}

Image motion_blur(const Image& image, double radius, double deviation, double degrees) {
  const double angle = degrees * std::numbers::pi / 180;
  std::vector<Offset> offsets;
  double sum = 0;
  for (double step = 0; step <= 2 * radius; ++step) {
    const double weight = std::exp(-step * step / (2 * deviation * deviation));
    sum += weight;
    offsets.push_back({.y = static_cast<std::ptrdiff_t>(std::ceil(step * std::sin(angle) - 0.5)),
                       .x = static_cast<std::ptrdiff_t>(std::ceil(step * std::cos(angle) - 0.5)),
                       .weight = static_cast<float>(weight)});
  }
  for (Offset& offset : offsets) offset.weight /= static_cast<float>(sum);
  return filtered(image, offsets, Edge::nearest);
}

Image disk_blur(const Image& image, double radius, double smoothing) {
  // As OpenCV's Gaussian of 3, or for large disks 5, taps would smooth it.
  const auto reach = static_cast<std::ptrdiff_t>(radius <= 8 ? 8 : radius);
  const std::ptrdiff_t taps = radius <= 8 ? 1 : 2;
  const auto size = static_cast<std::size_t>(2 * reach + 1);
  Image disk(size, size, 1);
  float inside = 0;
  for (std::ptrdiff_t y = -reach; y <= reach; ++y) {
    for (std::ptrdiff_t x = -reach; x <= reach; ++x) {
      if (static_cast<double>(y * y + x * x) > radius * radius) continue;
      disk.at(static_cast<std::size_t>(y + reach), static_cast<std::size_t>(x + reach), 0) = 1;
      ++inside;
    }
  }
  for (float& value : disk.values()) value /= inside;
  disk = gaussian_blur(disk, smoothing, Edge::mirror, static_cast<double>(taps) / smoothing);
  // A disk as wide as its square gains a little at the rim.
  float total = 0;
  for (const float value : disk.values()) total += value;
  std::vector<Offset> offsets;
  for (std::ptrdiff_t y = -reach; y <= reach; ++y) {
    for (std::ptrdiff_t x = -reach; x <= reach; ++x) {
      const float weight =
          disk.at(static_cast<std::size_t>(y + reach), static_cast<std::size_t>(x + reach), 0);
      if (weight > 0) offsets.push_back({.y = y, .x = x, .weight = weight / total});
    }
  }
  return filtered(image, offsets, Edge::mirror);
}

Image plasma(std::size_t height, std::size_t width, double decay, stats::RandomStream& random) {
  const std::size_t size = std::bit_ceil(std::max<std::size_t>({height, width, 2}));
  Image map(size, size, 1);
  double roughness = 100;
  // The map is a torus: what lies beyond one side is the other.
  const auto value = [&](std::size_t y, std::size_t x) { return map.at(y % size, x % size, 0); };
  const auto wobble = [&] { return static_cast<float>(roughness * roughness * (2 * random.unit() - 1)); };
  for (std::size_t step = size; step >= 2; step /= 2) {
    const std::size_t half = step / 2;
    for (std::size_t y = 0; y < size; y += step) {
      for (std::size_t x = 0; x < size; x += step) {
        const float corners =
            value(y, x) + value(y + step, x) + value(y, x + step) + value(y + step, x + step);
        map.at(y + half, x + half, 0) = corners / 4 + wobble();
      }
    }
    for (std::size_t y = 0; y < size; y += step) {
      for (std::size_t x = 0; x < size; x += step) {
        const float center = value(y + half, x + half);
        map.at(y, x + half, 0) =
            (value(y, x) + value(y, x + step) + center + value(y + size - half, x + half)) / 4 + wobble();
        map.at(y + half, x, 0) =
            (value(y, x) + value(y + step, x) + center + value(y + half, x + size - half)) / 4 + wobble();
      }
    }
    roughness /= decay;
  }
  const auto [lowest, highest] = std::ranges::minmax(map.values());
  const float range = highest > lowest ? highest - lowest : 1;
  Image cloud(height, width, 1);
  for (std::size_t y = 0; y < height; ++y) {
    for (std::size_t x = 0; x < width; ++x) cloud.at(y, x, 0) = (map.at(y, x, 0) - lowest) / range;
  }
  return cloud;
}

}  // namespace joulery::evaluate
