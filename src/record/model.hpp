#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace joulery::record {

/// MLflow's run states, plus what recovery needs.
enum class RunStatus { running, scheduled, finished, failed, killed };
constexpr std::array kRunStatuses{RunStatus::running, RunStatus::scheduled, RunStatus::finished,
                                  RunStatus::failed, RunStatus::killed};
/// "RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED", as MLflow spells them.
const char* run_status_name(RunStatus status);
std::optional<RunStatus> run_status_from_name(const std::string& name);

/// What the keys of metrics that we log ourselves begin with, so that they never meet a user's.
constexpr const char* kOwnMetricPrefix = "joulery/";

/// Tag of a run that we metered: how its energy is known ("measured", "derived" …), or that it is not.
constexpr const char* kEnergyProvenanceTag = "joulery.energy_provenance";
constexpr const char* kEnergyUnknown = "unknown";

struct MetricPoint {
  double value = 0;
  std::int64_t timestamp_ms = 0;
  std::int64_t step = 0;
};

/// The latest value of a metric: MLflow's maximum by (step, timestamp, value).
struct LatestMetric {
  std::string key;
  MetricPoint point;
};

constexpr const char* kDefaultExperiment = "Default";
constexpr std::size_t kMaxExperimentNameBytes = 500;

struct Experiment {
  std::int64_t id = 0;
  std::string name;
  bool deleted = false;
  std::int64_t created_ms = 0;
  std::int64_t updated_ms = 0;
  std::map<std::string, std::string> tags;
};

/// One computer. Matched by id, a hash of its machine id, so that overlapping runs claim idle energy once.
struct Host {
  std::string id;
  std::string name;
  std::string cpu_model;
  int cpu_threads = 0;
  double memory_bytes = 0;
  std::string os;
  bool virtual_machine = false;
};

/// One start of a host's kernel: boot-time clocks compare within it only.
struct Boot {
  std::string id;
  std::string host_id;
  std::int64_t booted_utc_ns = 0;
};

/// Device of the series of what was attributed to the workload, by how that is known: a host may be metered
/// by a model today and by a sensor tomorrow.
constexpr const char* kDerivedWorkloadDevice = "workload";
constexpr const char* kModelledWorkloadDevice = "workload:modelled";

/// A source that power series belong to.
struct Device {
  std::string id;  // SourceInfo::device_id
  std::string host_id;
  std::string name;
  std::string scope;
  std::string via;
  std::string parent_id;
  std::string provenance;
  double accuracy_low = 1;
  double accuracy_high = 1;
  std::string accuracy_basis;
};

struct Run {
  std::string id;  // UUIDv7, 32 hex digits
  std::string name;
  std::string experiment;  // by name
  std::string user;
  RunStatus status = RunStatus::running;
  bool deleted = false;
  std::int64_t start_utc_ns = 0;
  std::int64_t end_utc_ns = 0;  // 0 while running
  std::int64_t start_boottime_ns = 0;
  std::int64_t end_boottime_ns = 0;
  std::string host_id;
  std::string boot_id;
  std::map<std::string, std::string> params;
  std::map<std::string, std::string> tags;
  std::vector<LatestMetric> metrics;
};

/// A typed JSON document about a subject, kept byte for byte: `sha256` is over exactly `json`.
struct Evidence {
  std::string subject;  // "run:<id>", "model:<sha256>" …
  std::string type;     // "joulery/run-summary" …
  int version = 1;
  std::string json;
  std::string sha256;
  std::int64_t created_utc_ns = 0;
};

/// A data set that a run used (MLflow's dataset input).
struct DatasetInput {
  std::string name;
  std::string digest;
  std::string source_type;
  std::string source;
  std::string schema;
  std::string profile;
  std::map<std::string, std::string> tags;  // tags of the input, such as mlflow.data.context
};

/// MLflow's logged model.
struct LoggedModel {
  std::string id;
  std::string experiment;
  std::string name;
  std::string model_type;
  std::string source_run_id;
  std::string artifact_uri;
  std::string status;
  std::int64_t created_ms = 0;
  std::map<std::string, std::string> tags;
  std::map<std::string, std::string> params;
};

/// A file that a run left.
struct Artifact {
  std::string run_id;
  std::string path;
  std::uint64_t size_bytes = 0;
  std::string sha256;
};

}  // namespace joulery::record
