#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace joulery::evaluate {

/// The code points of UTF-8; a byte that is none becomes one of its own.
std::u32string code_points(std::string_view text);

/// The fewest insertions, deletions and replacements that make one out of the other (Levenshtein).
template <class Symbol>
std::size_t edits(std::span<const Symbol> from, std::span<const Symbol> to) {
  std::vector<std::size_t> row(to.size() + 1);
  for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
  for (std::size_t i = 0; i < from.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < to.size(); ++j) {
      const std::size_t replaced = diagonal + (from[i] == to[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, diagonal + 1, row[j] + 1});
    }
  }
  return row.back();
}

/// Best class of each step of `classes` scores, repeats joined, then blanks dropped (Graves et al. 2006, best
/// path).
std::vector<std::uint32_t> best_path(std::span<const double> scores, std::size_t classes, std::size_t blank);

}  // namespace joulery::evaluate
