#include <fmt/format.h>

#include <algorithm>

#include "app/bench_record.hpp"
#include "app/model_bench.hpp"
#include "base/text.hpp"

namespace joulery::app {
namespace {

/// A figure over blocks; without a second block or process it has no range.
void add_figure(MetricWriter& metrics, const std::string& key,
                const std::optional<evaluate::Figure>& figure) {
  if (!figure) return;
  if (figure->has_interval) {
    metrics.add(key, figure->value, figure->low, figure->high);
  } else {
    metrics.add(key, figure->value);
  }
}

/// Metrics and params of one side; the second one's keys begin with "versus_".
void add_subject(const ModelBenchOutcome& outcome, std::size_t index, record::Run& run) {
  const evaluate::SubjectResult& result = outcome.measurement.subjects[index];
  const SubjectFacts& facts = outcome.subjects[index];
  const std::string prefix = index == 0 ? "" : "versus_";
  MetricWriter metrics(run, prefix, outcome.end_utc_ns);
  add_figure(metrics, "cpu_seconds_per_inference", result.cpu_seconds);
  add_figure(metrics, "wall_seconds_per_inference", result.wall_seconds);
  add_figure(metrics, "cpu_seconds_per_inference_as_run", result.cpu_seconds_as_run);
  if (result.energy.known) {
    metrics.add("energy_per_inference_joules", result.energy.total);
    metrics.add("energy_active_per_inference_joules", result.energy.active);
    metrics.add("carbon_per_inference_gco2e", result.energy.carbon);
  }
  for (const LatencyFigure& figure : latency_figures(result, outcome.protocol.level)) {
    metrics.add(fmt::format("latency_p{:.0f}_seconds", 100 * figure.probability), figure.seconds);
  }
  metrics.add("peak_memory_bytes", result.peak_resident_bytes);
  if (index < outcome.quality.size()) {
    const evaluate::Metric& primary = outcome.quality[index].primary;
    metrics.add(primary.name, primary.value, primary.low, primary.high);
  }
  const auto param = [&](const char* key, std::string value) { run.params[prefix + key] = std::move(value); };
  param("model", printable(facts.name));
  param("model_sha256", facts.sha256);
  param("engine", fmt::format("{} {}", facts.engine.name, facts.engine.version));
  param("precision", engine::precision_name(facts.options.precision));
  param("threads", fmt::format("{}", facts.options.threads));
  param("batch", fmt::format("{}", result.batch));
}

void add_speed(const evaluate::SpeedReport& speed, std::int64_t utc_ns, record::Run& run) {
  if (speed.counts.empty()) return;
  MetricWriter metrics(run, "", utc_ns);
  metrics.add(kCoreHertzMetric, speed.hertz);
  metrics.add(kCoreWorkMetric, speed.own_work_cycles);
}

}  // namespace

Status store_model_bench(Application& application, const ModelBenchRequest& request,
                         const ModelBenchOutcome& outcome) {
  const evaluate::MeasurementResult& measured = outcome.measurement;
  record::Run run{.id = outcome.run_id,
                  .name = request.name.empty() ? printable(outcome.subjects[0].name) : request.name,
                  .experiment = {},
                  .user = {},
                  .status = outcome.interrupted        ? record::RunStatus::killed
                            : outcome.problems.empty() ? record::RunStatus::finished
                                                       : record::RunStatus::failed,
                  .start_utc_ns = outcome.start_utc_ns,
                  .end_utc_ns = outcome.end_utc_ns,
                  .start_boottime_ns = outcome.start_boottime_ns,
                  .end_boottime_ns = outcome.end_boottime_ns,
                  .host_id = {},
                  .boot_id = {},
                  .params = {},
                  .tags = request.tags,
                  .metrics = {}};
  run.tags["joulery.kind"] = kModelBenchKind;
  add_speed(measured.speed, outcome.end_utc_ns, run);
  if (!measured.speed.counts.empty()) run.tags[kCoreProbeTag] = core_probe(application);
  if (measured.window) run.tags["joulery.attribution"] = meter::tier_name(measured.window->tier);
  run.tags[record::kEnergyProvenanceTag] =
      measured.subjects[0].energy.known ? provenance_name(measured.subjects[0].energy.total.provenance())
                                        : record::kEnergyUnknown;
  BenchEvidence evidence{.type = "joulery/bench-model", .version = 1, .json = outcome.document};
  for (std::size_t i = 0; i < outcome.subjects.size(); ++i) {
    add_subject(outcome, i, run);
    std::string subject = "model:" + outcome.subjects[i].sha256;
    if (std::ranges::find(evidence.also_about, subject) == evidence.also_about.end())
      evidence.also_about.push_back(std::move(subject));
  }
  return store_bench(application, std::move(run), evidence);
}

}  // namespace joulery::app
