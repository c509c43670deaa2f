#include <fmt/format.h>

#include "app/model_bench.hpp"
#include "base/ids.hpp"
#include "base/text.hpp"
#include "meter/host.hpp"
#include "power/power_model.hpp"
#include "record/store.hpp"

namespace joulery::app {
namespace {

class PutBench final : public record::Store::TransactionBody {
 public:
  PutBench(const meter::HostFacts& host, const record::Run& run,
           const std::vector<record::Evidence>& evidence)
      : host_(host), run_(run), evidence_(evidence) {}
  Status run(record::Store& store) override {
    JOULERY_CHECK_OK(store.put_host(host_.host));
    JOULERY_CHECK_OK(store.put_boot(host_.boot));
    JOULERY_CHECK_OK(store.put_run(run_));
    for (const record::Evidence& one : evidence_) JOULERY_CHECK_OK(store.put_evidence(one));
    return {};
  }

 private:
  const meter::HostFacts& host_;
  const record::Run& run_;
  const std::vector<record::Evidence>& evidence_;
};

/// Metrics of one side; the second one's keys begin with "versus_".
class MetricWriter {
 public:
  MetricWriter(record::Run& run, std::string prefix, std::int64_t time_ms)
      : run_(run), prefix_(std::move(prefix)), time_ms_(time_ms) {}

  void add(const std::string& key, double value) {
    run_.metrics.push_back({.key = record::kOwnMetricPrefix + prefix_ + key,
                            .point = {.value = value, .timestamp_ms = time_ms_, .step = 0}});
  }
  void add(const std::string& key, double value, double low, double high) {
    add(key, value);
    add(key + "_low", low);
    add(key + "_high", high);
  }
  void add(const std::string& key, const std::optional<evaluate::Figure>& figure) {
    if (!figure) return;
    if (figure->has_interval) {
      add(key, figure->value, figure->low, figure->high);
    } else {
      add(key, figure->value);
    }
  }
  template <class Unit>
  void add(const std::string& key, const Quantity<Unit>& figure) {
    const Interval range = figure.interval();
    add(key, figure.value(), range.low, range.high);
  }

 private:
  record::Run& run_;
  std::string prefix_;
  std::int64_t time_ms_;
};

void add_subject(const ModelBenchOutcome& outcome, std::size_t index, record::Run& run) {
  const evaluate::SubjectResult& result = outcome.measurement.subjects[index];
  const SubjectFacts& facts = outcome.subjects[index];
  const std::string prefix = index == 0 ? "" : "versus_";
  MetricWriter metrics(run, prefix, outcome.end_utc_ns / 1'000'000);
  metrics.add("cpu_seconds_per_inference", result.cpu_seconds);
  metrics.add("wall_seconds_per_inference", result.wall_seconds);
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

}  // namespace

Status store_model_bench(Application& application, const ModelBenchRequest& request,
                         const ModelBenchOutcome& outcome) {
  const auto identity = power::read_machine_identity(application.sensors());
  const meter::HostFacts host = meter::read_host_facts(application.sensors(), application.clock(),
                                                       identity ? *identity : power::MachineIdentity());
  const evaluate::MeasurementResult& measured = outcome.measurement;
  record::Run run{.id = outcome.run_id,
                  .name = request.name.empty() ? printable(outcome.subjects[0].name) : request.name,
                  .experiment = application.config().text("run.experiment"),
                  .user = application.user(),
                  .status = outcome.interrupted ? record::RunStatus::killed
                            : outcome.failure   ? record::RunStatus::failed
                                                : record::RunStatus::finished,
                  .start_utc_ns = outcome.start_utc_ns,
                  .end_utc_ns = outcome.end_utc_ns,
                  .start_boottime_ns = outcome.start_boottime_ns,
                  .end_boottime_ns = outcome.end_boottime_ns,
                  .host_id = host.host.id,
                  .boot_id = host.boot.id,
                  .params = {},
                  .tags = request.tags,
                  .metrics = {}};
  run.tags["mlflow.runName"] = run.name;
  run.tags["joulery.kind"] = "bench-model";
  if (measured.window) run.tags["joulery.attribution"] = meter::tier_name(measured.window->tier);
  run.tags[record::kEnergyProvenanceTag] =
      measured.subjects[0].energy.known ? provenance_name(measured.subjects[0].energy.total.provenance())
                                        : record::kEnergyUnknown;
  std::vector<record::Evidence> evidence;
  const std::string sha256 = sha256_hex(outcome.document);
  // Of the run, and of every model that it tells of.
  std::vector<std::string> about{"run:" + run.id};
  for (std::size_t i = 0; i < outcome.subjects.size(); ++i) {
    add_subject(outcome, i, run);
    const std::string subject = "model:" + outcome.subjects[i].sha256;
    if (subject != about.back()) about.push_back(subject);
  }
  for (const std::string& subject : about) {
    evidence.push_back({.subject = subject,
                        .type = "joulery/bench-model",
                        .version = 1,
                        .json = outcome.document,
                        .sha256 = sha256,
                        .created_utc_ns = outcome.end_utc_ns});
  }
  JOULERY_ASSIGN(const auto store, application.open_store(Application::StoreAccess::read_write));
  PutBench put(host, run, evidence);
  return store->transaction(put);
}

}  // namespace joulery::app
