#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/quantity.hpp"

namespace joulery::evaluate {

/// Values of blocks in the order in which they ran, in groups: one process each. Blocks of one process are
/// alike in what the process has by chance (where its memory lies, which pages are large), so that many
/// blocks of few processes tell less than they seem to.
struct GroupedValues {
  std::vector<double> values;
  /// Index of the first value of each group.
  std::vector<std::size_t> group_starts;

  void begin_group() { group_starts.push_back(values.size()); }
  std::size_t groups() const { return group_starts.size(); }
  std::span<const double> group(std::size_t index) const;
};

/// A mean and how well it is known from repetition.
struct Figure {
  double value = 0;
  /// Confidence interval; equal to the value if there is none.
  double low = 0;
  double high = 0;
  double level = 0.95;
  std::size_t blocks = 0;
  std::size_t groups = 0;
  /// `derived` if the blocks' values were computed from what was measured with another figure's help.
  Provenance provenance = Provenance::measured;
  /// True if repetition gives an interval: two groups, or two blocks of the only one.
  bool has_interval = false;

  /// Half of the interval's width over the value; 0 without one.
  double relative_half_width() const;
};

/// Mean of the blocks with the wider of two intervals: over all blocks, with their correlation in time
/// (stats::paired_ratio), and over the means of the groups (Student's t, and with their correlation if there
/// are ten or more). Nothing if there are no values, one
/// is negative or not finite, or all are zero.
std::optional<Figure> grouped_mean(const GroupedValues& values, double level, std::uint64_t seed);

/// mean(b)/mean(a) of pairs that ran side by side, in the same way. Groups must agree.
std::optional<Figure> grouped_ratio(const GroupedValues& a, const GroupedValues& b, double level,
                                    std::uint64_t seed);

}  // namespace joulery::evaluate
