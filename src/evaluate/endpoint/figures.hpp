#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "engine/remote/protocol.hpp"
#include "evaluate/endpoint/distribution.hpp"

namespace joulery::evaluate::endpoint {

/// One request and what came of it. Times are monotonic.
struct RequestRecord {
  /// When it was to be sent: in an open loop by the plan, in a closed loop when it was. All latencies count
  /// from here.
  std::int64_t intended_ns = 0;
  /// When its first byte was written; 0 if none was.
  std::int64_t sent_ns = 0;
  std::int64_t end_ns = 0;
  /// What making a connection took, if it needed a new one.
  std::optional<std::int64_t> connect_ns;
  engine::remote::Answer answer;
  /// We ended it: neither good nor an error.
  bool cancelled = false;

  bool ok() const { return !cancelled && answer.ok(); }
};

/// Limits that a good request keeps: service-level objectives. What a request has no figure for (the time per
/// token of a single token) it keeps.
struct Slo {
  std::optional<double> ttft_seconds = {};
  std::optional<double> tpot_seconds = {};
  std::optional<double> latency_seconds = {};
  bool empty() const { return !ttft_seconds && !tpot_seconds && !latency_seconds; }
};
/// "ttft:200ms", "tpot:50ms", "e2e:2s": adds to `slo`. User error for another name or no time.
Status parse_slo(std::string_view text, Slo& slo);
/// "200ms", "2s", "1.5min" or a bare number of seconds; above 0.
Result<double> parse_seconds(std::string_view text);

/// How tokens of answers were counted.
enum class TokenCount { none, usage, chunks, both };
const char* token_count_name(TokenCount count);

struct ErrorCount {
  std::string kind;
  std::size_t count = 0;
  /// What the first of them said.
  std::string example;
};

/// What a load found. Times in seconds; definitions are in docs/guide/endpoints.md. Distributions are of
/// requests that went through, and absent where there was none with that figure.
struct LoadFigures {
  double window_seconds = 0;
  std::size_t requests = 0;
  std::size_t completed = 0;
  std::size_t failed = 0;
  std::size_t cancelled = 0;
  std::vector<ErrorCount> errors;  // most frequent first
  std::optional<Distribution> time_to_first_token;
  std::optional<Distribution> time_to_second_token;
  std::optional<Distribution> time_to_first_output;
  std::optional<Distribution> inter_chunk_latency;
  std::optional<Distribution> time_per_output_token;
  std::optional<Distribution> request_latency;
  std::optional<Distribution> connect_time;
  /// From when it was to be sent to when it was.
  std::optional<Distribution> send_delay;
  std::optional<Distribution> output_tokens;
  std::optional<Distribution> prompt_tokens;
  /// 1 / time_per_output_token of each request.
  std::optional<Distribution> output_tokens_per_second_per_user;
  TokenCount counted_by = TokenCount::none;
  /// Over all that went through; absent if tokens are not known of each.
  std::optional<double> total_output_tokens;
  std::optional<double> total_prompt_tokens;
  Rate requests_per_second;
  std::optional<Rate> output_tokens_per_second;
  std::optional<Rate> total_tokens_per_second;
  /// Requests that kept the SLO, per second and as a share of all that were sent and not cancelled.
  std::optional<Rate> goodput;
  std::optional<double> slo_share;
};

/// Output tokens of an answer: the server's count, else its pieces; nothing if neither is known.
std::optional<double> output_tokens_of(const engine::remote::Answer& answer);
/// (latency - TTFT) / (tokens - 1); nothing for fewer than two tokens or an answer that came whole.
std::optional<double> time_per_output_token(const RequestRecord& record);
bool keeps(const Slo& slo, const RequestRecord& record);

/// `records` in the order in which they were to be sent; start_ns < end_ns.
LoadFigures compute_figures(std::span<const RequestRecord> records, std::int64_t start_ns,
                            std::int64_t end_ns, const Slo& slo);

}  // namespace joulery::evaluate::endpoint
