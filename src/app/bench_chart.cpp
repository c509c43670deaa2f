#include "app/bench_chart.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "app/page_parts.hpp"
#include "app/report_chart.hpp"
#include "base/text.hpp"
#include "stats/summary.hpp"

namespace joulery::app {
namespace {

/// The drawing's own units; it is stretched to the width that there is.
constexpr double kWidth = 1000;
constexpr double kHeight = 300;
constexpr std::size_t kBins = 60;
/// Of many blocks not all are drawn: a page has to open.
constexpr std::size_t kMostDots = 4000;

struct Tick {
  /// Of the axis, 0 to 1.
  double place = 0;
  std::string text;
};

struct Plot {
  std::string id;
  std::string title;
  std::string description;
  std::string x_name, y_name;
  std::vector<Tick> x_ticks, y_ticks;
};

std::string style_of(const char* what, std::size_t side) {
  return fmt::format("{} side{}", what, side % 2);
}

/// The frame, the axes and what `draw` puts between them. The figure stays open for its caption.
void open_plot(const Plot& plot, HtmlWriter& page, const std::function<void()>& draw) {
  page.open("figure", {{"class", "chart"}});
  page.element("div", plot.y_name, {{"class", "y-name"}});
  page.open("div", {{"class", "plot"}});
  page.open("div", {{"class", "y"}, {"aria-hidden", "true"}});
  for (const Tick& tick : plot.y_ticks)
    page.element("span", tick.text, {{"style", fmt::format("bottom:{:.2f}%", 100 * tick.place)}});
  page.close();
  page.open("svg", {{"viewBox", fmt::format("0 0 {} {}", kWidth, kHeight)},
                    {"preserveAspectRatio", "none"},
                    {"role", "img"},
                    {"aria-labelledby", plot.id + "-title " + plot.id + "-text"}});
  page.element("title", plot.title, {{"id", plot.id + "-title"}});
  page.element("desc", plot.description, {{"id", plot.id + "-text"}});
  for (const Tick& tick : plot.y_ticks) {
    const std::string y = fmt::format("{:.1f}", kHeight * (1 - tick.place));
    page.element("line", "", {{"class", "grid"}, {"x1", "0"}, {"x2", "1000"}, {"y1", y}, {"y2", y}});
  }
  draw();
  page.close();
  page.open("div", {{"class", "x"}, {"aria-hidden", "true"}});
  for (const Tick& tick : plot.x_ticks)
    page.element("span", tick.text, {{"style", fmt::format("left:{:.2f}%", 100 * tick.place)}});
  page.close();
  page.element("div", plot.x_name, {{"class", "x-name"}});
  page.close();
}

void write_legend_entry(const std::string& shape, const std::string& style, const std::string& name,
                        const std::string& text, HtmlWriter& page) {
  page.open("li");
  page.open("svg", {{"viewBox", "0 0 40 10"}, {"class", "swatch"}, {"aria-hidden", "true"}});
  page.element("path", "", {{"class", style}, {"d", shape}});
  page.close();
  page.element("b", name).text(text).close();
}

std::vector<Tick> linear_ticks(double most, int count) {
  std::vector<Tick> ticks;
  const std::vector<double> values = round_ticks(most, count);
  for (const double value : values)
    ticks.push_back({values.back() > 0 ? value / values.back() : 0, fmt::format("{:.6g}", value)});
  return ticks;
}

struct TimeUnit {
  double seconds = 1;
  const char* name = "s";
};
TimeUnit unit_of(double seconds) {
  if (seconds < 1e-6) return {1e-9, "ns"};
  if (seconds < 1e-3) return {1e-6, "µs"};
  if (seconds < 1) return {1e-3, "ms"};
  return {};
}

/// A logarithmic axis from the fastest call to nearly the slowest: one call in a thousand that took very long
/// would squeeze all others together. It stands at the right edge.
struct LogAxis {
  double low = 1;
  double high = 10;
  double place(double value) const { return std::log(value / low) / std::log(high / low); }
};

double quantile_of(const std::vector<std::int64_t>& sorted, double probability) {
  const double rank = std::ceil(probability * static_cast<double>(sorted.size()));
  return static_cast<double>(sorted[static_cast<std::size_t>(std::max(1.0, rank)) - 1]);
}

LogAxis axis_of(const std::vector<evaluate::SubjectResult>& sides) {
  constexpr double kNearlyAll = 0.999;
  constexpr double kMargin = 1.3;
  LogAxis axis{.low = INFINITY, .high = 0};
  for (const evaluate::SubjectResult& side : sides) {
    if (side.latencies_ns.empty()) continue;
    axis.low = std::min(axis.low, std::max<double>(1, static_cast<double>(side.latencies_ns.front())));
    const double most = kMargin * quantile_of(side.latencies_ns, kNearlyAll);
    axis.high = std::max(axis.high, std::min(most, static_cast<double>(side.latencies_ns.back())));
  }
  // Equal times have a place of their own in the middle.
  constexpr double kLeastSpread = 1.05;
  if (axis.high < axis.low * kLeastSpread) {
    axis.low /= kLeastSpread;
    axis.high = axis.low * kLeastSpread * kLeastSpread;
  }
  return axis;
}

std::vector<Tick> log_ticks(const LogAxis& axis, const TimeUnit& unit) {
  const double decades = std::log10(axis.high / axis.low);
  std::vector<Tick> ticks;
  const auto add = [&](double value) {
    const double place = axis.place(value);
    if (place >= 0 && place <= 1)
      ticks.push_back({place, fmt::format("{:.4g}", value * 1e-9 / unit.seconds)});
  };
  constexpr double kFewDecades = 2.5;
  for (double power = std::pow(10, std::floor(std::log10(axis.low))); power <= axis.high; power *= 10) {
    add(power);
    if (decades < kFewDecades) {
      add(2 * power);
      add(5 * power);
    }
  }
  if (ticks.size() < 2) {
    ticks.clear();
    for (const double place : {0.0, 0.5, 1.0}) add(axis.low * std::pow(axis.high / axis.low, place));
  }
  return ticks;
}

/// Share of the calls in each bin.
std::vector<double> shares_of(const std::vector<std::int64_t>& latencies_ns, const LogAxis& axis) {
  std::vector<double> shares(kBins, 0);
  for (const std::int64_t latency : latencies_ns) {
    const double place = axis.place(std::max<double>(1, static_cast<double>(latency)));
    const double bin = std::clamp(place * kBins, 0.0, static_cast<double>(kBins - 1));
    shares[static_cast<std::size_t>(bin)] += 1 / static_cast<double>(latencies_ns.size());
  }
  return shares;
}

std::string steps_path(const std::vector<double>& shares, double most) {
  std::string path = fmt::format("M0 {}", kHeight);
  for (std::size_t i = 0; i < shares.size(); ++i) {
    path += fmt::format("V{:.1f}H{:.1f}", kHeight * (1 - shares[i] / most),
                        kWidth * static_cast<double>(i + 1) / static_cast<double>(shares.size()));
  }
  return path + fmt::format("V{}", kHeight);
}

std::string time_text(double nanoseconds) {
  return format_si(nanoseconds * 1e-9, "s");
}

/// "median 24 µs, 99 % within 92 µs, slowest 1.2 ms".
std::string latency_words(const std::vector<std::int64_t>& sorted) {
  constexpr double kMost = 0.99;
  return fmt::format("fastest {}, median {}, 99 % within {}, slowest {}", time_text(quantile_of(sorted, 0)),
                     time_text(quantile_of(sorted, 0.5)), time_text(quantile_of(sorted, kMost)),
                     time_text(quantile_of(sorted, 1)));
}

/// Zero-length strokes with round or square ends: dots that the stretching of the drawing does not deform.
std::string dots_path(const std::vector<std::pair<double, double>>& points) {
  std::string path;
  const std::size_t step = 1 + points.size() / kMostDots;
  for (std::size_t i = 0; i < points.size(); i += step)
    path += fmt::format("M{:.1f} {:.1f}h0", kWidth * points[i].first, kHeight * (1 - points[i].second));
  return path;
}

double largest(const std::vector<BlockSeries>& sides) {
  double most = 0;
  for (const BlockSeries& side : sides) {
    for (const double value : side.blocks->values) most = std::max(most, value);
  }
  return most;
}

void draw_blocks(const std::vector<BlockSeries>& sides, double top, HtmlWriter& page) {
  for (std::size_t i = 0; i < sides.size(); ++i) {
    const evaluate::GroupedValues& blocks = *sides[i].blocks;
    const auto count = static_cast<double>(std::max<std::size_t>(1, blocks.values.size()));
    for (std::size_t group = 1; i == 0 && group < blocks.group_starts.size(); ++group) {
      const std::string x = fmt::format("{:.1f}", kWidth * double(blocks.group_starts[group]) / count);
      page.element("line", "", {{"class", "grid"}, {"x1", x}, {"x2", x}, {"y1", "0"}, {"y2", "300"}});
    }
    std::vector<std::pair<double, double>> points;
    for (std::size_t block = 0; block < blocks.values.size(); ++block)
      points.emplace_back((static_cast<double>(block) + 0.5) / count, blocks.values[block] / top);
    page.element("path", "", {{"class", style_of("dots", i)}, {"d", dots_path(points)}});
    if (sides[i].mean == nullptr) continue;
    const auto y = [&](double value) { return kHeight * (1 - std::min(1.0, value / top)); };
    const evaluate::Figure& mean = *sides[i].mean;
    if (mean.has_interval) {
      page.element("rect", "",
                   {{"class", style_of("interval", i)},
                    {"x", "0"},
                    {"width", "1000"},
                    {"y", fmt::format("{:.1f}", y(mean.high))},
                    {"height", fmt::format("{:.1f}", y(mean.low) - y(mean.high))}});
    }
    page.element("path", "",
                 {{"class", style_of("line", i)}, {"d", fmt::format("M0 {:.1f}H1000", y(mean.value))}});
  }
}

void write_process_table(const std::vector<BlockSeries>& sides, const std::string& what, HtmlWriter& page) {
  page.open("details").element("summary", "The chart as a table");
  std::vector<std::string> columns{"process", "blocks"};
  for (const BlockSeries& side : sides) columns.push_back(side.label);
  open_table(fmt::format("Mean {} of each process", what), columns, page);
  for (std::size_t group = 0; group < sides[0].blocks->groups(); ++group) {
    std::vector<std::string> cells{fmt::format("{}", sides[0].blocks->group(group).size())};
    for (const BlockSeries& side : sides) {
      const bool known = group < side.blocks->groups() && !side.blocks->group(group).empty();
      cells.push_back(known ? format_si(stats::mean_interval(side.blocks->group(group), 0.9).mean, "s")
                            : "not known");
    }
    write_row(fmt::format("{}", group + 1), cells, page);
  }
  close_table(page);
  page.close();
}

}  // namespace

void write_latency_chart(const std::vector<evaluate::SubjectResult>& sides, const std::string& id,
                         HtmlWriter& page) {
  const bool known = std::ranges::any_of(sides, [](const auto& side) { return !side.latencies_ns.empty(); });
  if (!known) {
    page.element("p", "No call was timed.");
    return;
  }
  const LogAxis axis = axis_of(sides);
  const TimeUnit unit = unit_of(axis.low * 1e-9);
  std::vector<std::vector<double>> shares;
  double most = 0;
  std::string words = "How often a call took how long.";
  for (std::size_t i = 0; i < sides.size(); ++i) {
    shares.push_back(shares_of(sides[i].latencies_ns, axis));
    most = std::max(most, *std::ranges::max_element(shares.back()));
    if (sides[i].latencies_ns.empty()) continue;
    words += fmt::format(" {}: {}.",
                         sides.size() == 1 ? "Calls"
                         : i == 0          ? "A"
                                           : "B",
                         latency_words(sides[i].latencies_ns));
  }
  Plot plot{.id = id,
            .title = "Latency of calls",
            .description = words + " The quantiles are in the table.",
            .x_name = fmt::format(
                "time of a call, {}, logarithmic; what took longer stands at the right edge", unit.name),
            .y_name = "share of the calls, %",
            .x_ticks = log_ticks(axis, unit),
            .y_ticks = linear_ticks(100 * most, 4)};
  const double top = round_ticks(100 * most, 4).back() / 100;
  open_plot(plot, page, [&] {
    for (std::size_t i = 0; i < sides.size(); ++i) {
      if (sides[i].latencies_ns.empty()) continue;
      const std::string path = steps_path(shares[i], top);
      page.element("path", "", {{"class", style_of("area", i)}, {"d", path + "Z"}});
      page.element("path", "", {{"class", style_of("line", i)}, {"d", path}});
    }
  });
  page.open("figcaption").open("ul", {{"class", "legend"}});
  for (std::size_t i = 0; i < sides.size(); ++i) {
    if (sides[i].latencies_ns.empty()) continue;
    write_legend_entry("M0 5H40", style_of("line", i),
                       sides.size() == 1 ? "calls"
                       : i == 0          ? "A"
                                         : "B",
                       ": " + latency_words(sides[i].latencies_ns), page);
  }
  page.close().close().close();
}

void write_block_chart(const std::vector<BlockSeries>& sides, const std::string& what, const std::string& id,
                       HtmlWriter& page) {
  const double most = sides.empty() ? 0 : largest(sides);
  if (!(most > 0)) {
    page.element("p", fmt::format("{}: no block was measured.", what));
    return;
  }
  const TimeUnit unit = unit_of(most);
  const double top = round_ticks(most / unit.seconds, 4).back() * unit.seconds;
  const auto blocks = static_cast<double>(sides[0].blocks->values.size());
  Plot plot{
      .id = id,
      .title = what + " over time",
      .description = fmt::format("A dot for each of {} blocks of calls, in the order in which they ran; "
                                 "lines are means, with their intervals as bands.",
                                 blocks),
      .x_name = "block of calls; upright lines: a new process begins",
      .y_name = fmt::format("{}, {}", what, unit.name),
      .x_ticks = {},
      .y_ticks = linear_ticks(most / unit.seconds, 4)};
  for (const double tick : round_ticks(blocks, 5)) {
    if (tick <= blocks) plot.x_ticks.push_back({tick / blocks, fmt::format("{:.6g}", tick)});
  }
  open_plot(plot, page, [&] { draw_blocks(sides, top, page); });
  page.open("figcaption").open("ul", {{"class", "legend"}});
  for (std::size_t i = 0; i < sides.size(); ++i) {
    std::string text;
    if (const evaluate::Figure* mean = sides[i].mean) {
      text = fmt::format(": mean {}", format_si(mean->value, "s"));
      if (mean->has_interval)
        text += fmt::format(" ({} to {}, {:.0f} % confidence)", format_si(mean->low, "s"),
                            format_si(mean->high, "s"), 100 * mean->level);
    }
    write_legend_entry("M5 5h0M20 5h0M35 5h0", style_of("dots", i), sides[i].label, text, page);
  }
  page.close().close().close();
  write_process_table(sides, what, page);
}

void write_calibration_chart(const evaluate::Calibration& calibration, const std::string& id,
                             HtmlWriter& page) {
  Plot plot{.id = id,
            .title = "Calibration",
            .description =
                "How often the model was right, by how sure it was. On the diagonal it is right as "
                "often as it says; below it, less often. The same is in the table below the chart.",
            .x_name = "how sure the model was, %",
            .y_name = "how often it was right, %",
            .x_ticks = linear_ticks(100, 4),
            .y_ticks = linear_ticks(100, 4)};
  open_plot(plot, page, [&] {
    std::vector<std::pair<double, double>> points;
    for (const evaluate::ReliabilityBin& bin : calibration.bins) {
      if (bin.count == 0) continue;
      page.element("rect", "",
                   {{"class", "column"},
                    {"x", fmt::format("{:.1f}", kWidth * bin.low)},
                    {"width", fmt::format("{:.1f}", kWidth * (bin.high - bin.low))},
                    {"y", fmt::format("{:.1f}", kHeight * (1 - bin.accuracy))},
                    {"height", fmt::format("{:.1f}", kHeight * bin.accuracy)}});
      points.emplace_back(bin.mean_confidence, bin.accuracy);
    }
    page.element("path", "", {{"class", "line machine"}, {"d", "M0 300L1000 0"}});
    page.element("path", "", {{"class", style_of("dots", 0)}, {"d", dots_path(points)}});
  });
  page.open("figcaption").open("ul", {{"class", "legend"}});
  write_legend_entry("M0 5H40", "line machine", "diagonal", ": right as often as it is sure", page);
  write_legend_entry("M5 5h0M20 5h0M35 5h0", style_of("dots", 0), "dots",
                     ": mean confidence and accuracy of the samples of a column", page);
  page.close().close().close();
  page.open("details").element("summary", "The chart as a table");
  open_table("Samples by the model\u2019s confidence", {"confidence", "samples", "mean confidence", "right"},
             page);
  for (const evaluate::ReliabilityBin& bin : calibration.bins) {
    if (bin.count == 0) continue;
    write_row(fmt::format("{:.0f} to {:.0f} %", 100 * bin.low, 100 * bin.high),
              {fmt::format("{}", bin.count), fmt::format("{:.1f} %", 100 * bin.mean_confidence),
               fmt::format("{:.1f} %", 100 * bin.accuracy)},
              page);
  }
  close_table(page);
  page.close();
}

const char* bench_chart_style() {
  return R"css(
.side0{--side:var(--run)}.side1{--side:var(--d1)}
.line.side0,.line.side1{stroke:var(--side)}.line.side1{stroke-dasharray:6 3}
.area,.interval{fill:var(--side);stroke:none;opacity:.2}
.dots{fill:none;stroke:var(--side);stroke-width:6;stroke-linecap:round;vector-effect:non-scaling-stroke}
.dots.side1{stroke-linecap:square;stroke-width:5}
.column{fill:var(--run);opacity:.28;stroke:var(--page);vector-effect:non-scaling-stroke}
@media print{.area,.interval,.column{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
)css";
}

}  // namespace joulery::app
