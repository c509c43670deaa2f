#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "app/comparison.hpp"
#include "base/text.hpp"

namespace joulery::app {
namespace {

/// 0.1234 → "12", 0.0345 → "3.5", 0.994 → "99.4", 0.00012 → "0.01": no more digits than say something.
std::string percent(double share) {
  const double value = 100 * std::fabs(share);
  constexpr double kSame = 1e-10;
  if (value < kSame) return "0";
  if (value < 0.05) return fmt::format("{:.1g}", value);
  if (value >= 99.95 && value < 100) return "more than 99.9";
  if (value >= 1e5) return fmt::format("{:.2g}", value);
  const bool fine = value < 10 || (value >= 99 && value < 100);
  return fmt::format("{:.{}f}", value, fine ? 1 : 0);
}

/// By how much a ratio is above or below 1; nothing is ever all of it less.
std::string percent_of(double ratio) {
  constexpr double kAlmostAll = 0.9999;
  return percent(std::max(ratio - 1, -kAlmostAll));
}

std::string verb_of(const std::string& key) {
  if (key == "carbon_gco2e") return "emits";
  return key == "duration_seconds" ? "takes" : "uses";
}

/// "12 % less energy (8.0 to 16 %)", "3.1 times as much energy (2.9 to 3.3 times)".
std::string change(const FigureComparison& figure, bool with_range) {
  const double ratio = figure.repeated->ratio;
  const Interval range = figure.range.value_or(Interval{});
  const bool wide = with_range && (range.low != range.high);
  if (!with_range && percent_of(ratio) == "0") return fmt::format("the same {}", figure.label);
  constexpr double kTimesFrom = 2;
  if (ratio >= kTimesFrom) {
    return fmt::format("{:.3g} times as much {}", ratio, figure.label) +
           (wide ? fmt::format(" ({:.3g} to {:.3g} times)", range.low, range.high) : "");
  }
  const bool less = ratio < 1;
  std::string text = fmt::format("{} % {} {}", percent_of(ratio), less ? "less" : "more", figure.label);
  if (wide) {
    const double near = less ? range.high : range.low;
    const double far = less ? range.low : range.high;
    if ((near - 1) * (far - 1) >= 0) {
      const std::string from = percent_of(near);
      const std::string to = percent_of(far);
      text += from == to ? "" : fmt::format(" ({} to {} %)", from, to);
    } else {
      text += fmt::format(" (from {} % less to {} % more)", percent_of(range.low), percent_of(range.high));
    }
  }
  return text;
}

/// "1.2 % less to 3.4 % more": where the ratio may lie.
std::string reach(const Interval& range) {
  const auto side = [](double ratio) {
    return fmt::format("{} % {}", percent_of(ratio), ratio < 1 ? "less" : "more");
  };
  return fmt::format("B may need {} to {}", side(range.low), side(range.high));
}

std::string more_runs(const FigureComparison& figure) {
  const std::size_t have = std::min(figure.repeated->count_a, figure.repeated->count_b);
  const double more = double(*figure.runs_needed - have);
  return figure.repeated->paired ? format_count(more, "more pairs")
                                 : format_count(more, "more runs") + " of each";
}

/// "one run each says nothing of chance: repeat them, 4 more of each would do".
std::string too_few(const FigureComparison& figure) {
  // As many as `run --versus` takes by itself.
  constexpr std::size_t kGoodCount = 5;
  const stats::RatioEstimate& repeated = *figure.repeated;
  const std::size_t more_a = kGoodCount - std::min(repeated.count_a, kGoodCount);
  const std::size_t more_b = kGoodCount - std::min(repeated.count_b, kGoodCount);
  const std::string one = repeated.paired        ? "one pair"
                          : repeated.count_a > 1 ? "one run of B"
                          : repeated.count_b > 1 ? "one run of A"
                                                 : "one run each";
  std::string more = fmt::format("{} more of each", more_a);
  if (repeated.paired) more = fmt::format("{} more pairs", more_a);
  if (more_a != more_b) {
    more = more_b == 0   ? fmt::format("{} more of A", more_a)
           : more_a == 0 ? fmt::format("{} more of B", more_b)
                         : fmt::format("{} more of A and {} of B", more_a, more_b);
  }
  return fmt::format("{} says nothing of chance: repeat them, {} would do", one, more);
}

/// What the range of values without one of their own does not say.
std::string beside_chance(const FigureComparison& figure) {
  return figure.has_range_a && figure.has_range_b
             ? ""
             : "; how far the figures themselves are off is not known, for they came without a range";
}

std::string within_chance(const FigureComparison& figure, const ComparisonOptions& options) {
  const bool all_on_one_side = figure.range->high < 1 || figure.range->low > 1;
  if (all_on_one_side)
    return fmt::format("in these runs B had {}, as far as chance alone goes", change(figure, true));
  return fmt::format("as far as chance goes, no difference in {} (within ±{} %): {}", figure.label,
                     percent(options.margin.value_or(options.wanted_change)), reach(*figure.range));
}

std::string not_known(const FigureComparison& figure) {
  if (!figure.mean_a || !figure.mean_b) return fmt::format("{} is not known of all runs", figure.label);
  const bool zero_a = figure.mean_a->value() == 0;
  const bool zero_b = figure.mean_b->value() == 0;
  if (!zero_a && !zero_b) return fmt::format("there is no ratio of {}", figure.label);
  return fmt::format("{} had no {} (0 {}): there is no ratio to zero",
                     zero_a && zero_b ? "A and B"
                     : zero_a         ? "A"
                                      : "B",
                     figure.label, figure.unit);
}

std::string sentence(const FigureComparison& figure, const ComparisonOptions& options) {
  const std::string wanted = percent(options.margin.value_or(options.wanted_change));
  switch (figure.verdict) {
    case Verdict::less:
    case Verdict::more: {
      std::string text = fmt::format("B {} {}", verb_of(figure.key), change(figure, true));
      if (figure.noise_floor &&
          std::fabs(std::log(figure.repeated->ratio)) < std::log1p(*figure.noise_floor)) {
        text += fmt::format("; that is within what runs of one and the same command differ by here (±{} %)",
                            percent(*figure.noise_floor));
      }
      return text;
    }
    case Verdict::equivalent:
      return fmt::format("no difference in {} (within ±{} %): {}", figure.label, percent(*options.margin),
                         reach(*figure.range));
    case Verdict::beyond_chance:
      return within_chance(figure, options);
    case Verdict::too_few_runs:
      if (options.margin) {
        return fmt::format(
            "no difference in {} found, and none within ±{} % shown: too few runs; {} would show it; {}",
            figure.label, wanted, more_runs(figure), reach(*figure.range));
      }
      return fmt::format("no difference in {} found: too few runs; {} would show one of {} %; {}",
                         figure.label, more_runs(figure), wanted, reach(*figure.range));
    case Verdict::not_found:
      return fmt::format("no difference in {} found; {}{}", figure.label, reach(*figure.range),
                         options.margin ? "" : "; --margin tests whether there is none that matters");
    case Verdict::no_common_base:
      return fmt::format(
          "no difference in {} can be told: what the figures of A and B rest on differs, and more runs do "
          "not mend that; {}",
          figure.label, reach(*figure.range));
    case Verdict::single_runs:
      return fmt::format("in these runs B had {}; no range: {}", change(figure, false), too_few(figure));
    case Verdict::no_scatter:
      return fmt::format(
          "in these runs B had {}; no range: the runs do not differ at all, as where values are too "
          "coarse, which says nothing of chance",
          change(figure, false));
    case Verdict::unknown:
      return not_known(figure);
  }
  return {};
}

}  // namespace

std::string verdict_text(const FigureComparison& figure, const ComparisonOptions& options) {
  const std::string text = sentence(figure, options);
  return figure.verdict == Verdict::unknown ? text : text + beside_chance(figure);
}

}  // namespace joulery::app
