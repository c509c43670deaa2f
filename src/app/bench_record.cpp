#include "app/bench_record.hpp"

#include "base/ids.hpp"
#include "meter/host.hpp"
#include "power/power_model.hpp"
#include "record/store.hpp"

namespace joulery::app {
namespace {

class PutBench final : public record::Store::TransactionBody {
 public:
  PutBench(const meter::HostFacts& host, const record::Run& run, const BenchEvidence& evidence)
      : host_(host), run_(run), evidence_(evidence) {}

  Status run(record::Store& store) override {
    JOULERY_CHECK_OK(store.put_host(host_.host));
    JOULERY_CHECK_OK(store.put_boot(host_.boot));
    JOULERY_CHECK_OK(store.put_run(run_));
    record::Evidence document{.subject = "run:" + run_.id,
                              .type = evidence_.type,
                              .version = evidence_.version,
                              .json = evidence_.json,
                              .sha256 = sha256_hex(evidence_.json),
                              .created_utc_ns = run_.end_utc_ns};
    JOULERY_CHECK_OK(store.put_evidence(document));
    for (const std::string& subject : evidence_.also_about) {
      document.subject = subject;
      JOULERY_CHECK_OK(store.put_evidence(document));
    }
    return {};
  }

 private:
  const meter::HostFacts& host_;
  const record::Run& run_;
  const BenchEvidence& evidence_;
};

meter::HostFacts this_host(Application& application) {
  const auto identity = power::read_machine_identity(application.sensors());
  return meter::read_host_facts(application.sensors(), application.clock(),
                                identity ? *identity : power::MachineIdentity());
}

}  // namespace

void MetricWriter::add(const std::string& key, double value) {
  run_.metrics.push_back({.key = record::kOwnMetricPrefix + prefix_ + key,
                          .point = {.value = value, .timestamp_ms = time_ms_, .step = 0}});
}

void MetricWriter::add(const std::string& key, double value, double low, double high) {
  add(key, value);
  add(key + "_low", low);
  add(key + "_high", high);
}

evaluate::SpeedHistory load_speed_history(Application& application) {
  constexpr std::size_t kLast = 20;
  evaluate::SpeedHistory history;
  const auto store = application.open_store(Application::StoreAccess::read_only);
  if (!store) return history;
  const auto runs = (*store)->search_runs({.filter = std::string("tags.`joulery.kind` = '") +
                                                     kModelBenchKind + "' and metrics.`" +
                                                     record::kOwnMetricPrefix + kCoreHertzMetric + "` > 0",
                                           .max_results = kLast * 10});
  if (!runs) return history;
  const std::string host = this_host(application).host.id;
  for (const record::Run& run : *runs) {
    if (run.host_id != host || history.hertz.size() == kLast) continue;
    for (const record::LatestMetric& metric : run.metrics) {
      if (!(metric.point.value > 0)) continue;
      if (metric.key == std::string(record::kOwnMetricPrefix) + kCoreHertzMetric)
        history.hertz.push_back(metric.point.value);
      if (metric.key == std::string(record::kOwnMetricPrefix) + kCoreWorkMetric)
        history.work_cycles.push_back(metric.point.value);
    }
  }
  return history;
}

Status store_bench(Application& application, record::Run run, const BenchEvidence& evidence) {
  const meter::HostFacts host = this_host(application);
  run.experiment = application.config().text("run.experiment");
  run.user = application.user();
  run.host_id = host.host.id;
  run.boot_id = host.boot.id;
  run.tags["mlflow.runName"] = run.name;
  JOULERY_ASSIGN(const auto store, application.open_store(Application::StoreAccess::read_write));
  PutBench put(host, run, evidence);
  return store->transaction(put);
}

}  // namespace joulery::app
