#include "app/bench_record.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include "base/ids.hpp"
#include "base/text.hpp"
#include "engine/core_speed.hpp"
#include "meter/host.hpp"
#include "power/power_model.hpp"
#include "record/spool.hpp"
#include "record/store.hpp"

namespace joulery::app {
namespace {

/// A bench as it is kept.
struct BenchRecord {
  meter::HostFacts host;
  record::Run run;
  std::vector<record::Evidence> evidence;
};

class PutBench final : public record::Store::TransactionBody {
 public:
  explicit PutBench(const BenchRecord& bench) : bench_(bench) {}

  Status run(record::Store& store) override {
    JOULERY_CHECK_OK(store.put_host(bench_.host.host));
    JOULERY_CHECK_OK(store.put_boot(bench_.host.boot));
    JOULERY_CHECK_OK(store.put_run(bench_.run));
    for (const record::Evidence& evidence : bench_.evidence) JOULERY_CHECK_OK(store.put_evidence(evidence));
    return {};
  }

 private:
  const BenchRecord& bench_;
};

Status put_into_store(Application& application, const BenchRecord& bench) {
  JOULERY_ASSIGN(const auto store, application.open_store(Application::StoreAccess::read_write));
  PutBench put(bench);
  return store->transaction(put);
}

/// Returns the file's path.
Result<std::string> put_into_spool(Application& application, const BenchRecord& bench) {
  JOULERY_ASSIGN(const std::string store, application.store_path());
  JOULERY_ASSIGN(record::SpoolWriter writer,
                 record::SpoolWriter::create(application.config().text("spool"), bench.run.id,
                                             record::spool_tag(store)));
  const auto write = [&]() -> Status {
    JOULERY_CHECK_OK(writer.write_run(bench.run, bench.host.host, bench.host.boot, {}));
    for (const record::Evidence& evidence : bench.evidence) JOULERY_CHECK_OK(writer.write_evidence(evidence));
    return writer.write_end();
  };
  if (const Status written = write(); !written) {
    // Half a bench is none.
    ::unlink(writer.path().c_str());
    return std::unexpected(written.error());
  }
  return writer.path();
}

meter::HostFacts this_host(Application& application) {
  const auto identity = power::read_machine_identity(application.sensors());
  return meter::read_host_facts(application.sensors(), application.clock(),
                                identity ? *identity : power::MachineIdentity());
}

std::string probe_of(const meter::HostFacts& host) {
  return fmt::format("{}; {}", engine::speed_probe_name(), host.host.cpu_model);
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

std::string core_probe(Application& application) {
  return probe_of(this_host(application));
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
  const meter::HostFacts host = this_host(application);
  const std::string probe = probe_of(host);
  for (const record::Run& run : *runs) {
    if (run.host_id != host.host.id || history.hertz.size() == kLast) continue;
    const auto tag = run.tags.find(kCoreProbeTag);
    if (tag == run.tags.end() || tag->second != probe) continue;
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
  BenchRecord bench{.host = this_host(application), .run = std::move(run), .evidence = {}};
  bench.run.experiment = application.config().text("run.experiment");
  bench.run.user = application.user();
  bench.run.host_id = bench.host.host.id;
  bench.run.boot_id = bench.host.boot.id;
  bench.run.tags["mlflow.runName"] = bench.run.name;
  std::vector<std::string> subjects{"run:" + bench.run.id};
  subjects.insert(subjects.end(), evidence.also_about.begin(), evidence.also_about.end());
  for (const std::string& subject : subjects) {
    bench.evidence.push_back({.subject = subject,
                              .type = evidence.type,
                              .version = evidence.version,
                              .json = evidence.json,
                              .sha256 = sha256_hex(evidence.json),
                              .created_utc_ns = bench.run.end_utc_ns});
  }
  const Status stored = put_into_store(application, bench);
  if (stored) return stored;
  Error error = stored.error();
  error.kind = Error::Kind::environment;
  const auto path = put_into_spool(application, bench);
  error.message = fmt::format("the bench is not in the store{}: {}", path ? " yet" : "", error.message);
  if (path) {
    error.hint += fmt::format("{}it is safe in {}{}", error.hint.empty() ? "" : "; ", printable(*path),
                              application.stored_later());
  }
  return std::unexpected(std::move(error));
}

}  // namespace joulery::app
