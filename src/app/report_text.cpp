#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "app/report.hpp"

namespace joulery::app {
namespace {

constexpr double kJoulesPerWattHour = 3600;

/// `value` with `digits` significant digits, without an exponent as long as that stays readable.
std::string plain_number(double value, int digits) {
  if (value == 0 || !std::isfinite(value)) return value == 0 ? "0" : "unknown";
  int exponent = static_cast<int>(std::floor(std::log10(std::abs(value))));
  const double unit = std::pow(10.0, exponent - digits + 1);
  value = std::round(value / unit) * unit;
  exponent = static_cast<int>(std::floor(std::log10(std::abs(value)) + 1e-9));
  if (exponent < -4 || exponent > 8) return fmt::format("{:.{}e}", value, digits - 1);
  return fmt::format("{:.{}f}", value, std::max(0, digits - 1 - exponent));
}

bool takes_prefix(const std::string& unit) {
  return unit == "J" || unit == "g" || unit == "l" || unit == "W";
}

/// Two digits where the range is wide, three where it is narrow or there is none.
int digits_of(const ReportFigure& figure) {
  constexpr double kNarrow = 1.1;
  if (!figure.has_range) return figure.provenance == Provenance::measured ? 3 : 2;
  return figure.high > figure.low * kNarrow ? 2 : 3;
}

}  // namespace

std::string amount_text(double value, const std::string& unit, int digits) {
  if (!takes_prefix(unit)) return plain_number(value, digits) + (unit.empty() ? "" : " " + unit);
  static constexpr std::array<std::pair<double, const char*>, 9> kPrefixes = {{{1e12, "T"},
                                                                               {1e9, "G"},
                                                                               {1e6, "M"},
                                                                               {1e3, "k"},
                                                                               {1, ""},
                                                                               {1e-3, "m"},
                                                                               {1e-6, "µ"},
                                                                               {1e-9, "n"},
                                                                               {1e-12, "p"}}};
  const double size = std::abs(value);
  if (size == 0 || !std::isfinite(value)) return plain_number(value, digits) + " " + unit;
  // What rounds up to 1000 of a prefix is 1 of the next.
  const double rounding = 1 - 0.5 * std::pow(10.0, -digits);
  for (const auto& [scale, prefix] : kPrefixes) {
    if (size < scale * rounding && scale > 1e-12) continue;
    return fmt::format("{} {}{}", plain_number(value / scale, digits), prefix, unit);
  }
  return plain_number(value, digits) + " " + unit;
}

std::string figure_text(const ReportFigure& figure) {
  const int digits = digits_of(figure);
  const bool about = digits < 3;
  std::string text = (about ? "about " : "") + amount_text(figure.value, figure.unit, digits);
  // What a meter in the house counts.
  if (figure.unit == "J" && figure.value >= kJoulesPerWattHour) {
    const double watt_hours = figure.value / kJoulesPerWattHour;
    text += watt_hours < 1000 ? fmt::format(" ({} Wh)", plain_number(watt_hours, digits))
                              : fmt::format(" ({} kWh)", plain_number(watt_hours / 1000, digits));
  }
  return text;
}

std::vector<int> whole_percents(std::span<const ReportPart> parts) {
  std::vector<int> percents;
  std::vector<std::pair<double, std::size_t>> lost;
  double whole = 0;
  int given = 0;
  for (const ReportPart& part : parts) {
    const double exact = 100 * part.share;
    percents.push_back(static_cast<int>(std::floor(exact)));
    lost.emplace_back(exact - std::floor(exact), percents.size() - 1);
    whole += exact;
    given += percents.back();
  }
  std::sort(lost.begin(), lost.end(), [](const auto& a, const auto& b) {
    return std::pair(-a.first, a.second) < std::pair(-b.first, b.second);
  });
  for (const auto& [rest, index] : lost) {
    if (given >= std::lround(whole)) break;
    ++percents[index];
    ++given;
  }
  return percents;
}

std::string range_text(const ReportFigure& figure) {
  if (!figure.has_range || figure.low == figure.high) return {};
  const int digits = digits_of(figure);
  // Where chance is large, the interval of a sum may reach below nothing, which no energy does.
  return fmt::format("between {} and {}", amount_text(std::max(0.0, figure.low), figure.unit, digits),
                     amount_text(figure.high, figure.unit, digits));
}

}  // namespace joulery::app
