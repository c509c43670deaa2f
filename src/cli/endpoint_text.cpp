#include "cli/endpoint_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/text.hpp"
#include "cli/text_table.hpp"
#include "cli/wrapping.hpp"

namespace joulery::cli {
namespace {

namespace endpoint = evaluate::endpoint;
using Row = std::vector<std::string>;
using Table = TextTable;

std::string number(double value) {
  return value >= 1000 ? fmt::format("{:.0f}", value) : fmt::format("{:.3g}", value);
}

using Format = std::string (*)(double);

/// Never "-0.0 ms": times that are not told are nothing.
std::string time_text(double seconds) {
  return seconds < 1e-9 ? "0" : format_duration(seconds);
}

void add_row(Table& table, const char* name, const std::optional<endpoint::Distribution>& found,
             Format format) {
  if (!found) return;
  Row row{name, format(found->mean), format(found->standard_deviation), format(found->minimum)};
  for (const endpoint::Quantile& quantile : found->quantiles) row.push_back(format(quantile.value));
  row.push_back(format(found->maximum));
  table.push_back(std::move(row));
}

Table figures_table(const endpoint::LoadFigures& figures) {
  Table table{{"", "mean", "std", "min", "p50", "p90", "p95", "p99", "max"}};
  add_row(table, "time to first token", figures.time_to_first_token, time_text);
  add_row(table, "time per output token", figures.time_per_output_token, time_text);
  add_row(table, "between chunks", figures.inter_chunk_latency, time_text);
  add_row(table, "request latency", figures.request_latency, time_text);
  add_row(table, "output tokens", figures.output_tokens, number);
  add_row(table, "prompt tokens", figures.prompt_tokens, number);
  return table;
}

std::string rate_text(const endpoint::Rate& rate) {
  if (!rate.low || !rate.high) return number(rate.value);
  return fmt::format("{} ({} to {})", number(rate.value), number(*rate.low), number(*rate.high));
}

template <class Unit>
std::string quantity_text(const Quantity<Unit>& figure, const char* unit) {
  const Interval range = figure.interval();
  if (!(range.low < range.high)) return format_si(figure.value(), unit);
  return fmt::format("{} ({} to {})", format_si(figure.value(), unit), format_si(range.low, unit),
                     format_si(range.high, unit));
}

/// Names and values below the table of a load.
Table lines_of(const app::EndpointPoint& point) {
  const endpoint::LoadFigures& figures = point.figures;
  Table lines{{"", ""}};
  lines.push_back({"requests/s", rate_text(figures.requests_per_second)});
  if (figures.output_tokens_per_second) {
    lines.push_back({"output tokens/s", rate_text(*figures.output_tokens_per_second) +
                                            (figures.counted_by == endpoint::TokenCount::usage
                                                 ? ""
                                                 : ", counted by chunks, which may hold several")});
  }
  if (figures.total_tokens_per_second) {
    lines.push_back({"total tokens/s", rate_text(*figures.total_tokens_per_second)});
  }
  if (figures.goodput) {
    lines.push_back(
        {"goodput/s", fmt::format("{}, {:.1f} % of requests kept the SLO", rate_text(*figures.goodput),
                                  figures.slo_share.value_or(0) * 100)});
  }
  if (point.energy) {
    const endpoint::EnergyFigures& energy = *point.energy;
    const auto& total = energy.reading.total;
    lines.push_back({"server's energy",
                     fmt::format("{}, {}", quantity_text(total, "J"), provenance_name(total.provenance()))});
    const auto pair = [&](const char* name, const std::optional<endpoint::EnergyFigures::Pair>& per) {
      if (!per) return;
      std::string text = quantity_text(per->gross, "J");
      if (per->idle_subtracted) text += ", above idle " + quantity_text(*per->idle_subtracted, "J");
      lines.push_back({name, std::move(text)});
    };
    pair("J/output token", energy.per_output_token);
    pair("J/total token", energy.per_total_token);
    pair("J/request", energy.per_request);
    if (energy.watt_hours_per_1k_output_tokens) {
      lines.push_back({"Wh/1k output tokens", quantity_text(*energy.watt_hours_per_1k_output_tokens, "Wh")});
    }
    if (point.carbon) lines.push_back({"carbon", quantity_text(*point.carbon, "gCO2e")});
  }
  if (point.server_cpu_seconds) {
    lines.push_back(
        {"CPU time", fmt::format("server {}, load generator {}", format_duration(*point.server_cpu_seconds),
                                 format_duration(point.client_cpu_seconds))});
  }
  for (const endpoint::ErrorCount& error : figures.errors) {
    lines.push_back(
        {fmt::format("failed: {}", error.count), fmt::format("{}: {}", error.kind, error.example)});
  }
  return lines;
}

std::string head_of(const app::EndpointPoint& point) {
  const endpoint::LoadFigures& figures = point.figures;
  std::string text = fmt::format("{}: {} in {}", app::load_text(point.load),
                                 format_count(double(figures.completed), "requests"),
                                 format_duration(figures.window_seconds));
  if (figures.failed > 0) text += fmt::format(", {} failed", figures.failed);
  if (point.interrupted) text += fmt::format(", broken off with {} under way", figures.cancelled);
  return text;
}

/// One line for each load of a sweep.
Table sweep_table(const app::EndpointOutcome& outcome) {
  Table table{{"load", "req/s", "tokens/s", "TTFT p50", "TTFT p99", "TPOT p50", "latency p50", "latency p99",
               "failed", "J/token", "J/request"}};
  for (const app::EndpointPoint& point : outcome.points) {
    const endpoint::LoadFigures& figures = point.figures;
    const auto quantile = [](const std::optional<endpoint::Distribution>& found, std::size_t index) {
      return found ? time_text(found->quantiles[index].value) : std::string("-");
    };
    const auto energy = [&](const auto& member) {
      return point.energy && (*point.energy).*member
                 ? format_si(((*point.energy).*member)->gross.value(), "J")
                 : std::string("-");
    };
    table.push_back({app::load_text(point.load), number(figures.requests_per_second.value),
                     figures.output_tokens_per_second ? number(figures.output_tokens_per_second->value) : "-",
                     quantile(figures.time_to_first_token, 0), quantile(figures.time_to_first_token, 3),
                     quantile(figures.time_per_output_token, 0), quantile(figures.request_latency, 0),
                     quantile(figures.request_latency, 3), fmt::format("{}", figures.failed),
                     energy(&endpoint::EnergyFigures::per_output_token),
                     energy(&endpoint::EnergyFigures::per_request)});
  }
  return table;
}

std::string title_of(const app::EndpointOutcome& outcome) {
  return fmt::format("{} at {} ({}{})", printable(outcome.model), printable(outcome.address),
                     outcome.protocol, outcome.streaming ? ", streaming" : "");
}

std::string cheapest_line(const app::EndpointOutcome& outcome) {
  const app::EndpointPoint* cheapest = app::cheapest_within_slo(outcome);
  if (cheapest == nullptr || outcome.points.size() < 2) return {};
  return fmt::format("Least energy with the SLO kept by 99 % of requests: {}.",
                     app::load_text(cheapest->load));
}

std::string metered_line(const app::EndpointOutcome& outcome) {
  return outcome.metered_by.empty() ? ""
                                    : fmt::format("Server metered by: {}", printable(outcome.metered_by));
}

std::string warning_text(const meter::Warning& warning, const Palette& colors, std::size_t width) {
  std::string text = fmt::format("{}note:{} {}", colors.yellow, colors.reset, printable(warning.text));
  if (!warning.hint.empty()) text += fmt::format("; {}", printable(warning.hint));
  return wrapped(text, 2, width);
}

std::string plain_lines(const Table& lines) {
  std::string text;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    text += fmt::format("  {:<22} {}\n", lines[i][0], printable(lines[i][1]));
  }
  return text;
}

}  // namespace

std::string endpoint_text(const app::EndpointOutcome& outcome, const Palette& colors, std::size_t width) {
  std::string text = fmt::format("{}{}{}\n", colors.bold, title_of(outcome), colors.reset);
  if (const std::string metered = metered_line(outcome); !metered.empty()) text += metered + "\n";
  for (const app::EndpointPoint& point : outcome.points) {
    text += fmt::format("\n{}{}{}\n", colors.bold, head_of(point), colors.reset);
    if (const Table table = figures_table(point.figures); table.size() > 1)
      text += plain_table(table, colors);
    text += plain_lines(lines_of(point));
    for (const meter::Warning& warning : point.warnings) text += warning_text(warning, colors, width);
    if (point.stored) text += fmt::format("  {}run {}{}\n", colors.dim, point.run_id, colors.reset);
  }
  if (outcome.points.size() > 1) text += "\n" + plain_table(sweep_table(outcome), colors);
  if (const std::string line = cheapest_line(outcome); !line.empty()) text += "\n" + line + "\n";
  if (!outcome.warnings.empty()) text += "\n";
  for (const meter::Warning& warning : outcome.warnings) text += warning_text(warning, colors, width);
  return text;
}

std::string endpoint_markdown(const app::EndpointOutcome& outcome) {
  std::string text = fmt::format("# {}\n", title_of(outcome));
  if (const std::string metered = metered_line(outcome); !metered.empty()) text += "\n" + metered + "\n";
  if (outcome.points.size() > 1) text += "\n" + markdown_table(sweep_table(outcome));
  if (const std::string line = cheapest_line(outcome); !line.empty()) text += "\n" + line + "\n";
  const auto warn = [&](const std::vector<meter::Warning>& warnings) {
    if (!warnings.empty()) text += "\n";
    for (const meter::Warning& warning : warnings) {
      text += fmt::format("- {}{}{}\n", printable(warning.text), warning.hint.empty() ? "" : "; ",
                          printable(warning.hint));
    }
  };
  for (const app::EndpointPoint& point : outcome.points) {
    text += fmt::format("\n## {}\n\n", head_of(point));
    if (const Table table = figures_table(point.figures); table.size() > 1)
      text += markdown_table(table) + "\n";
    text += markdown_table(lines_of(point));
    warn(point.warnings);
  }
  warn(outcome.warnings);
  return text;
}

}  // namespace joulery::cli
