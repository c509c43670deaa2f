#include "evaluate/endpoint/figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "base/text.hpp"

namespace joulery::evaluate::endpoint {
namespace {

double seconds_between(std::int64_t from_ns, std::int64_t to_ns) {
  return static_cast<double>(to_ns - from_ns) / 1e9;
}

std::optional<double> ttft_of(const RequestRecord& record) {
  if (record.answer.content_ns.empty()) return std::nullopt;
  return seconds_between(record.intended_ns, record.answer.content_ns.front());
}

/// The same figure of all requests that have it.
template <class Figure>
std::optional<Distribution> each(std::span<const RequestRecord* const> records, Figure figure) {
  std::vector<double> values;
  for (const RequestRecord* record : records) {
    if (const std::optional<double> value = figure(*record)) values.push_back(*value);
  }
  return describe(values);
}

void count_errors(std::span<const RequestRecord> records, LoadFigures& figures) {
  std::map<std::string, ErrorCount> errors;
  for (const RequestRecord& record : records) {
    if (record.cancelled || record.answer.ok()) continue;
    ErrorCount& error = errors[record.answer.error_kind];
    if (error.count++ == 0) {
      error.kind = record.answer.error_kind;
      error.example = record.answer.error;
    }
  }
  for (auto& [kind, error] : errors) figures.errors.push_back(std::move(error));
  std::ranges::sort(figures.errors, [](const ErrorCount& a, const ErrorCount& b) {
    return a.count != b.count ? a.count > b.count : a.kind < b.kind;
  });
}

void fill_times(std::span<const RequestRecord* const> good, LoadFigures& figures) {
  using Record = const RequestRecord&;
  figures.time_to_first_token = each(good, ttft_of);
  figures.time_to_second_token = each(good, [](Record record) -> std::optional<double> {
    const auto& times = record.answer.content_ns;
    if (times.size() < 2) return std::nullopt;
    return seconds_between(times[0], times[1]);
  });
  figures.time_to_first_output = each(good, [](Record record) -> std::optional<double> {
    if (!record.answer.first_output_ns) return std::nullopt;
    return seconds_between(record.intended_ns, *record.answer.first_output_ns);
  });
  std::vector<double> gaps;
  for (const RequestRecord* record : good) {
    const auto& times = record->answer.content_ns;
    for (std::size_t i = 1; i < times.size(); ++i) gaps.push_back(seconds_between(times[i - 1], times[i]));
  }
  figures.inter_chunk_latency = describe(gaps);
  figures.time_per_output_token = each(good, time_per_output_token);
  figures.request_latency = each(good, [](Record record) -> std::optional<double> {
    return seconds_between(record.intended_ns, record.end_ns);
  });
  figures.connect_time = each(good, [](Record record) -> std::optional<double> {
    if (!record.connect_ns) return std::nullopt;
    return seconds_between(0, *record.connect_ns);
  });
  figures.send_delay = each(good, [](Record record) -> std::optional<double> {
    return seconds_between(record.intended_ns, record.sent_ns);
  });
  figures.output_tokens_per_second_per_user = each(good, [](Record record) -> std::optional<double> {
    const auto time = time_per_output_token(record);
    if (!time || *time <= 0) return std::nullopt;
    return 1 / *time;
  });
}

void fill_tokens(std::span<const RequestRecord* const> good, std::int64_t start_ns, std::int64_t end_ns,
                 LoadFigures& figures) {
  std::size_t by_usage = 0;
  std::size_t by_chunks = 0;
  double output = 0;
  double prompt = 0;
  bool prompts_known = !good.empty();
  std::vector<WeightedEvent> output_events;
  std::vector<WeightedEvent> total_events;
  for (const RequestRecord* record : good) {
    const engine::remote::Answer& answer = record->answer;
    const auto tokens = output_tokens_of(answer);
    if (tokens) ++(answer.output_tokens ? by_usage : by_chunks);
    output += tokens.value_or(0);
    prompts_known = prompts_known && answer.prompt_tokens.has_value();
    prompt += static_cast<double>(answer.prompt_tokens.value_or(0));
    // Tokens of a piece came with it; how many of them each piece had is not known.
    const std::size_t pieces = answer.content_ns.size();
    for (const std::int64_t time : answer.content_ns) {
      output_events.push_back({time, tokens.value_or(0) / static_cast<double>(pieces)});
    }
    if (pieces == 0) output_events.push_back({record->end_ns, tokens.value_or(0)});
    total_events.push_back({record->end_ns, static_cast<double>(answer.prompt_tokens.value_or(0))});
  }
  figures.counted_by = by_usage > 0 && by_chunks > 0 ? TokenCount::both
                       : by_usage > 0                ? TokenCount::usage
                       : by_chunks > 0               ? TokenCount::chunks
                                                     : TokenCount::none;
  figures.output_tokens =
      each(good, [](const RequestRecord& record) { return output_tokens_of(record.answer); });
  figures.prompt_tokens = each(good, [](const RequestRecord& record) -> std::optional<double> {
    if (!record.answer.prompt_tokens) return std::nullopt;
    return static_cast<double>(*record.answer.prompt_tokens);
  });
  if (good.empty() || by_usage + by_chunks < good.size()) return;
  figures.total_output_tokens = output;
  figures.output_tokens_per_second = rate_of(output_events, start_ns, end_ns);
  if (!prompts_known) return;
  figures.total_prompt_tokens = prompt;
  total_events.insert(total_events.end(), output_events.begin(), output_events.end());
  figures.total_tokens_per_second = rate_of(total_events, start_ns, end_ns);
}

}  // namespace

const char* token_count_name(TokenCount count) {
  switch (count) {
    case TokenCount::none:
      return "none";
    case TokenCount::usage:
      return "usage";
    case TokenCount::chunks:
      return "chunks";
    case TokenCount::both:
      return "usage_and_chunks";
  }
  return "none";
}

Result<double> parse_seconds(std::string_view text) {
  struct Unit {
    std::string_view name;
    double seconds;
  };
  constexpr std::array kUnits{Unit{"ms", 1e-3},  Unit{"us", 1e-6}, Unit{"min", 60.0},
                              Unit{"h", 3600.0}, Unit{"s", 1.0},   Unit{"m", 60.0}};
  std::string_view number = trim(text);
  double factor = 1;
  for (const Unit& unit : kUnits) {
    if (!number.ends_with(unit.name)) continue;
    number = trim(number.substr(0, number.size() - unit.name.size()));
    factor = unit.seconds;
    break;
  }
  const auto value = parse_double(number);
  constexpr double kLongest = 30 * 86400;
  if (!value || !(*value * factor > 0 && *value * factor <= kLongest)) {
    return user_error(fmt::format("'{}' is no time", printable(text)), "write it like 200ms, 2s or 5min");
  }
  return *value * factor;
}

Status parse_slo(std::string_view text, Slo& slo) {
  const auto colon = text.find(':');
  const std::string name = to_lower(trim(text.substr(0, colon)));
  std::optional<double>* limit = name == "ttft"   ? &slo.ttft_seconds
                                 : name == "tpot" ? &slo.tpot_seconds
                                 : name == "e2e"  ? &slo.latency_seconds
                                                  : nullptr;
  if (colon == std::string_view::npos || limit == nullptr) {
    return user_error(fmt::format("--slo '{}' is no limit of ttft, tpot or e2e", printable(text)),
                      "write it like --slo ttft:200ms --slo tpot:50ms --slo e2e:2s");
  }
  JOULERY_ASSIGN(const double seconds, parse_seconds(text.substr(colon + 1)));
  *limit = seconds;
  return {};
}

std::optional<double> output_tokens_of(const engine::remote::Answer& answer) {
  if (answer.output_tokens) return static_cast<double>(*answer.output_tokens);
  if (!answer.content_ns.empty()) return static_cast<double>(answer.content_ns.size());
  return std::nullopt;
}

std::optional<double> time_per_output_token(const RequestRecord& record) {
  const auto tokens = output_tokens_of(record.answer);
  if (!tokens || *tokens < 2 || record.answer.content_ns.empty()) return std::nullopt;
  return seconds_between(record.answer.content_ns.front(), record.end_ns) / (*tokens - 1);
}

bool keeps(const Slo& slo, const RequestRecord& record) {
  if (!record.ok()) return false;
  const auto within = [](const std::optional<double>& value, const std::optional<double>& limit) {
    return !limit || !value || *value <= *limit;
  };
  return within(ttft_of(record), slo.ttft_seconds) &&
         within(time_per_output_token(record), slo.tpot_seconds) &&
         within(seconds_between(record.intended_ns, record.end_ns), slo.latency_seconds);
}

LoadFigures compute_figures(std::span<const RequestRecord> records, std::int64_t start_ns,
                            std::int64_t end_ns, const Slo& slo) {
  LoadFigures figures;
  figures.window_seconds = seconds_between(start_ns, end_ns);
  figures.requests = records.size();
  std::vector<const RequestRecord*> good;
  std::vector<WeightedEvent> ends;
  std::vector<WeightedEvent> kept;
  for (const RequestRecord& record : records) {
    if (record.cancelled) ++figures.cancelled;
    if (!record.ok()) continue;
    good.push_back(&record);
    ends.push_back({record.end_ns, 1});
    if (keeps(slo, record)) kept.push_back({record.end_ns, 1});
  }
  figures.completed = good.size();
  figures.failed = figures.requests - figures.completed - figures.cancelled;
  count_errors(records, figures);
  fill_times(good, figures);
  fill_tokens(good, start_ns, end_ns, figures);
  figures.requests_per_second = rate_of(ends, start_ns, end_ns);
  if (!slo.empty()) {
    figures.goodput = rate_of(kept, start_ns, end_ns);
    const std::size_t judged = figures.completed + figures.failed;
    if (judged > 0) figures.slo_share = static_cast<double>(kept.size()) / static_cast<double>(judged);
  }
  return figures;
}

}  // namespace joulery::evaluate::endpoint
