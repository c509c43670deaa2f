#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace joulery::evaluate {

/// The nearest other samples of each by the product of unit vectors. Samples of one group are not each
/// other's neighbours: near-duplicates would find each other.
class Neighbours {
 public:
  /// `rows` of `width` numbers; all zeros are nobody's neighbour and have none. `groups` is empty or has one
  /// number each. Takes time with the square of the number of samples.
  Neighbours(std::span<const float> rows, std::size_t width, std::span<const std::uint32_t> groups,
             std::size_t most);
  /// Nearest first; of equally near ones the one that came first.
  std::span<const std::uint32_t> of(std::uint32_t sample) const { return nearest_[sample]; }
  /// Place of the first neighbour with the same label; beyond all places if there is none.
  std::size_t first_alike(std::uint32_t sample, std::span<const std::uint32_t> labels) const;
  /// The label most of the nearest `count` have; of equally frequent ones that of the nearest. A number that
  /// is no label if there are no neighbours.
  std::uint32_t vote(std::uint32_t sample, std::span<const std::uint32_t> labels, std::size_t count) const;
  /// How many samples with its label could be neighbours, and how many in all.
  std::pair<std::size_t, std::size_t> candidates(std::uint32_t sample,
                                                 std::span<const std::uint32_t> labels) const;

 private:
  bool may_meet(std::uint32_t a, std::uint32_t b) const {
    return a != b && (groups_.empty() || groups_[a] != groups_[b]);
  }
  std::span<const std::uint32_t> groups_;
  std::vector<std::vector<std::uint32_t>> nearest_;
};

}  // namespace joulery::evaluate
