#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "data/dataset.hpp"

namespace joulery::data {

struct NearDuplicateOptions {
  /// Of two images' thumbnails of 16 x 16, grey and with their range stretched: Pearson correlation from
  /// which on they count as one. 1 is equal; 0.99 finds recompressed, resized and brightened copies.
  double least_image_correlation = 0.99;
  /// Of two other samples: share of places that hold the same value (rounded to 8 bits of fraction) among
  /// those that hold anything but padding, estimated by MinHash with a standard error of 0.035 at 0.8.
  double least_equal_share = 0.8;
  /// How many earlier samples with the same part of a sketch one is compared with.
  std::size_t most_comparisons = 256;
};

/// Two samples, by their positions, that are alike.
struct DuplicatePair {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  bool is_exact = false;
  /// What was compared with the threshold; 1 if exact.
  double similarity = 1;
};

struct DuplicateReport {
  std::uint64_t samples = 0;
  /// Samples that are byte for byte one before them, and others that are like one before them.
  std::uint64_t exact_copies = 0;
  std::uint64_t near_copies = 0;
  std::vector<DuplicatePair> pairs;
  /// For each sample the first of its group: what is linked by pairs, also over others, is one group. A split
  /// that is to be honest keeps a group on one side.
  std::vector<std::uint64_t> group;
  /// Comparisons that were left out because too many samples share a part of their sketch.
  std::uint64_t comparisons_left_out = 0;
  /// What "near" means here, for a person.
  std::string method;
};

/// Finds samples that are alike in a stream, with some 1.5 kB of memory for each. Samples that look like
/// images (two dimensions of 8 or more, with 1 or 3 channels or without) are compared by perceptual hash
/// (gradients of neighbours on an 8 x 8 grid, Hamming distance up to 9 of 128 bits) and thumbnail; others by
/// MinHash of (place, value). A sample without any contrast is compared exactly only. Not thread-safe.
class NearDuplicates {
 public:
  explicit NearDuplicates(const NearDuplicateOptions& options = {});
  /// Looks at the largest input. Batches follow one another.
  void add(const Batch& batch);
  DuplicateReport report() const;

 private:
  static constexpr std::size_t kBands = 16;
  static constexpr std::size_t kHashes = 128;
  static constexpr std::size_t kThumbnailSide = 16;

  /// One of two kinds, by `is_image`; not `is_comparable` if it has no contrast, or nothing but padding.
  struct Sketch {
    bool is_image = false;
    bool is_comparable = false;
    std::array<std::uint64_t, 2> gradients{};
    std::array<std::uint8_t, kThumbnailSide * kThumbnailSide> thumbnail{};
    std::array<std::uint32_t, kHashes> least_hashes{};
  };
  struct Entry {
    bool is_image = false;
    /// Where its bytes are in `thumbnails_` or `hashes_`.
    std::size_t offset = 0;
    std::array<std::uint64_t, 2> gradients{};
    /// The sample before it in the chain of each band, plus 1.
    std::array<std::uint32_t, kBands> previous{};
    std::uint32_t sample = 0;
  };

  void add_sample(std::uint64_t id, const Shape& shape, std::span<const float> values);
  void compare(std::uint32_t sample, const Sketch& sketch);
  double similarity(const Sketch& sketch, const Entry& entry) const;
  void join(std::uint64_t first, std::uint64_t second, bool is_exact, double similarity);
  std::uint64_t root(std::uint64_t sample) const;
  Sketch image_sketch(std::span<const float> values, std::size_t height, std::size_t width,
                      std::size_t channels, bool is_channels_first) const;
  Sketch value_sketch(std::span<const float> values) const;
  Sketch sketch_of(const Shape& shape, std::span<const float> values) const;

  NearDuplicateOptions options_;
  std::array<std::uint64_t, kHashes> multipliers_{};
  std::unordered_map<std::uint64_t, std::uint32_t> ids_;
  std::unordered_map<std::uint64_t, std::uint32_t> chains_;
  std::vector<Entry> entries_;
  std::vector<std::uint8_t> thumbnails_;
  std::vector<std::uint32_t> hashes_;
  std::vector<std::uint64_t> parents_;
  std::vector<DuplicatePair> pairs_;
  std::uint64_t exact_copies_ = 0;
  std::uint64_t near_copies_ = 0;
  std::uint64_t comparisons_left_out_ = 0;
  bool saw_image_ = false;
  bool saw_values_ = false;
  std::vector<float> buffer_;
};

}  // namespace joulery::data
