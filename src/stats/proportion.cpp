#include "stats/proportion.hpp"

#include <algorithm>
#include <cmath>

#include "stats/distributions.hpp"

namespace joulery::stats {

double clopper_pearson_lower(std::uint64_t successes, std::uint64_t trials, double level) {
  successes = std::min(successes, trials);
  if (successes == 0) return 0;
  return beta_quantile(1 - level, static_cast<double>(successes),
                       static_cast<double>(trials - successes) + 1);
}

double clopper_pearson_upper(std::uint64_t successes, std::uint64_t trials, double level) {
  successes = std::min(successes, trials);
  if (successes == trials) return 1;
  return beta_quantile(level, static_cast<double>(successes) + 1, static_cast<double>(trials - successes));
}

Interval clopper_pearson(std::uint64_t successes, std::uint64_t trials, double level) {
  const double one_sided = 0.5 + level / 2;
  return {.low = clopper_pearson_lower(successes, trials, one_sided),
          .high = clopper_pearson_upper(successes, trials, one_sided)};
}

Interval wilson(std::uint64_t successes, std::uint64_t trials, double level) {
  if (trials == 0) return {.low = 0, .high = 1};
  const auto count = static_cast<double>(trials);
  const double share = static_cast<double>(std::min(successes, trials)) / count;
  const double z = normal_quantile(0.5 + level / 2);
  const double shrink = 1 + z * z / count;
  const double center = (share + z * z / (2 * count)) / shrink;
  const double half = z / shrink * std::sqrt(share * (1 - share) / count + z * z / (4 * count * count));
  return {.low = successes == 0 ? 0 : std::max(0.0, center - half),
          .high = successes >= trials ? 1 : std::min(1.0, center + half)};
}

std::uint64_t trials_for_half_width(double proportion, double half_width, double level) {
  const double z = normal_quantile(0.5 + level / 2);
  const double spread = std::clamp(proportion, 0.0, 1.0) * (1 - std::clamp(proportion, 0.0, 1.0));
  // The root of: half width of Wilson's interval = half_width, in n.
  const double wanted = half_width * half_width;
  const double b = spread - 2 * wanted;
  const double n = z * z / (2 * wanted) * (b + std::sqrt(b * b + wanted * (1 - 4 * wanted)));
  return static_cast<std::uint64_t>(std::max(1.0, std::ceil(n)));
}

}  // namespace joulery::stats
