#include "app/bench_foreign.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

#include "app/footprint_documents.hpp"
#include "base/text.hpp"

namespace joulery::app {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kJoulesPerKilowattHour = 3.6e6;
constexpr double kJoulesPerWattHour = 3600;
constexpr int kQueries = 1000;
constexpr double kBytesPerMegabyte = 1e6;
/// Of more calls, evenly many of the sorted ones: quantiles stay, and the file can be opened.
constexpr std::size_t kMostValues = 20'000;

/// Linear between neighbours, as numpy's default is.
double quantile(const std::vector<double>& sorted, double probability) {
  const double at = probability * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

Json latency_json(std::vector<double> seconds) {
  if (seconds.empty()) return nullptr;
  double total = 0;
  for (const double value : seconds) total += value;
  const auto count = static_cast<double>(seconds.size());
  const double mean = total / count;
  double squares = 0;
  for (const double value : seconds) squares += (value - mean) * (value - mean);
  const double deviation = std::sqrt(squares / count);
  std::vector<double> sorted = seconds;
  std::ranges::sort(sorted);
  return {{"unit", "s"},
          {"values", std::move(seconds)},
          {"count", sorted.size()},
          {"total", total},
          {"mean", mean},
          {"p50", quantile(sorted, 0.5)},
          {"p90", quantile(sorted, 0.9)},
          {"p95", quantile(sorted, 0.95)},
          {"p99", quantile(sorted, 0.99)},
          {"stdev", deviation},
          {"stdev_", mean > 0 ? 100 * deviation / mean : 0}};
}

std::vector<double> call_seconds(const evaluate::SubjectResult& result) {
  const std::size_t count = result.latencies_ns.size();
  const std::size_t kept = std::min(count, kMostValues);
  std::vector<double> seconds;
  seconds.reserve(kept);
  for (std::size_t i = 0; i < kept; ++i) {
    const std::size_t from = kept == count ? i : (2 * i + 1) * count / (2 * kept);
    seconds.push_back(static_cast<double>(result.latencies_ns[from]) * 1e-9);
  }
  return seconds;
}

/// The same as in the document; 0 if unknown. Not the calls' latencies: several streams make calls at a time,
/// and between arrivals there are pauses.
double seconds_per_inference(const evaluate::SubjectResult& result) {
  return result.wall_seconds ? result.wall_seconds->value : 0;
}

/// Of all calls, those beyond kMostValues too.
double mean_latency(const evaluate::SubjectResult& result) {
  if (result.latencies_ns.empty()) return 0;
  double sum = 0;
  for (const std::int64_t latency : result.latencies_ns) sum += static_cast<double>(latency) * 1e-9;
  return sum / static_cast<double>(result.latencies_ns.size());
}

Json phase_json(Json latency) {
  return {{"memory", nullptr},
          {"latency", std::move(latency)},
          {"throughput", nullptr},
          {"energy", nullptr},
          {"efficiency", nullptr}};
}

Json memory_json(const evaluate::SubjectResult& result) {
  return {{"unit", "MB"},
          {"max_ram", result.peak_resident_bytes / kBytesPerMegabyte},
          {"max_global_vram", nullptr},
          {"max_process_vram", nullptr},
          {"max_reserved", nullptr},
          {"max_allocated", nullptr}};
}

void add_energy(const ModelBenchOutcome& outcome, Json& forward) {
  const evaluate::SubjectResult& result = outcome.measurement.subjects[0];
  const auto batch = static_cast<double>(result.batch);
  const double kilowatt_hours = result.energy.total.value() * batch / kJoulesPerKilowattHour;
  if (!result.energy.known || !(kilowatt_hours > 0)) return;
  const double gpu = kilowatt_hours * gpu_share(outcome);
  forward["energy"] = {
      {"unit", "kWh"}, {"cpu", kilowatt_hours - gpu}, {"ram", 0.0}, {"gpu", gpu}, {"total", kilowatt_hours}};
  forward["efficiency"] = {{"unit", "samples/kWh"}, {"value", batch / kilowatt_hours}};
}

Json scaled(const Quantity<Joules>& each) {
  const Quantity<Joules> all = each * (kQueries / kJoulesPerWattHour);
  return quantity_json(all.untyped(), all.interval());
}

Json own_json(const ModelBenchOutcome& outcome) {
  const evaluate::InferenceEnergy& energy = outcome.measurement.subjects[0].energy;
  const bool gpu = gpu_share(outcome) > 0;
  Json own{{"version", version()},
           {"run_id", outcome.run_id},
           {"queries", kQueries},
           {"inferences_measured", outcome.measurement.subjects[0].calls *
                                       static_cast<std::uint64_t>(outcome.measurement.subjects[0].batch)},
           {"gpu_took_part", gpu},
           {"energy_per_1000_queries_watt_hours", energy.known ? scaled(energy.total) : Json(nullptr)},
           {"energy_machine_per_1000_queries_watt_hours",
            energy.known && energy.machine_known ? scaled(energy.machine) : Json(nullptr)}};
  own["note"] =
      gpu ? "figures of one inference, times 1000; total counts GPUs alone"
          : "no GPU took part: total counts GPUs alone and is 0, which is no score; the CPU's energy "
            "is in this object";
  return own;
}

}  // namespace

double gpu_share(const ModelBenchOutcome& outcome) {
  const auto& window = outcome.measurement.window;
  if (!window || !window->gpu_energy_known() || !(window->energy.value() > 0)) return 0;
  return std::clamp(window->energy_gpu.value() / window->energy.value(), 0.0, 1.0);
}

std::string optimum_report(const ModelBenchOutcome& outcome) {
  const evaluate::SubjectResult& result = outcome.measurement.subjects[0];
  std::vector<double> load;
  std::vector<double> first;
  for (const evaluate::ColdStart& start : result.cold_starts) {
    load.push_back(std::max(0.0, start.wall_seconds - start.first_call_seconds));
    first.push_back(start.first_call_seconds);
  }
  Json forward = phase_json(latency_json(call_seconds(result)));
  forward["memory"] = memory_json(result);
  if (const double seconds = seconds_per_inference(result); seconds > 0)
    forward["throughput"] = {{"unit", "samples/s"}, {"value", 1 / seconds}};
  add_energy(outcome, forward);
  const Json report{{"load_model", phase_json(latency_json(std::move(load)))},
                    {"first_forward", phase_json(latency_json(std::move(first)))},
                    {"forward", std::move(forward)}};
  return report.dump(4);
}

std::string ai_energy_score_summary(const ModelBenchOutcome& outcome) {
  const evaluate::SubjectResult& result = outcome.measurement.subjects[0];
  const SubjectFacts& facts = outcome.subjects[0];
  const bool known = result.energy.known;
  const double watt_hours =
      known ? result.energy.total.value() * gpu_share(outcome) * kQueries / kJoulesPerWattHour : 0;
  const Json summary{
      {"units", "Wh"},
      {"total", watt_hours},
      {"format", "ai_energy_benchmarks"},
      {"preprocess_wh", 0.0},
      {"prefill_wh", 0.0},
      {"decode_wh", watt_hours},
      {"config",
       {{"name", outcome.run_id},
        {"backend", facts.engine.name},
        {"model", facts.name},
        {"dataset", outcome.data.synthetic ? "synthetic" : outcome.data.format},
        {"num_samples", kQueries}}},
      {"summary",
       {{"total_prompts", kQueries},
        {"successful_prompts", kQueries},
        {"failed_prompts", 0},
        {"total_duration_seconds", kQueries * seconds_per_inference(result)},
        {"avg_latency_seconds", mean_latency(result)},
        {"total_tokens", 0},
        {"total_prompt_tokens", 0},
        {"total_completion_tokens", 0},
        {"throughput_tokens_per_second", 0.0}}},
      {"energy",
       {{"gpu_energy_wh", watt_hours},
        {"emissions_g_co2eq", known ? Json(kQueries * result.energy.carbon.value()) : Json(0.0)}}},
      {"joulery", own_json(outcome)}};
  // Names come from files, which need not hold UTF-8; JSON must.
  return summary.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace joulery::app
