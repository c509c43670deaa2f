#include "cli/comparison_text.hpp"

#include <fmt/format.h>

#include "base/text.hpp"

namespace joulery::cli {
namespace {

std::string group_line(const char* side, const app::RunGroup& group, const Palette& colors) {
  constexpr std::size_t kLongestShown = 100;
  const std::string& command = group.runs.front().command;
  std::string what = printable(command.empty() ? group.runs.front().name : command);
  if (what.size() > kLongestShown) what = what.substr(0, kLongestShown) + " …";
  // "A" and "B" of a session say nothing more.
  const bool labelled = group.label != side && group.label != what;
  return fmt::format("  {}{}{}  {}{}  {}{}{}\n", colors.bold, side, colors.reset,
                     labelled ? printable(group.label) + ": " : "", what, colors.dim,
                     format_count(double(group.runs.size()), "runs"), colors.reset);
}

/// A modelled figure never stands alone: ~ says that it is none of a counter.
std::string mean_text(const std::optional<UncertainValue>& mean, const std::string& unit) {
  if (!mean) return "-";
  const bool soft = mean->provenance() >= Provenance::modelled;
  return (soft ? "~" : "") + format_si(mean->value(), unit);
}

/// "0.812", "1234", "1.2e+24": digits that say something, and that a column holds.
std::string ratio_text(double ratio) {
  const bool plain = ratio >= 0.001 && ratio < 1000;
  if (plain) return fmt::format("{:.3f}", ratio);
  return ratio >= 1000 && ratio < 1e5 ? fmt::format("{:.0f}", ratio) : fmt::format("{:.2g}", ratio);
}

std::string figure_line(const app::FigureComparison& figure, const Palette& colors) {
  std::string ratio = "-";
  std::string range;
  std::string known;
  if (figure.repeated) {
    ratio = ratio_text(figure.repeated->ratio);
    if (!figure.range) {
      range = "no range";
    } else if (figure.range->low != figure.range->high) {
      range = ratio_text(figure.range->low) + " to " + ratio_text(figure.range->high);
    }
    known = provenance_name(figure.provenance);
  }
  std::string floor = "-";
  if (figure.noise_floor) {
    const double percent = 100 * *figure.noise_floor;
    floor = percent < 1000 ? fmt::format("±{:.1f} %", percent) : fmt::format("±{:.1g} %", percent);
  }
  return fmt::format("  {:<10} {:>11} {:>11}  {}{:>7}{}  {:<16} {:>9}  {}\n", figure.label,
                     mean_text(figure.mean_a, figure.unit), mean_text(figure.mean_b, figure.unit),
                     colors.bold, ratio, colors.reset, range, floor, known);
}

std::string_view color_of(app::Verdict verdict, const Palette& colors) {
  switch (verdict) {
    case app::Verdict::less:
    case app::Verdict::more:
    case app::Verdict::equivalent:
      return colors.green;
    default:
      return colors.yellow;
  }
}

std::string one_comparison(const app::Comparison& comparison, const Palette& colors) {
  std::string text = "\n" + group_line("A", comparison.a, colors) + group_line("B", comparison.b, colors);
  if (comparison.paired) {
    text += fmt::format("  {}in {}, interleaved{}\n", colors.dim,
                        format_count(double(comparison.a.runs.size()), "pairs"), colors.reset);
  }
  if (!comparison.per_unit.empty()) {
    text += fmt::format("  {}of one {} each{}\n", colors.dim, printable(singular(comparison.per_unit)),
                        colors.reset);
  }
  const std::string level = fmt::format("{:.3g} % range", 100 * comparison.level);
  text += fmt::format("\n  {}{:<10} {:>11} {:>11}  {:>7}  {:<16} {:>9}  {}{}\n", colors.dim, "", "mean A",
                      "mean B", "B / A", level, "A/A noise", "known", colors.reset);
  for (const auto& figure : comparison.figures) text += figure_line(figure, colors);
  text += "\n";
  for (const auto& figure : comparison.figures) {
    text += fmt::format("  {}{}{}\n", color_of(figure.verdict, colors), figure.text, colors.reset);
  }
  for (const meter::Warning& warning : comparison.warnings) {
    text += fmt::format("  {}!{} {}\n", colors.yellow, colors.reset, warning.text);
    if (!warning.hint.empty()) {
      text += fmt::format("    {}hint:{} {}\n", colors.cyan, colors.reset, warning.hint);
    }
  }
  return text;
}

}  // namespace

std::string comparison_text(const std::vector<app::Comparison>& comparisons, const Palette& colors) {
  std::string text;
  for (const app::Comparison& comparison : comparisons) text += one_comparison(comparison, colors);
  return text;
}

Result<std::optional<double>> margin_of(const Arguments& arguments) {
  const auto text = arguments.value("margin");
  if (!text) return std::optional<double>();
  std::string_view digits = trim(*text);
  if (digits.ends_with('%')) digits = trim(digits.substr(0, digits.size() - 1));
  const auto percent = parse_double(digits);
  if (!percent || !(*percent > 0) || !(*percent <= 100)) {
    return user_error(
        fmt::format("--margin needs per cent above 0 and up to 100, not '{}'", printable(*text)),
        "--margin 5: a difference below 5 % does not matter");
  }
  return std::optional<double>(*percent / 100);
}

}  // namespace joulery::cli
