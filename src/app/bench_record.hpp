#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/application.hpp"
#include "base/quantity.hpp"
#include "evaluate/disturbance.hpp"
#include "record/model.hpp"

namespace joulery::app {

/// Writes a bench's figures into its run, as our own metrics of one moment.
class MetricWriter {
 public:
  /// `prefix` stands before every key; `run` must outlive it.
  MetricWriter(record::Run& run, std::string prefix, std::int64_t utc_ns)
      : run_(run), prefix_(std::move(prefix)), time_ms_(utc_ns / 1'000'000) {}

  void add(const std::string& key, double value);
  /// Also as KEY_low and KEY_high.
  void add(const std::string& key, double value, double low, double high);
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

/// The document of a bench, as evidence.
struct BenchEvidence {
  std::string type;
  int version = 1;
  std::string json;
  /// Beside the run: "model:<sha256>".
  std::vector<std::string> also_about = {};
};

/// Of the last benches of models on this host; empty if the store can't be read. What they are kept as:
constexpr const char* kCoreHertzMetric = "core_hertz";
constexpr const char* kCoreWorkMetric = "core_work_cycles";
constexpr const char* kModelBenchKind = "bench-model";
/// Cycles are compared among benches with the same: the probe and the CPU that it looked at.
constexpr const char* kCoreProbeTag = "joulery.core_probe";
std::string core_probe(Application& application);
evaluate::SpeedHistory load_speed_history(Application& application);

/// Stores the run of a bench, on this host, of this user and in the experiment that the settings name, with
/// the document as evidence: all of it or nothing. What the store does not take waits in the spool for the
/// next command on that store; then this is an environment error too, whose hint says where it is.
Status store_bench(Application& application, record::Run run, const BenchEvidence& evidence);

}  // namespace joulery::app
