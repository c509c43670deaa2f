#include "evaluate/neighbours.hpp"

#include <algorithm>
#include <array>
#include <limits>

namespace joulery::evaluate {
namespace {

/// Several sums at a time, so that the compiler can keep them in one vector register.
float product(const float* a, const float* b, std::size_t width) {
  constexpr std::size_t kLanes = 16;
  std::array<float, kLanes> sums{};
  std::size_t i = 0;
  for (; i + kLanes <= width; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) sums[lane] += a[i + lane] * b[i + lane];
  }
  float sum = 0;
  for (const float part : sums) sum += part;
  for (; i < width; ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

Neighbours::Neighbours(std::span<const float> rows, std::size_t width, std::span<const std::uint32_t> groups,
                       std::size_t most)
    : groups_(groups), nearest_(rows.size() / width) {
  std::vector<bool> empty;
  for (std::size_t i = 0; i < nearest_.size(); ++i) {
    const auto row = rows.subspan(i * width, width);
    empty.push_back(std::ranges::all_of(row, [](float value) { return value == 0; }));
  }
  std::vector<std::pair<float, std::uint32_t>> found;
  for (std::uint32_t sample = 0; sample < nearest_.size(); ++sample) {
    if (empty[sample]) continue;
    found.clear();
    for (std::uint32_t other = 0; other < nearest_.size(); ++other) {
      if (empty[other] || !may_meet(sample, other)) continue;
      found.emplace_back(-product(rows.data() + sample * width, rows.data() + other * width, width), other);
    }
    const std::size_t kept = std::min(most, found.size());
    std::ranges::partial_sort(found, found.begin() + static_cast<std::ptrdiff_t>(kept));
    for (std::size_t i = 0; i < kept; ++i) nearest_[sample].push_back(found[i].second);
  }
}

std::size_t Neighbours::first_alike(std::uint32_t sample, std::span<const std::uint32_t> labels) const {
  const auto& nearest = nearest_[sample];
  const auto found =
      std::ranges::find_if(nearest, [&](std::uint32_t other) { return labels[other] == labels[sample]; });
  return found == nearest.end() ? std::numeric_limits<std::size_t>::max()
                                : static_cast<std::size_t>(found - nearest.begin());
}

std::uint32_t Neighbours::vote(std::uint32_t sample, std::span<const std::uint32_t> labels,
                               std::size_t count) const {
  const auto nearest = of(sample).first(std::min(count, of(sample).size()));
  std::uint32_t winner = std::numeric_limits<std::uint32_t>::max();
  std::ptrdiff_t most = 0;
  for (const std::uint32_t other : nearest) {
    const auto votes =
        std::ranges::count_if(nearest, [&](std::uint32_t each) { return labels[each] == labels[other]; });
    if (votes > most) {
      most = votes;
      winner = labels[other];
    }
  }
  return winner;
}

std::pair<std::size_t, std::size_t> Neighbours::candidates(std::uint32_t sample,
                                                           std::span<const std::uint32_t> labels) const {
  std::size_t alike = 0;
  std::size_t others = 0;
  for (std::uint32_t other = 0; other < nearest_.size(); ++other) {
    if (!may_meet(sample, other)) continue;
    ++others;
    if (labels[other] == labels[sample]) ++alike;
  }
  return {alike, others};
}

}  // namespace joulery::evaluate
