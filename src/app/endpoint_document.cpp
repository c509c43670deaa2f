#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <array>

#include "app/bench_record.hpp"
#include "app/endpoint_bench.hpp"
#include "app/footprint_documents.hpp"
#include "base/text.hpp"

namespace joulery::app {
namespace {

namespace endpoint = evaluate::endpoint;
using Json = nlohmann::ordered_json;

constexpr int kSchemaVersion = 1;
constexpr const char* kEvidenceType = "joulery/bench-endpoint";

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

template <class Unit>
Json quantity(const Quantity<Unit>& figure) {
  return quantity_json(figure.untyped(), figure.interval());
}

template <class Unit>
Json quantity(const std::optional<Quantity<Unit>>& figure) {
  return figure ? quantity(*figure) : Json(nullptr);
}

Json rate_json(const endpoint::Rate& rate) {
  return {{"value", rate.value},
          {"low", or_null(rate.low)},
          {"high", or_null(rate.high)},
          {"level", endpoint::kLevel}};
}

Json rate_json(const std::optional<endpoint::Rate>& rate) {
  return rate ? rate_json(*rate) : Json(nullptr);
}

constexpr std::array kQuantileNames{"p50", "p90", "p95", "p99"};
static_assert(kQuantileNames.size() == endpoint::kQuantiles.size());

Json distribution_json(const std::optional<endpoint::Distribution>& found) {
  if (!found) return nullptr;
  Json json{{"count", found->count},
            {"mean", found->mean},
            {"mean_low", or_null(found->mean_low)},
            {"mean_high", or_null(found->mean_high)},
            {"std", found->standard_deviation},
            {"min", found->minimum}};
  for (std::size_t i = 0; i < kQuantileNames.size(); ++i) {
    const endpoint::Quantile& quantile = found->quantiles[i];
    json[kQuantileNames[i]] = quantile.value;
    json[kQuantileNames[i] + std::string("_low")] = or_null(quantile.low);
    json[kQuantileNames[i] + std::string("_high")] = or_null(quantile.high);
  }
  json["max"] = found->maximum;
  json["level"] = endpoint::kLevel;
  return json;
}

/// The distributions of a load, by the names that JSON and record give them.
std::vector<std::pair<const char*, const std::optional<endpoint::Distribution>*>> distributions(
    const endpoint::LoadFigures& figures) {
  return {{"time_to_first_token_seconds", &figures.time_to_first_token},
          {"time_to_second_token_seconds", &figures.time_to_second_token},
          {"time_to_first_output_seconds", &figures.time_to_first_output},
          {"inter_chunk_latency_seconds", &figures.inter_chunk_latency},
          {"time_per_output_token_seconds", &figures.time_per_output_token},
          {"request_latency_seconds", &figures.request_latency},
          {"connect_seconds", &figures.connect_time},
          {"send_delay_seconds", &figures.send_delay},
          {"output_tokens", &figures.output_tokens},
          {"prompt_tokens", &figures.prompt_tokens},
          {"output_tokens_per_second_per_user", &figures.output_tokens_per_second_per_user}};
}

Json pair_json(const std::optional<endpoint::EnergyFigures::Pair>& pair) {
  if (!pair) return nullptr;
  return {{"gross", quantity(pair->gross)}, {"idle_subtracted", quantity(pair->idle_subtracted)}};
}

Json energy_json(const EndpointPoint& point) {
  if (!point.energy) return nullptr;
  const endpoint::EnergyFigures& energy = *point.energy;
  return {{"energy_joules", quantity(energy.reading.total)},
          {"energy_active_joules", quantity(energy.reading.active)},
          {"energy_machine_joules", quantity(energy.reading.machine)},
          {"metered_seconds", energy.reading.seconds},
          {"mean_watts", energy.mean_watts},
          {"energy_per_output_token_joules", pair_json(energy.per_output_token)},
          {"energy_per_total_token_joules", pair_json(energy.per_total_token)},
          {"energy_per_request_joules", pair_json(energy.per_request)},
          {"energy_per_1k_output_tokens_watt_hours", quantity(energy.watt_hours_per_1k_output_tokens)},
          {"output_tokens_per_joule", or_null(energy.output_tokens_per_joule)},
          {"total_tokens_per_joule", or_null(energy.total_tokens_per_joule)},
          {"requests_per_joule", or_null(energy.requests_per_joule)},
          {"output_tokens_per_second_per_watt", or_null(energy.output_tokens_per_second_per_watt)},
          {"goodput_per_watt", or_null(energy.goodput_per_watt)},
          {"energy_delay_product_joule_seconds", or_null(energy.energy_delay_product_joule_seconds)},
          {"carbon_gco2e", quantity(point.carbon)}};
}

Json warnings_json(const std::vector<meter::Warning>& warnings) {
  Json list = Json::array();
  for (const meter::Warning& warning : warnings)
    list.push_back({{"text", warning.text}, {"hint", warning.hint}});
  return list;
}

Json load_json(const EndpointLoad& load) {
  const bool closed = load.concurrency > 0;
  return {{"mode", closed ? "closed" : "open"},
          {"concurrency", closed ? Json(load.concurrency) : Json(nullptr)},
          {"rate_per_second", or_null(load.rate_per_second)},
          {"arrivals", closed ? Json(nullptr) : Json(load.arrivals)}};
}

Json point_json(const EndpointPoint& point) {
  const endpoint::LoadFigures& figures = point.figures;
  Json errors = Json::array();
  for (const endpoint::ErrorCount& error : figures.errors) {
    errors.push_back({{"kind", error.kind}, {"count", error.count}, {"example", error.example}});
  }
  Json json{{"run_id", point.run_id},
            {"load", load_json(point.load)},
            {"start_time", format_utc(point.start_utc_ns)},
            {"duration_seconds", figures.window_seconds},
            {"warmup_requests", point.warmup},
            {"interrupted", point.interrupted},
            {"requests", figures.requests},
            {"requests_completed", figures.completed},
            {"requests_failed", figures.failed},
            {"requests_cancelled", figures.cancelled},
            {"requests_held_back", point.held_back},
            {"errors", std::move(errors)}};
  for (const auto& [name, distribution] : distributions(figures))
    json[name] = distribution_json(*distribution);
  json["output_tokens_counted_by"] = endpoint::token_count_name(figures.counted_by);
  json["total_output_tokens"] = or_null(figures.total_output_tokens);
  json["total_prompt_tokens"] = or_null(figures.total_prompt_tokens);
  json["requests_per_second"] = rate_json(figures.requests_per_second);
  json["output_tokens_per_second"] = rate_json(figures.output_tokens_per_second);
  json["total_tokens_per_second"] = rate_json(figures.total_tokens_per_second);
  json["goodput_per_second"] = rate_json(figures.goodput);
  json["slo_share"] = or_null(figures.slo_share);
  json["energy"] = energy_json(point);
  json["server_cpu_seconds"] = or_null(point.server_cpu_seconds);
  json["client_cpu_seconds"] = point.client_cpu_seconds;
  json["warnings"] = warnings_json(point.warnings);
  return json;
}

Json settings_json(const EndpointRequest& request, const EndpointOutcome& outcome) {
  const bool oip = outcome.protocol == "oip_rest";
  Json names = Json::array();
  // Names only: values may be secrets.
  for (const auto& [name, value] : request.target.headers) names.push_back(name);
  return {{"requests", request.length.requests > 0 ? Json(request.length.requests) : Json(nullptr)},
          {"duration_seconds", request.length.seconds > 0 ? Json(request.length.seconds) : Json(nullptr)},
          {"timeout_seconds", request.timeout_seconds},
          {"prompts_from", request.prompts_from},
          {"different_requests", outcome.different_requests},
          {"prompt_words",
           oip || !request.target.prompts.empty() ? Json(nullptr) : Json(request.target.prompt_tokens)},
          {"max_tokens", oip ? Json(nullptr) : Json(request.target.max_tokens)},
          {"seed", request.target.seed},
          {"headers", std::move(names)},
          {"slo",
           {{"ttft_seconds", or_null(request.slo.ttft_seconds)},
            {"tpot_seconds", or_null(request.slo.tpot_seconds)},
            {"e2e_seconds", or_null(request.slo.latency_seconds)}}}};
}

/// A run as it is recorded: the figures that are searched and compared by.
void add_metrics(const EndpointPoint& point, record::Run& run) {
  MetricWriter metrics(run, "", run.end_utc_ns);
  const endpoint::LoadFigures& figures = point.figures;
  metrics.add("duration_seconds", figures.window_seconds);
  metrics.add("requests", double(figures.requests));
  metrics.add("requests_completed", double(figures.completed));
  metrics.add("requests_failed", double(figures.failed));
  metrics.add("client_cpu_seconds", point.client_cpu_seconds);
  if (point.server_cpu_seconds) metrics.add("cpu_seconds", *point.server_cpu_seconds);
  for (const auto& [name, distribution] : distributions(figures)) {
    if (!*distribution) continue;
    metrics.add(fmt::format("mean_{}", name), (*distribution)->mean);
    for (std::size_t i = 0; i < kQuantileNames.size(); ++i) {
      metrics.add(fmt::format("{}_{}", kQuantileNames[i], name), (*distribution)->quantiles[i].value);
    }
  }
  metrics.add("requests_per_second", figures.requests_per_second.value);
  if (figures.output_tokens_per_second)
    metrics.add("output_tokens_per_second", figures.output_tokens_per_second->value);
  if (figures.total_tokens_per_second)
    metrics.add("total_tokens_per_second", figures.total_tokens_per_second->value);
  if (figures.goodput) metrics.add("goodput_per_second", figures.goodput->value);
  if (figures.slo_share) metrics.add("slo_share", *figures.slo_share);
  run.tags[record::kEnergyProvenanceTag] = record::kEnergyUnknown;
  if (!point.energy) return;
  const endpoint::EnergyFigures& energy = *point.energy;
  run.tags[record::kEnergyProvenanceTag] = provenance_name(energy.reading.total.provenance());
  metrics.add("energy_joules", energy.reading.total);
  if (energy.reading.active) metrics.add("energy_active_joules", *energy.reading.active);
  if (energy.reading.machine) metrics.add("energy_machine_joules", *energy.reading.machine);
  if (energy.per_output_token) metrics.add("energy_per_output_token_joules", energy.per_output_token->gross);
  if (energy.per_total_token) metrics.add("energy_per_total_token_joules", energy.per_total_token->gross);
  if (energy.per_request) metrics.add("energy_per_request_joules", energy.per_request->gross);
  if (point.carbon) metrics.add("carbon_gco2e", *point.carbon);
}

}  // namespace

std::string endpoint_document(const EndpointRequest& request, const EndpointOutcome& outcome,
                              std::span<const EndpointPoint> points) {
  Json list = Json::array();
  for (const EndpointPoint& point : points) list.push_back(point_json(point));
  const EndpointPoint* cheapest = cheapest_within_slo(outcome);
  const Json document{{"schema_version", kSchemaVersion},
                      {"kind", "endpoint"},
                      {"bench_id", outcome.bench_id},
                      {"url", outcome.address},
                      {"protocol", outcome.protocol},
                      {"model", outcome.model},
                      {"streaming", outcome.streaming},
                      {"metered_by", outcome.metered_by.empty() ? Json(nullptr) : Json(outcome.metered_by)},
                      {"settings", settings_json(request, outcome)},
                      {"loads", std::move(list)},
                      {"cheapest_within_slo", cheapest != nullptr ? Json(cheapest->run_id) : Json(nullptr)},
                      {"warnings", warnings_json(outcome.warnings)}};
  // Names and errors come from a server, which need not write UTF-8; JSON must be.
  return document.dump(2, ' ', false, Json::error_handler_t::replace);
}

Status store_endpoint_run(Application& application, const EndpointRequest& request,
                          const EndpointOutcome& outcome, const EndpointPoint& point,
                          const std::string& document) {
  record::Run run{.id = point.run_id,
                  .name = request.name.empty() ? printable(outcome.model) : request.name,
                  .experiment = {},
                  .user = {},
                  .status = point.interrupted             ? record::RunStatus::killed
                            : point.figures.completed > 0 ? record::RunStatus::finished
                                                          : record::RunStatus::failed,
                  .start_utc_ns = point.start_utc_ns,
                  .end_utc_ns = point.end_utc_ns,
                  .start_boottime_ns = point.start_boottime_ns,
                  .end_boottime_ns = point.end_boottime_ns,
                  .host_id = {},
                  .boot_id = {},
                  .params = {{"endpoint", outcome.address},
                             {"protocol", outcome.protocol},
                             {"model", printable(outcome.model)},
                             {"load", load_text(point.load)}},
                  .tags = request.tags,
                  .metrics = {}};
  run.tags["joulery.kind"] = "bench-endpoint";
  run.tags["joulery.bench"] = outcome.bench_id;
  if (!outcome.metered_by.empty()) run.tags["joulery.attribution"] = outcome.metered_by;
  add_metrics(point, run);
  return store_bench(application, std::move(run),
                     {.type = kEvidenceType, .version = kSchemaVersion, .json = document});
}

}  // namespace joulery::app
