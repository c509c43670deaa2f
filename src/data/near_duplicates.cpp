#include "data/near_duplicates.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <optional>

#include "data/element_conversion.hpp"
#include "stats/random_stream.hpp"

namespace joulery::data {
namespace {

constexpr std::int64_t kLeastSide = 8;
constexpr std::size_t kGrid = 8;
/// Of this many parts of a hash, one is equal if fewer bits differ.
constexpr std::size_t kParts = 10;
constexpr int kMostDistance = kParts - 1;

std::uint64_t mixed(std::uint64_t value) {
  return stats::RandomStream(value).next();
}

/// Where the picture is in a sample's shape.
struct Picture {
  std::size_t height = 0;
  std::size_t width = 0;
  std::size_t channels = 1;
  bool is_channels_first = false;
};

std::optional<Picture> picture_of(const Shape& shape) {
  const auto is_channels = [](std::int64_t dimension) { return dimension == 1 || dimension == 3; };
  const auto make = [](std::int64_t height, std::int64_t width, std::int64_t channels,
                       bool first) -> std::optional<Picture> {
    if (height < kLeastSide || width < kLeastSide) return std::nullopt;
    return Picture{static_cast<std::size_t>(height), static_cast<std::size_t>(width),
                   static_cast<std::size_t>(channels), first};
  };
  if (shape.rank() == 2) return make(shape[0], shape[1], 1, false);
  if (shape.rank() != 3) return std::nullopt;
  if (is_channels(shape[0])) return make(shape[1], shape[2], shape[0], true);
  if (is_channels(shape[2])) return make(shape[0], shape[1], shape[2], false);
  return std::nullopt;
}

/// Mean over boxes, which may share pixels at their edges where the side is no multiple.
std::vector<float> reduced(const std::vector<float>& plane, std::size_t height, std::size_t width,
                           std::size_t rows, std::size_t columns) {
  const auto edges = [](std::size_t i, std::size_t count, std::size_t side) {
    const std::size_t first = i * side / count;
    return std::pair(first, std::max(first + 1, ((i + 1) * side + count - 1) / count));
  };
  std::vector<float> result;
  for (std::size_t row = 0; row < rows; ++row) {
    const auto [top, bottom] = edges(row, rows, height);
    for (std::size_t column = 0; column < columns; ++column) {
      const auto [left, right] = edges(column, columns, width);
      double sum = 0;
      for (std::size_t y = top; y < bottom; ++y) {
        for (std::size_t x = left; x < right; ++x) sum += static_cast<double>(plane[y * width + x]);
      }
      result.push_back(static_cast<float>(sum / static_cast<double>((bottom - top) * (right - left))));
    }
  }
  return result;
}

/// The bits of one part, of 12 or 13.
std::uint64_t hash_part(const std::array<std::uint64_t, 2>& hash, std::size_t part) {
  std::uint64_t bits = 0;
  for (std::size_t i = part * 128 / kParts; i < (part + 1) * 128 / kParts; ++i) {
    bits = bits << 1U | ((hash[i / 64] >> (i % 64)) & 1U);
  }
  return bits;
}

double correlation(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) {
  const auto count = static_cast<double>(a.size());
  double sum_a = 0;
  double sum_b = 0;
  double squares_a = 0;
  double squares_b = 0;
  double products = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = a[i];
    const double y = b[i];
    sum_a += x;
    sum_b += y;
    squares_a += x * x;
    squares_b += y * y;
    products += x * y;
  }
  const double variances = (squares_a - sum_a * sum_a / count) * (squares_b - sum_b * sum_b / count);
  return variances > 0 ? (products - sum_a * sum_b / count) / std::sqrt(variances) : 0;
}

std::size_t largest_input(const Batch& batch) {
  std::size_t largest = 0;
  std::size_t most = 0;
  for (std::size_t i = 0; i < batch.inputs.size(); ++i) {
    const TensorView& input = batch.inputs[i];
    const bool is_batched =
        input.shape.rank() > 0 && input.shape[0] == static_cast<std::int64_t>(batch.count);
    if ((is_batched || batch.count == 1) && input.bytes > most) {
      most = input.bytes;
      largest = i;
    }
  }
  return largest;
}

/// The sample's shape in a batch's tensor.
Shape sample_shape(const TensorView& input, std::size_t count) {
  const bool is_batched = input.shape.rank() > 0 && input.shape[0] == static_cast<std::int64_t>(count);
  const auto shape = Shape::create(input.shape.dimensions().subspan(is_batched ? 1 : 0));
  return shape ? *shape : Shape();
}

}  // namespace

NearDuplicates::NearDuplicates(const NearDuplicateOptions& options) : options_(options) {
  stats::RandomStream random(0x6e656172);
  for (std::uint64_t& multiplier : multipliers_) multiplier = random.next() | 1U;
}

void NearDuplicates::add(const Batch& batch) {
  if (batch.count == 0 || batch.inputs.empty()) return;
  const TensorView& input = batch.inputs[largest_input(batch)];
  const Shape shape = sample_shape(input, batch.count);
  const std::size_t stride = input.bytes / batch.count;
  const std::size_t elements = stride / byte_width(input.type);
  buffer_.resize(elements);
  for (std::size_t i = 0; i < batch.count; ++i) {
    std::ranges::fill(buffer_, 0.0F);
    // What does not fit a float is 0 here.
    (void)convert_elements(input.type, input.data + i * stride, DataType::f32,
                           reinterpret_cast<std::byte*>(buffer_.data()), elements);
    add_sample(batch.ids[i], shape, buffer_);
  }
}

void NearDuplicates::add_sample(std::uint64_t id, const Shape& shape, std::span<const float> values) {
  const auto sample = static_cast<std::uint32_t>(parents_.size());
  parents_.push_back(sample);
  const auto [found, is_new] = ids_.try_emplace(id, sample);
  if (!is_new) {
    ++exact_copies_;
    join(found->second, sample, true, 1);
    return;
  }
  const Sketch sketch = sketch_of(shape, values);
  if (sketch.is_comparable) compare(sample, sketch);
}

NearDuplicates::Sketch NearDuplicates::sketch_of(const Shape& shape, std::span<const float> values) const {
  if (const auto picture = picture_of(shape)) {
    return image_sketch(values, picture->height, picture->width, picture->channels,
                        picture->is_channels_first);
  }
  return value_sketch(values);
}

NearDuplicates::Sketch NearDuplicates::image_sketch(std::span<const float> values, std::size_t height,
                                                    std::size_t width, std::size_t channels,
                                                    bool is_channels_first) const {
  Sketch sketch;
  sketch.is_image = true;
  std::vector<float> grey(height * width);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t pixel = is_channels_first ? i % grey.size() : i / channels;
    grey[pixel] += std::isfinite(values[i]) ? values[i] : 0.0F;
  }
  const auto thumbnail = reduced(grey, height, width, kThumbnailSide, kThumbnailSide);
  const auto [least, greatest] = std::ranges::minmax(thumbnail);
  const float range = greatest - least;
  sketch.is_comparable =
      std::isfinite(range) && range > 1e-3F * std::max(std::abs(least), std::abs(greatest));
  if (!sketch.is_comparable) return sketch;
  for (std::size_t i = 0; i < thumbnail.size(); ++i) {
    sketch.thumbnail[i] = static_cast<std::uint8_t>(std::lround((thumbnail[i] - least) / range * 255));
  }
  const auto wide = reduced(grey, height, width, kGrid, kGrid + 1);
  const auto tall = reduced(grey, height, width, kGrid + 1, kGrid);
  for (std::size_t row = 0; row < kGrid; ++row) {
    for (std::size_t column = 0; column < kGrid; ++column) {
      const std::uint64_t bit = 1ULL << (row * kGrid + column);
      const std::size_t at = row * (kGrid + 1) + column;
      if (wide[at] < wide[at + 1]) sketch.gradients[0] |= bit;
      if (tall[row * kGrid + column] < tall[(row + 1) * kGrid + column]) sketch.gradients[1] |= bit;
    }
  }
  return sketch;
}

NearDuplicates::Sketch NearDuplicates::value_sketch(std::span<const float> values) const {
  Sketch sketch;
  // What fills more than half of the places is padding.
  float padding = std::numeric_limits<float>::quiet_NaN();
  std::size_t votes = 0;
  for (const float value : values) {
    if (votes == 0) {
      padding = value;
      votes = 1;
    } else {
      votes += value == padding ? 1 : static_cast<std::size_t>(-1);
    }
  }
  const auto equal = static_cast<std::size_t>(std::ranges::count(values, padding));
  const bool has_padding = equal * 2 > values.size();
  sketch.least_hashes.fill(std::numeric_limits<std::uint32_t>::max());
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (has_padding && values[i] == padding) continue;
    sketch.is_comparable = true;
    const std::uint64_t element = mixed((std::uint64_t{i} << 16U) | bfloat_from_float(values[i]));
    for (std::size_t k = 0; k < kHashes; ++k) {
      const auto hash = static_cast<std::uint32_t>((element * multipliers_[k]) >> 32U);
      sketch.least_hashes[k] = std::min(sketch.least_hashes[k], hash);
    }
  }
  return sketch;
}

void NearDuplicates::compare(std::uint32_t sample, const Sketch& sketch) {
  Entry entry{.is_image = sketch.is_image,
              .offset = sketch.is_image ? thumbnails_.size() : hashes_.size(),
              .gradients = sketch.gradients,
              .previous = {},
              .sample = sample};
  (sketch.is_image ? saw_image_ : saw_values_) = true;
  const auto number = static_cast<std::uint32_t>(entries_.size());
  const std::size_t bands = sketch.is_image ? kParts : kBands;
  std::vector<std::uint32_t> compared;
  for (std::size_t band = 0; band < bands; ++band) {
    std::uint64_t key = mixed(band * 2 + (sketch.is_image ? 1 : 0));
    if (sketch.is_image) {
      key = mixed(key ^ hash_part(sketch.gradients, band));
    } else {
      for (std::size_t i = 0; i < kHashes / kBands; ++i) {
        key = mixed(key ^ sketch.least_hashes[band * (kHashes / kBands) + i]);
      }
    }
    std::uint32_t& head = chains_[key];
    std::size_t steps = 0;
    for (std::uint32_t at = head; at != 0; at = entries_[at - 1].previous[band]) {
      if (++steps > options_.most_comparisons) {
        ++comparisons_left_out_;
        break;
      }
      compared.push_back(at - 1);
    }
    entry.previous[band] = head;
    head = number + 1;
  }
  std::ranges::sort(compared);
  const auto repeated = std::ranges::unique(compared);
  compared.erase(repeated.begin(), repeated.end());
  const double least = sketch.is_image ? options_.least_image_correlation : options_.least_equal_share;
  bool is_near = false;
  for (const std::uint32_t other : compared) {
    const double alike = similarity(sketch, entries_[other]);
    if (alike < least) continue;
    is_near = true;
    join(entries_[other].sample, sample, false, alike);
  }
  if (is_near) ++near_copies_;
  entries_.push_back(entry);
  if (sketch.is_image) {
    thumbnails_.insert(thumbnails_.end(), sketch.thumbnail.begin(), sketch.thumbnail.end());
  } else {
    hashes_.insert(hashes_.end(), sketch.least_hashes.begin(), sketch.least_hashes.end());
  }
}

double NearDuplicates::similarity(const Sketch& sketch, const Entry& entry) const {
  if (sketch.is_image != entry.is_image) return 0;
  if (sketch.is_image) {
    const int distance = std::popcount(sketch.gradients[0] ^ entry.gradients[0]) +
                         std::popcount(sketch.gradients[1] ^ entry.gradients[1]);
    if (distance > kMostDistance) return 0;
    return correlation(sketch.thumbnail,
                       std::span(thumbnails_).subspan(entry.offset, sketch.thumbnail.size()));
  }
  std::size_t equal = 0;
  for (std::size_t k = 0; k < kHashes; ++k) {
    if (sketch.least_hashes[k] == hashes_[entry.offset + k]) ++equal;
  }
  return static_cast<double>(equal) / static_cast<double>(kHashes);
}

std::uint64_t NearDuplicates::root(std::uint64_t sample) const {
  while (parents_[sample] != sample) sample = parents_[sample];
  return sample;
}

void NearDuplicates::join(std::uint64_t first, std::uint64_t second, bool is_exact, double similarity) {
  pairs_.push_back({.first = first, .second = second, .is_exact = is_exact, .similarity = similarity});
  const std::uint64_t a = root(first);
  const std::uint64_t b = root(second);
  parents_[std::max(a, b)] = std::min(a, b);
  // Short ways to the root from here on.
  parents_[first] = parents_[second] = std::min(a, b);
}

DuplicateReport NearDuplicates::report() const {
  DuplicateReport report{.samples = parents_.size(),
                         .exact_copies = exact_copies_,
                         .near_copies = near_copies_,
                         .pairs = pairs_,
                         .group = {},
                         .comparisons_left_out = comparisons_left_out_,
                         .method = "equal bytes"};
  for (std::uint64_t i = 0; i < parents_.size(); ++i) report.group.push_back(root(i));
  if (saw_image_) {
    report.method += fmt::format(
        "; images: gradient hashes at most {} of 128 bits apart and thumbnails correlated by at least {}",
        kMostDistance, options_.least_image_correlation);
  }
  if (saw_values_) {
    report.method +=
        fmt::format("; other samples: at least {} of their values equal at their places (MinHash)",
                    options_.least_equal_share);
  }
  return report;
}

}  // namespace joulery::data
