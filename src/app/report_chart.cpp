#include "app/report_chart.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/text.hpp"

namespace joulery::app {
namespace {

/// The drawing's own units; it is stretched to the width that there is.
constexpr double kWidth = 1000;
constexpr double kHeight = 300;

struct Scale {
  double seconds = 0;
  double watts = 0;
  double x(double at) const { return seconds > 0 ? at / seconds * kWidth : 0; }
  double y(double power) const { return kHeight - (watts > 0 ? power / watts * kHeight : 0); }
};

/// Few points are drawn as what they are, windows in which power is a mean; many as a line.
constexpr std::size_t kMostSteps = 120;

bool follows(const PowerPoint& before, const PowerPoint& next) {
  return next.start_seconds - before.end_seconds < 1e-6 + 0.5 * (next.end_seconds - next.start_seconds);
}

std::string mean_path(const std::vector<PowerPoint>& points, const Scale& scale) {
  std::string path;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const PowerPoint& point = points[i];
    const double y = scale.y(point.mean_watts);
    const bool start = i == 0 || !follows(points[i - 1], point);
    if (points.size() <= kMostSteps) {
      path += fmt::format("{}{:.1f} {:.1f}H{:.1f}", start ? 'M' : 'L', scale.x(point.start_seconds), y,
                          scale.x(point.end_seconds));
    } else {
      path += fmt::format("{}{:.1f} {:.1f}", start ? 'M' : 'L',
                          scale.x((point.start_seconds + point.end_seconds) / 2), y);
    }
  }
  return path;
}

/// What power lay between, for each stretch without a gap.
std::string envelope_path(const std::vector<PowerPoint>& points, const Scale& scale) {
  std::string path;
  for (std::size_t begin = 0; begin < points.size();) {
    std::size_t end = begin + 1;
    while (end < points.size() && follows(points[end - 1], points[end])) ++end;
    const auto middle = [&](std::size_t i) {
      return scale.x((points[i].start_seconds + points[i].end_seconds) / 2);
    };
    for (std::size_t i = begin; i < end; ++i)
      path +=
          fmt::format("{}{:.1f} {:.1f}", i == begin ? 'M' : 'L', middle(i), scale.y(points[i].high_watts));
    for (std::size_t i = end; i-- > begin;)
      path += fmt::format("L{:.1f} {:.1f}", middle(i), scale.y(points[i].low_watts));
    path += 'Z';
    begin = end;
  }
  return path;
}

struct TimeUnit {
  double seconds;
  const char* name;
};
TimeUnit time_unit(double seconds) {
  if (seconds < 0.5) return {1e-3, "ms"};
  if (seconds < 180) return {1, "s"};
  if (seconds < 3 * 3600) return {60, "min"};
  if (seconds < 72 * 3600) return {3600, "h"};
  return {86400, "days"};
}

std::string tick_text(double value) {
  return fmt::format("{:.6g}", value);
}

/// Style of a line: told apart by colour, dashes and its name in the legend.
std::string line_class(const ReportSeries& series, std::size_t index) {
  if (series.kind == ReportSeries::Kind::machine) return "line machine";
  if (series.kind == ReportSeries::Kind::workload) return "line workload";
  return fmt::format("line device{}", index % 4);
}

std::string chart_label(const std::vector<ReportSeries>& power, const Scale& scale) {
  std::string label = fmt::format("Line chart of power in watts over {}.", format_duration(scale.seconds));
  for (const ReportSeries& series : power) {
    label += fmt::format(
        " {}: mean {}, highest {} after {}.", series.label, amount_text(series.profile.mean_watts, "W", 3),
        amount_text(series.profile.peak_watts, "W", 3), format_duration(series.profile.peak_at_seconds));
  }
  return label + " The same is in the table below the chart.";
}

void write_axes(const Scale& scale, const std::vector<double>& y_ticks, HtmlWriter& page) {
  page.open("div", {{"class", "y"}, {"aria-hidden", "true"}});
  for (const double tick : y_ticks) {
    page.element("span", tick_text(tick),
                 {{"style", fmt::format("bottom:{:.2f}%", 100 * tick / scale.watts)}});
  }
  page.close();
}

void write_time_axis(const Scale& scale, HtmlWriter& page) {
  const TimeUnit unit = time_unit(scale.seconds);
  page.open("div", {{"class", "x"}, {"aria-hidden", "true"}});
  for (const double tick : round_ticks(scale.seconds / unit.seconds, 5)) {
    const double place = tick * unit.seconds / scale.seconds;
    if (place > 1.0001) continue;
    page.element("span", tick_text(tick), {{"style", fmt::format("left:{:.2f}%", 100 * place)}});
  }
  page.close();
  page.element("div", fmt::format("time since the start, {}", unit.name), {{"class", "x-name"}});
}

void write_drawing(const std::vector<ReportSeries>& power, const Scale& scale,
                   const std::vector<double>& y_ticks, const std::string& id, HtmlWriter& page) {
  page.open("svg", {{"viewBox", fmt::format("0 0 {} {}", kWidth, kHeight)},
                    {"preserveAspectRatio", "none"},
                    {"role", "img"},
                    {"aria-labelledby", id + "-title " + id + "-text"}});
  page.element("title", "Power over time", {{"id", id + "-title"}});
  page.element("desc", chart_label(power, scale), {{"id", id + "-text"}});
  for (const double tick : y_ticks) {
    const std::string y = fmt::format("{:.1f}", scale.y(tick));
    page.element("line", "", {{"class", "grid"}, {"x1", "0"}, {"x2", "1000"}, {"y1", y}, {"y2", y}});
  }
  for (std::size_t i = 0; i < power.size(); ++i) {
    const auto& points = power[i].profile.points;
    if (points.size() > 1 && power[i].kind != ReportSeries::Kind::device)
      page.element("path", "",
                   {{"class", line_class(power[i], i) + " band"}, {"d", envelope_path(points, scale)}});
  }
  for (std::size_t i = 0; i < power.size(); ++i)
    page.element("path", "",
                 {{"class", line_class(power[i], i)}, {"d", mean_path(power[i].profile.points, scale)}});
  page.close();
}

void write_legend(const std::vector<ReportSeries>& power, HtmlWriter& page) {
  page.open("ul", {{"class", "legend"}});
  for (std::size_t i = 0; i < power.size(); ++i) {
    const PowerProfile& profile = power[i].profile;
    page.open("li");
    page.open("svg", {{"viewBox", "0 0 40 10"}, {"class", "swatch"}, {"aria-hidden", "true"}});
    page.element("path", "", {{"class", line_class(power[i], i)}, {"d", "M0 5H40"}});
    page.close();
    page.element("b", power[i].label);
    page.text(fmt::format(": mean {}, highest {} after {}", amount_text(profile.mean_watts, "W", 3),
                          amount_text(profile.peak_watts, "W", 3), format_duration(profile.peak_at_seconds)));
    page.close();
  }
  page.close();
}

void write_table(const std::vector<ReportSeries>& power, const Scale& scale, HtmlWriter& page) {
  const TimeUnit unit = time_unit(scale.seconds);
  page.open("details").element("summary", "The chart as a table");
  page.open("div", {{"class", "wide"},
                    {"tabindex", "0"},
                    {"role", "region"},
                    {"aria-label", "Power over time, as a table"}});
  page.open("table").element("caption", "Mean power in watts, in brackets what it lay between");
  page.open("thead").open("tr");
  page.element("th", fmt::format("until, {}", unit.name), {{"scope", "col"}});
  for (const ReportSeries& series : power) page.element("th", series.label, {{"scope", "col"}});
  page.close().close().open("tbody");
  const auto longest = std::max_element(
      power.begin(), power.end(), [](const auto& a, const auto& b) { return a.rows.size() < b.rows.size(); });
  for (const PowerPoint& row : longest->rows) {
    page.open("tr").element("th", fmt::format("{:.4g}", row.end_seconds / unit.seconds), {{"scope", "row"}});
    for (const ReportSeries& series : power) {
      const auto same = std::find_if(series.rows.begin(), series.rows.end(), [&](const PowerPoint& point) {
        return std::abs(point.end_seconds - row.end_seconds) < 1e-3 + 0.01 * scale.seconds;
      });
      page.element("td", same == series.rows.end()
                             ? "not known"
                             : fmt::format("{:.3g} ({:.3g} to {:.3g})", same->mean_watts, same->low_watts,
                                           same->high_watts));
    }
    page.close();
  }
  page.close().close().close().close();
}

}  // namespace

std::vector<double> round_ticks(double most, int count) {
  if (!(most > 0) || !std::isfinite(most)) return {0};
  const double rough = most / std::max(1, count);
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  double step = power;
  for (const double factor : {1.0, 2.0, 5.0, 10.0}) {
    step = factor * power;
    if (step >= rough * 0.999) break;
  }
  std::vector<double> ticks;
  for (int i = 0; i <= 2 * count + 2; ++i) {
    ticks.push_back(i * step);
    if (i * step >= most * 0.999) break;
  }
  return ticks;
}

void write_power_chart(const std::vector<ReportSeries>& power, const std::string& id, HtmlWriter& page) {
  Scale scale;
  for (const ReportSeries& series : power) {
    scale.seconds = std::max(scale.seconds, series.profile.seconds);
    scale.watts = std::max(scale.watts, series.profile.peak_watts);
  }
  if (!(scale.seconds > 0) || !(scale.watts > 0)) {
    page.element("p",
                 "There is no power to draw: no window of time was metered, or nothing was drawn in it.");
    return;
  }
  const std::vector<double> y_ticks = round_ticks(scale.watts, 4);
  scale.watts = y_ticks.back();
  page.open("figure", {{"class", "chart"}});
  page.element("div", "power, W", {{"class", "y-name"}});
  page.open("div", {{"class", "plot"}});
  write_axes(scale, y_ticks, page);
  write_drawing(power, scale, y_ticks, id, page);
  write_time_axis(scale, page);
  page.close();
  page.open("figcaption");
  write_legend(power, page);
  page.close();
  page.close();
  write_table(power, scale, page);
}

void write_parts_bar(std::span<const ReportPart> parts, const std::string& label, HtmlWriter& page) {
  std::string words = label + ":";
  const std::vector<int> percents = whole_percents(parts);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    words += fmt::format("{} {} {} %", i == 0 ? "" : ",", parts[i].label, percents[i]);
  }
  page.open("div", {{"class", "bar"}, {"role", "img"}, {"aria-label", words}});
  constexpr double kRoomForNumber = 0.06;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].share <= 0) continue;
    page.element("span", parts[i].share > kRoomForNumber ? fmt::format("{}", i + 1) : "",
                 {{"class", fmt::format("part{}", i % 4)},
                  {"style", fmt::format("flex-grow:{:.4f}", parts[i].share)}});
  }
  page.close();
}

}  // namespace joulery::app
