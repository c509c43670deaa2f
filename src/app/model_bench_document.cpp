#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

#include "app/footprint_documents.hpp"
#include "app/model_bench.hpp"
#include "base/text.hpp"
#include "stats/order_statistics.hpp"
#include "stats/summary.hpp"

namespace joulery::app {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kSchemaVersion = 1;
constexpr double kQuantiles[] = {0.5, 0.9, 0.99};

template <class Unit>
Json quantity(const Quantity<Unit>& figure) {
  return quantity_json(figure.untyped(), figure.interval());
}

/// A mean over blocks; without a second process or block there is no interval, and none is made up.
Json figure_json(const std::optional<evaluate::Figure>& figure, const char* basis) {
  if (!figure) return nullptr;
  const Json low = figure->has_interval ? Json(figure->low) : Json(nullptr);
  const Json high = figure->has_interval ? Json(figure->high) : Json(nullptr);
  return {{"value", figure->value},
          {"low", low},
          {"high", high},
          {"level", figure->level},
          {"interval", figure->has_interval ? Json("confidence") : Json(nullptr)},
          {"provenance", provenance_name(figure->provenance)},
          {"basis",
           fmt::format("{}: {} blocks of calls in {} processes", basis, figure->blocks, figure->groups)}};
}

constexpr const char* kCpuClock = "CPU clock of the engine's process";
constexpr const char* kWallClock = "monotonic clock";

/// A figure of what was undisturbed. It is derived where it was scaled to the usual clock.
Json undisturbed_json(const std::optional<evaluate::Figure>& figure, const char* basis,
                      const evaluate::SpeedReport& speed) {
  Json json = figure_json(figure, basis);
  if (!figure || figure->provenance != Provenance::derived) return json;
  json["basis"] = fmt::format("{}; at a clock of {}", json["basis"].get<std::string>(),
                              format_si(speed.usual_hertz, "Hz"));
  return json;
}

template <class Unit>
Json known_or_null(bool known, const Quantity<Unit>& figure) {
  return known ? quantity(figure) : Json(nullptr);
}

Json optional_json(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json port_json(const engine::Port& port) {
  Json shape = Json::array();
  for (const std::int64_t dimension : port.shape.dimensions())
    shape.push_back(dimension == data::kUnknownDimension ? Json(nullptr) : Json(dimension));
  return {{"name", port.name}, {"type", data::data_type_name(port.type)}, {"shape", std::move(shape)}};
}

Json model_json(const SubjectFacts& facts) {
  Json inputs = Json::array();
  for (const engine::Port& port : facts.inputs) inputs.push_back(port_json(port));
  Json findings = Json::array();
  for (const onnx::Finding& finding : facts.findings) {
    findings.push_back({{"rule", finding.rule}, {"where", finding.where}, {"what", finding.what}});
  }
  return {{"path", facts.model},
          {"name", facts.name},
          {"sha256", facts.sha256},
          {"size_bytes", facts.file_bytes},
          {"opset", facts.opset},
          {"parameters", facts.parameters},
          {"weight_bytes", facts.weight_bytes},
          {"macs_per_inference", facts.macs ? Json(*facts.macs) : Json(nullptr)},
          {"uncounted_operators", facts.uncounted_operators},
          {"inputs", std::move(inputs)},
          {"findings", std::move(findings)}};
}

Json latency_json(const evaluate::SubjectResult& subject, double level) {
  Json quantiles = Json::array();
  for (const LatencyFigure& figure : latency_figures(subject, level)) {
    quantiles.push_back({{"quantile", figure.probability},
                         {"seconds", figure.seconds},
                         {"low", optional_json(figure.low)},
                         {"high", optional_json(figure.high)},
                         {"level", level},
                         {"early_stopping_bound_seconds", optional_json(figure.bound_seconds)},
                         {"calls_needed_for_bound", figure.calls_needed}});
  }
  return quantiles;
}

Json cold_start_json(const evaluate::SubjectResult& subject, const evaluate::InferenceEnergy& energy) {
  std::vector<double> wall;
  std::vector<double> cpu;
  std::vector<double> first;
  for (const evaluate::ColdStart& start : subject.cold_starts) {
    wall.push_back(start.wall_seconds);
    cpu.push_back(start.cpu_seconds);
    first.push_back(start.first_call_seconds);
  }
  const auto mean = [](const std::vector<double>& values) {
    constexpr double kLevel = 0.95;
    const stats::MeanInterval interval = stats::mean_interval(values, kLevel);
    const bool known = values.size() > 1;
    return Json{{"value", interval.mean},
                {"low", known ? Json(interval.low) : Json(nullptr)},
                {"high", known ? Json(interval.high) : Json(nullptr)},
                {"level", kLevel},
                {"interval", known ? Json("confidence") : Json(nullptr)},
                {"provenance", provenance_name(Provenance::measured)},
                {"basis", fmt::format("{} starts, files in the page cache", values.size())}};
  };
  Json energy_json = nullptr;
  if (energy.known && subject.cpu_seconds_as_run && subject.cpu_seconds_as_run->value > 0 && !cpu.empty()) {
    const double times = stats::mean_interval(cpu, 0.95).mean / subject.cpu_seconds_as_run->value;
    energy_json = quantity(energy.active * times);
    energy_json["basis"] = "CPU-seconds of the start times the active joules of a CPU-second of inference; " +
                           energy_json["basis"].get<std::string>();
    if (energy.active.provenance() == Provenance::measured)
      energy_json["provenance"] = provenance_name(Provenance::derived);
  }
  return {{"starts", subject.cold_starts.size()},
          {"wall_seconds", mean(wall)},
          {"cpu_seconds", mean(cpu)},
          {"first_call_seconds", mean(first)},
          {"energy_joules", std::move(energy_json)}};
}

Json metric_json(const evaluate::Metric& metric) {
  const bool known = metric.method != "none";
  return {{"name", metric.name},
          {"value", metric.value},
          {"low", known ? Json(metric.low) : Json(nullptr)},
          {"high", known ? Json(metric.high) : Json(nullptr)},
          {"level", metric.level},
          {"method", metric.method},
          {"higher_is_better", metric.higher_is_better}};
}

Json calibration_json(const evaluate::Calibration& calibration) {
  Json bins = Json::array();
  for (const evaluate::ReliabilityBin& bin : calibration.bins) {
    bins.push_back({{"low", bin.low},
                    {"high", bin.high},
                    {"count", bin.count},
                    {"mean_confidence", bin.mean_confidence},
                    {"accuracy", bin.accuracy}});
  }
  return {{"expected_calibration_error", metric_json(calibration.equal_width)},
          {"expected_calibration_error_equal_mass", metric_json(calibration.equal_mass)},
          {"classwise_error", optional_json(calibration.classwise)},
          {"maximum_error", calibration.maximum_error},
          {"expected_if_calibrated", calibration.expected_if_calibrated},
          {"bound_if_calibrated", calibration.bound_if_calibrated},
          {"temperature", optional_json(calibration.temperature)},
          {"bins", std::move(bins)}};
}

Json quality_json(const evaluate::QualityReport& report) {
  Json metrics = Json::array();
  for (const evaluate::Metric& metric : report.metrics) metrics.push_back(metric_json(metric));
  Json slices = Json::array();
  for (const evaluate::Slice& slice : report.slices) {
    slices.push_back({{"dimension", slice.dimension},
                      {"value", slice.value},
                      {"samples", slice.samples},
                      {"declared", slice.declared},
                      {"merged", slice.merged},
                      {"metric", metric_json(slice.metric)}});
  }
  Json classes = Json::array();
  for (const evaluate::ClassFigures& one : report.classes) {
    classes.push_back({{"name", one.name},
                       {"labelled", one.labelled},
                       {"predicted", one.predicted},
                       {"precision", one.precision},
                       {"recall", one.recall},
                       {"f1", one.f1}});
  }
  return {{"task", report.task},
          {"samples", report.samples},
          {"groups", report.groups},
          {"non_finite_samples", report.non_finite_samples},
          {"interpretation", report.interpretation},
          {"primary", metric_json(report.primary)},
          {"metrics", std::move(metrics)},
          {"calibration", report.calibration ? calibration_json(*report.calibration) : Json(nullptr)},
          {"slices", std::move(slices)},
          {"classes", std::move(classes)},
          {"warnings", report.warnings}};
}

Json robustness_json(const RobustnessOutcome& robustness) {
  Json rows = Json::array();
  for (std::size_t i = 0; i < robustness.figures.rows.size(); ++i) {
    const evaluate::RobustnessRow& row = robustness.figures.rows[i];
    rows.push_back({{"perturbation", row.perturbation.name},
                    {"category", row.perturbation.category},
                    {"severity", row.perturbation.severity},
                    {"description", row.perturbation.description},
                    {"quality", metric_json(row.quality)},
                    {"loss", metric_json(row.loss)},
                    {"flip_rate", row.flip_rate ? metric_json(*row.flip_rate) : Json(nullptr)},
                    {"non_finite_samples", row.non_finite_samples},
                    {"cpu_seconds_per_inference", robustness.cpu_seconds[i]}});
  }
  const evaluate::Robustness& figures = robustness.figures;
  return {{"kind", robustness.kind},
          {"input", robustness.input},
          {"note", robustness.note},
          {"samples", robustness.samples},
          {"clean", metric_json(figures.clean)},
          {"mean_quality", metric_json(figures.mean_quality)},
          {"mean_loss", metric_json(figures.mean_loss)},
          {"relative_corruption_error", optional_json(figures.relative_corruption_error)},
          {"mean_flip_rate", figures.mean_flip_rate ? metric_json(*figures.mean_flip_rate) : Json(nullptr)},
          {"clean_cpu_seconds_per_inference", robustness.clean_cpu_seconds},
          {"energy_joules", known_or_null(robustness.energy_known, robustness.energy)},
          {"seconds", robustness.seconds},
          {"rows", std::move(rows)}};
}

Json explanation_json(const Explanation& found, const evaluate::InferenceEnergy& energy) {
  Json operators = Json::array();
  const double total = found.precision.total_seconds;
  for (const engine::OperatorTime& one : found.operators) {
    const double share = total > 0 ? one.seconds / total : 0;
    Json joules = nullptr;
    if (energy.known) {
      joules = quantity(energy.active * share);
      joules["basis"] = "share of the operators' time; " + joules["basis"].get<std::string>();
      if (energy.active.provenance() == Provenance::measured)
        joules["provenance"] = provenance_name(Provenance::derived);
    }
    operators.push_back(
        {{"node", one.node},
         {"op_type", one.op_type},
         {"kernel", one.kernel},
         {"precision", one.precision},
         {"seconds_per_call", found.calls > 0 ? one.seconds / static_cast<double>(found.calls) : 0},
         {"share", share},
         {"energy_per_inference_joules", std::move(joules)}});
  }
  Json requested = Json::array();
  for (const engine::RequestedOperator& one : found.precision.requested) {
    requested.push_back({{"node", one.node},
                         {"op_type", one.op_type},
                         {"form", onnx::low_precision_form_name(one.form)},
                         {"is_low", one.is_low ? Json(*one.is_low) : Json(nullptr)},
                         {"kernel", one.kernel},
                         {"precision", one.precision}});
  }
  Json reasons = Json::array();
  for (const meter::Warning& reason : found.reasons)
    reasons.push_back({{"text", reason.text}, {"hint", reason.hint}});
  return {{"calls", found.calls},
          {"operator_seconds_per_call", found.calls > 0 ? total / static_cast<double>(found.calls) : 0},
          {"low_precision_share", total > 0 ? found.precision.low_seconds / total : 0},
          {"boundary_share", total > 0 ? found.precision.boundary_seconds / total : 0},
          {"requested_low_precision", found.precision.requested.size()},
          {"really_low_precision", found.precision.low},
          {"not_low_precision", found.precision.not_low},
          {"requested", std::move(requested)},
          {"operators", std::move(operators)},
          {"reasons", std::move(reasons)}};
}

Json options_json(const evaluate::SubjectResult& subject) {
  Json options = Json::array();
  for (const engine::EffectiveOption& option : subject.effective_options) {
    options.push_back(
        {{"name", option.name}, {"value", option.value}, {"known", engine::known_name(option.known)}});
  }
  return options;
}

/// One side of the bench: what a document of a single model has at its top.
Json subject_json(const ModelBenchOutcome& outcome, std::size_t index) {
  const SubjectFacts& facts = outcome.subjects[index];
  const evaluate::SubjectResult& result = outcome.measurement.subjects[index];
  const evaluate::InferenceEnergy& energy = result.energy;
  const double level = outcome.protocol.level;
  const evaluate::SpeedReport& speed = outcome.measurement.speed;
  const auto latencies = latency_figures(result, level);
  Json throughput = nullptr;
  if (result.wall_seconds && result.wall_seconds->value > 0) throughput = 1 / result.wall_seconds->value;
  return {
      {"model", model_json(facts)},
      {"engine",
       {{"name", facts.engine.name}, {"version", facts.engine.version}, {"library", facts.engine.library}}},
      {"precision", engine::precision_name(facts.options.precision)},
      {"threads", facts.options.threads},
      {"streams", facts.options.streams},
      {"batch", result.batch},
      {"effective_options", options_json(result)},
      {"energy_per_inference_joules", known_or_null(energy.known, energy.total)},
      {"energy_active_per_inference_joules", known_or_null(energy.known, energy.active)},
      {"energy_idle_share_per_inference_joules", known_or_null(energy.known, energy.idle_share)},
      {"energy_machine_per_inference_joules",
       known_or_null(energy.known && energy.machine_known, energy.machine)},
      {"carbon_per_inference_gco2e", known_or_null(energy.known, energy.carbon)},
      {"idle_basis", energy.known ? Json(energy.idle_basis) : Json(nullptr)},
      {"cpu_seconds_per_inference", undisturbed_json(result.cpu_seconds, kCpuClock, speed)},
      {"wall_seconds_per_inference", undisturbed_json(result.wall_seconds, kWallClock, speed)},
      {"cpu_seconds_per_inference_as_run", figure_json(result.cpu_seconds_as_run, kCpuClock)},
      {"wall_seconds_per_inference_as_run", figure_json(result.wall_seconds_as_run, kWallClock)},
      {"latency_p50_seconds", latencies.empty() ? Json(nullptr) : Json(latencies[0].seconds)},
      {"latency_p90_seconds", latencies.empty() ? Json(nullptr) : Json(latencies[1].seconds)},
      {"latency_p99_seconds", latencies.empty() ? Json(nullptr) : Json(latencies[2].seconds)},
      {"latency", latency_json(result, level)},
      {"throughput_per_second", std::move(throughput)},
      {"calls", result.calls},
      {"inferences", result.calls * static_cast<std::uint64_t>(result.batch)},
      {"blocks", result.cpu_blocks.values.size()},
      {"undisturbed_blocks", speed.counts.empty() ? result.cpu_blocks.values.size() : speed.undisturbed()},
      {"processes", result.cpu_blocks.groups()},
      {"cold_start", cold_start_json(result, energy)},
      {"resident_bytes", result.resident_bytes},
      {"peak_resident_bytes", result.peak_resident_bytes},
      {"quality", index < outcome.quality.size() ? quality_json(outcome.quality[index]) : Json(nullptr)},
      {"robustness",
       index < outcome.robustness.size() ? robustness_json(outcome.robustness[index]) : Json(nullptr)},
      {"explain", index < outcome.explanations.size() ? explanation_json(outcome.explanations[index], energy)
                                                      : Json(nullptr)}};
}

Json duplicates_json(const std::optional<data::DuplicateReport>& found) {
  if (!found) return nullptr;
  return {{"samples", found->samples},
          {"exact_copies", found->exact_copies},
          {"near_copies", found->near_copies},
          {"method", found->method}};
}

Json data_json(const ModelBenchOutcome& outcome) {
  return {{"duplicates", duplicates_json(outcome.duplicates)},
          {"format", outcome.data.format},
          {"path", outcome.data.path},
          {"samples", outcome.data.count ? Json(*outcome.data.count) : Json(nullptr)},
          {"synthetic", outcome.data.synthetic},
          {"note", outcome.data.note},
          {"batches_in_rotation", outcome.batches}};
}

Json surroundings_json(const evaluate::Surroundings& around) {
  return {{"steal_seconds", around.steal_seconds},
          {"other_busy_seconds", around.other_busy_seconds},
          {"wall_seconds", around.wall_seconds},
          {"cpus", around.cpus},
          {"lowest_hertz", around.lowest_hertz > 0 ? Json(around.lowest_hertz) : Json(nullptr)},
          {"highest_hertz", around.highest_hertz > 0 ? Json(around.highest_hertz) : Json(nullptr)},
          {"throttle_events", around.throttle_events}};
}

Json core_json(const evaluate::SpeedReport& speed) {
  if (speed.counts.empty()) return nullptr;
  return {{"hertz", speed.hertz},
          {"usual_hertz", speed.usual_hertz},
          {"work_cycles", speed.own_work_cycles},
          {"quiet_work_cycles", speed.quiet_work_cycles},
          {"disturbed_blocks", speed.disturbed},
          {"undisturbed_share", speed.always_disturbed ? 0 : speed.share},
          {"always_disturbed", speed.always_disturbed},
          {"slowdown", speed.slowdown}};
}

}  // namespace

std::vector<LatencyFigure> latency_figures(const evaluate::SubjectResult& subject, double level) {
  std::vector<double> seconds;
  seconds.reserve(subject.latencies_ns.size());
  for (const std::int64_t latency : subject.latencies_ns)
    seconds.push_back(static_cast<double>(latency) * 1e-9);
  std::vector<LatencyFigure> figures;
  for (const double probability : kQuantiles) {
    const auto interval = stats::quantile_interval(seconds, probability, level);
    if (!interval) return {};
    figures.push_back({.probability = probability,
                       .seconds = interval->value,
                       .low = interval->low,
                       .high = interval->high,
                       .bound_seconds = stats::early_stopping_estimate(seconds, probability),
                       .calls_needed = stats::early_stopping_samples(1, probability)});
  }
  return figures;
}

std::string rate_text(double per_second) {
  return per_second >= 1000 ? fmt::format("{:.0f}/s", per_second) : fmt::format("{:.4g}/s", per_second);
}

std::string model_bench_document(const ModelBenchRequest& request, const ModelBenchOutcome& outcome) {
  const evaluate::MeasurementResult& measured = outcome.measurement;
  Json document{{"schema_version", kSchemaVersion},
                {"kind", "model"},
                {"version", version()},
                {"run_id", outcome.run_id},
                {"start_time", format_utc(outcome.start_utc_ns)}};
  document.update(subject_json(outcome, 0));
  document["data"] = data_json(outcome);
  document["protocol"] = {
      {"arrivals", evaluate::arrivals_name(request.protocol.arrivals)},
      {"rate_hz", request.protocol.rate_hz > 0 ? Json(request.protocol.rate_hz) : Json(nullptr)},
      {"budget_seconds", request.protocol.budget_seconds},
      {"target_half_width", request.protocol.target_half_width},
      {"level", request.protocol.level},
      {"seed", request.protocol.seed},
      {"measured_seconds", measured.seconds},
      {"ending", evaluate::ending_name(measured.ending)}};
  document["surroundings"] = surroundings_json(measured.surroundings);
  document["core"] = core_json(measured.speed);
  document["attribution"] = measured.window ? Json(meter::tier_name(measured.window->tier)) : Json(nullptr);
  document["versus"] = nullptr;
  document["comparison"] = nullptr;
  if (outcome.subjects.size() == 2) {
    document["versus"] = subject_json(outcome, 1);
    document["comparison"] = {
        {"cpu_seconds_ratio", figure_json(measured.cpu_ratio, "pairs of blocks in turn (ABBA)")},
        {"wall_seconds_ratio", figure_json(measured.wall_ratio, "pairs of blocks in turn (ABBA)")},
        {"energy_ratio", measured.energy_ratio ? quantity(*measured.energy_ratio) : Json(nullptr)}};
  }
  Json warnings = Json::array();
  for (const meter::Warning& warning : outcome.warnings)
    warnings.push_back({{"text", warning.text}, {"hint", warning.hint}});
  document["warnings"] = std::move(warnings);
  Json problems = Json::array();
  for (const BenchProblem& problem : outcome.problems) {
    problems.push_back(
        {{"doing", problem.doing}, {"message", problem.error.message}, {"hint", problem.error.hint}});
  }
  document["problems"] = std::move(problems);
  // Names come from files, which need not hold UTF-8; JSON must.
  return document.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace joulery::app
